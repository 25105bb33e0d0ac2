"""Follow-ups: turns that only make sense after the one before them."""

import re
from collections.abc import Sequence

from services.base import Exchange
from services.embedding import plain

# Turns that ask for more of the same, whole.
_MORE = re.compile(
    r"(?:(?:and|so|but|okay|ok|yes|yeah|please|sorry|well|oh|hm+|can you|could you) )*"
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
_ABOUT = re.compile(r"^(?:and |but |so |okay |ok )*(?:what|how) about |^and ")
_POINTING = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|one)\b")
_LITTLE = 7  # words; a longer question says itself what it is about


def offer(title: str) -> str:
    """How an answer offers another passage; `standalone` knows it again."""
    return f"I can also tell you about {title}."


def asks_for_more(text: str) -> bool:
    """Whether `text` only asks to go on with what was said."""
    return _MORE.fullmatch(plain(text)) is not None


def standalone(text: str, history: Sequence[Exchange]) -> str:
    """`text` as a query that can be understood without the turns before it."""
    said = plain(text)
    before = next((exchange for exchange in reversed(history) if not _leans(plain(exchange.user))), None)
    if before is None:
        return text
    offered = _OFFERED.findall(history[-1].heard)
    if offered and _OTHER.search(said):
        return str(offered[-1])
    if asks_for_more(said):
        return f"{before.user} {text}" if _WHY.search(said) else before.user
    if _leans(said):
        return f"{_ABOUT.sub('', said)}. {before.user}"
    return text


def _leans(said: str) -> bool:
    """Whether a turn leans on the one before it."""
    if _MORE.fullmatch(said) or _OTHER.search(said):
        return True
    return len(said.split()) <= _LITTLE and bool(_ABOUT.search(said) or _POINTING.search(said))
