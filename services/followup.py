"""Follow-ups: turns that only make sense after the one before them."""

import re
from collections.abc import Sequence

from services.base import Exchange
from services.embedding import plain

# Turns that ask for more of the same, whole.
_MORE = re.compile(
    r"^(?:(?:and|so|but|okay|ok|yes|yeah|please|sorry|well|oh|hm+|can you|could you) )*"
    r"(?:go on|continue|carry on|keep going|go ahead|more|more please|tell me(?: a bit| some)? more|say more|what else|"
    r"anything else|elaborate|explain|explain (?:that|it|this)|go into (?:more )?detail|in more detail|more details?|"
    r"give me (?:an example|more|more details?)|for example|an example|what do you mean|how do you mean|really|is that so|"
    r"and then|then what|why|why not|why so|how|how so|how come|why is (?:that|it|this)|how does (?:that|it|this) work|"
    r"i (?:do not|don't) understand|meaning)"
    r"(?: (?:please|about (?:that|it|this)|that|it|this|then|exactly|by that|with what you were saying))*"
)
_WHY = re.compile(r"\b(?:why|how|example|mean|then)\b")
_OTHER = re.compile(r"\b(?:the )?(?:second|other|last|next) (?:one|thing|topic)\b|\bthe (?:second|other)\b")
_OFFERED = re.compile(r"I can also tell you about ([^.?!]+)")
_ACCEPTS = re.compile(  # turns that take what was offered
    r"(?:(?:yes|yeah|yep|yup|sure|okay|ok|please|right|all right|alright|of course|absolutely|why not|go ahead|go on|do that|"
    r"do so|do it|i would|i do|sounds good|tell me|tell me about (?:it|that)|mm-?\s?hmm?|uh-?\s?huh|let's hear it)[\s,.!]*)+"
)
_ABOUT = re.compile(
    r"^(?:and |but |so |okay |ok )*(?:what|how) about |"
    r"^and (?!(?:who|what|which|when|where|why|how|is|are|was|do|does|did|can|could|may|will|would|should|tell|explain)\b)"
)
_POINTING = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|one)\b")
LONGEST_SUBJECT = 1000  # characters: the embedding reads 256 tokens
_SHORT = 7  # words; a longer question says itself what it is about
_EMPTY = frozenset(  # words that say nothing of the subject
    (
        "a an and are at be but by can could did do does for from good how i if in is it its long many me mean much of often on "
        "one or please so that the them then there these they this those to use used was we well were what what's when where "
        "which who why will with work works would you your okay"
    ).split()
)
# Turns about the talking itself: what was spoken of before is still the subject.
_ACT = re.compile(
    r"(?:(?:thanks?|thank you|hello|hi|hey|ok|okay|yes|yeah|no|please|sorry|right|sure|great|stop|wait|hold on|pardon|what|huh|"
    r"(?:a bit |a little |speak |talk |more )*(?:louder|quieter|softer|slower|slowly|faster|quickly)|slow down|speed up|speak up|"
    r"(?:can you |could you )?(?:repeat|say|spell)(?: that| it)?(?: again)?|very much|a lot|so much)\s*)+"
)


def offer(title: str) -> str:
    """How an answer offers another passage; `readings` knows it again."""
    return f"I can also tell you about {title}."


def offered(heard: str) -> str:
    """The title that the last words heard offered to speak of; "" where there was no offer."""
    found = _OFFERED.search(heard.rsplit(". ", 1)[-1])
    return found[1] if found else ""


def takes_offer(text: str, history: Sequence[Exchange]) -> bool:
    """Whether `text` says yes to what was offered last."""
    return bool(history) and bool(offered(history[-1].heard)) and _ACCEPTS.fullmatch(plain(text)) is not None


def asks_for_more(text: str) -> bool:
    """Whether `text` only asks to go on with what was said."""
    return _MORE.fullmatch(plain(text)) is not None


def readings(text: str, history: Sequence[Exchange]) -> list[str]:
    """What `text` may mean as a query on its own: one reading, or two of which the first is taken if it finds something."""
    before = [None, *history]
    return _readings(text, [turn for turn, last in zip(history, before, strict=False) if turn.user and not _acts(turn, last)])


def _readings(text: str, past: Sequence[Exchange]) -> list[str]:
    """The same, where `past` are the turns that had a subject."""
    said = plain(text)
    if not past:
        return [text]
    other = offered(past[-1].heard)
    if other and (_OTHER.search(said) or takes_offer(text, past)):
        return [other]
    if asks_for_more(said):
        before = _subject(past)
        return [f"{before} {text}" if _WHY.search(said) else before]
    if _leans(said):
        rest = _ABOUT.sub("", said)
        joined = f"{rest}. {_subject(past)}"
        return [joined] if _POINTING.search(rest) else [rest, joined]
    return [text]


def _acts(exchange: Exchange, last: Exchange | None) -> bool:
    """Whether a turn, after the `last` one, was about the talking itself."""
    before = [last] if last is not None else []
    return _ACT.fullmatch(plain(exchange.user)) is not None and not takes_offer(exchange.user, before)


def _subject(past: Sequence[Exchange]) -> str:
    """What the last of these turns was about, cut off where it is too long to be read."""
    return _readings(past[-1].user, past[:-1])[0][:LONGEST_SUBJECT]


def _leans(said: str) -> bool:
    """Whether a turn only means something after the one before it."""
    words = said.split()
    if _ABOUT.search(said) or _OTHER.search(said):
        return len(words) <= _SHORT
    return bool(_POINTING.search(said)) and sum(word not in _EMPTY for word in words) <= 1
