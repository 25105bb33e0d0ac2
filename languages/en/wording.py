"""What words alone tell about whose turn it is: acknowledgements, unfinished sentences, questions that need no more."""

import re
from difflib import SequenceMatcher
from itertools import dropwhile, takewhile
from typing import NamedTuple

BACKCHANNELS = frozenset(
    "yeah yea yep yup yes ya right okay ok sure mhm mm mmm hm hmm uh huh uhuh mmhmm ah aha oh wow nice cool good great true "
    "exactly really interesting i see got it alright fine totally absolutely thank thanks you".split()
)
NON_LEXICAL = frozenset("mhm mm mmm hm hmm uh huh uhuh um uhm ah aha oh er mmhmm".split())
# A single one of these is meant for the agent, however short.
_CALLS = frozenset(
    "stop wait no hold pause quiet enough hey sorry excuse but actually what why how who when where which repeat again louder "
    "slower faster help hello hi goodbye bye parley next skip continue".split()
)
# These few somebody may say from further away, and mean the agent.
_HAILS = frozenset("stop wait hold pause quiet enough hey hello parley excuse sorry".split())
_HAIL = 4  # words; what is longer and holds one of them is talk
# After one of these an English sentence has not ended, whatever mark speech-to-text puts there ...
_OPEN_ENDS = frozenset(
    "a an the and or but so because if when while which whose my your our their his its these those um uh er we they he she "
    "is are was were am be".split()
)
# ... and after one of these only a question has ("What is it like?").
_OPEN_STATEMENTS = frozenset(
    "to of in on at for with from by about as than like into that who this between i well then also".split()
)
_ASKING = frozenset("what who whom whose which when where why how what's who's where's how's when's".split())
_AUXILIARY = frozenset(
    "is are was were do does did can could will would shall should may might have has had am isn't aren't wasn't weren't don't "
    "doesn't didn't can't couldn't won't wouldn't shouldn't haven't hasn't".split()
)
# What is wanted of the agent begins with one of these, perhaps after one of those.
_LEADING = NON_LEXICAL | frozenset("hi hello hey okay ok yeah yes well so then and".split())
_ORDERING = frozenset(
    "give get make bring show tell play set turn put take order book find call send read write add open close start remind please "
    "let let's explain describe suggest recommend compare list name draft compose summarize summarise define translate calculate "
    "schedule cancel change switch lower raise teach".split()
)
# "I'd like" is often heard as "I like", and "I want a" as "I went a".
_WANTING = r"(i want|i went a|i need|i'd like|i like|i'll have|i'll take|i would like)\b"
_WANTS = re.compile(_WANTING)
# A thing is wished for, and not that something be done: "I want a tea", but not "I want to go".
_WISH = re.compile(
    rf"(please )?({_WANTING}(?! to\b)|(give|get|make|bring) (me|us)|let (me|us) (have|get)|"
    r"(can|could|may|might) (i|we) (please )?(have|get|order))\b"
)
ECHO_WORDS, SAID_WORDS = 40, 400  # that are compared: the time that takes grows with their product
# Digits as they are spoken, and what stands between the parts of a number or an address.
_DIGITS = frozenset("zero oh one two three four five six seven eight nine double triple plus dash hyphen dot".split())
_DICTATES = re.compile(r"\b(numbers?|address|spell\w*|e-?mail|codes?|zip|digits?|plate|postcode)\b")
_BY_COUNT = re.compile(r"\bhow many\b|\bnumber of\b")  # a number that is said in one word
_CARD, _POSTAL = re.compile(r"\bcard\b"), re.compile(r"\b(zip|postal|postcode)\b")
_EMAIL = re.compile(r"(\S@[\w.-]{1,64}\.|\bat (\w{1,64} dot ){1,4})[a-z]{2,12}\W{0,3}$")
_CLOSING = re.compile(
    r"\b(thank(s| you)?|(good ?)?bye|have a (good|great|nice)|nothing else|that('s| is| will be| would be) (all|it|everything))\b"
)
# A question that leaves it open what is said, and how much of it.
_INVITES = re.compile(r"\b(help|do for you|like to know|want to know|else|more|talk about|on your mind|tell me|how are you)\b")
_ASKS = re.compile(
    r"\b(what|who|which|when|where|why|how|(may|can|could|shall|should) (i|we|you)|"
    r"(do|did|would|will|are|have) you|is (it|that|there))\b"
)
_LEAST_DICTATED = 3  # digits and letters in a row after other words, each a word: "in 2025" and "at 10:30" are none
_LEAST_NUMBER = 5  # digits of a number in one piece that nobody counts with
_LEAST_QUESTION = 5  # words; "How many wings?" may go on, "How many wings does a bird have?" hardly


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers of any script without punctuation; "mm-hmm", "uh-huh" and "10:30" come out as two."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))


def is_backchannel(text: str) -> bool:
    """At most four words, every one of them an acknowledgement; the same one may be heard many times over, as speech-to-text
    repeats itself on a short sound."""
    words = words_of(text)
    return all(word in BACKCHANNELS for word in words) and 0 < len(set(words)) <= 4


def is_wordless(text: str) -> bool:
    """Nothing, or only sounds such as "hm". A number or a word of another script is a word."""
    return all(word in NON_LEXICAL for word in words_of(text))


def calls_the_agent(text: str) -> bool:
    """It asks something, or orders it."""
    return any(word in _CALLS for word in words_of(text)) or is_question(text) or is_request(text)


def hails_the_agent(text: str) -> bool:
    """It is meant for the agent by its words alone, whoever speaks and however far away."""
    words = words_of(text)
    hailed = len(words) <= _HAIL and not _HAILS.isdisjoint(words)
    return hailed or is_question(text) or is_request(text)


def ends_openly(text: str) -> bool:
    """The text ends on a word after which a sentence has not ended, whatever mark follows."""
    words = words_of(text)
    return words[-1:] != [] and (words[-1] in _OPEN_ENDS or (words[-1] in _OPEN_STATEMENTS and not text.rstrip().endswith("?")))


def trails_off(text: str) -> bool:
    """As speech-to-text writes what breaks off: with a dash or dots."""
    return text.rstrip().endswith(("-", "–", "—", "...", "…"))


def is_closing(text: str) -> bool:
    """Thanks, a goodbye, or that this is all: few people go on after it."""
    return bool(_CLOSING.search(_whole_and_last(text)[1].lower().replace("’", "'")))


def is_whole_question(text: str) -> bool:
    """A question by its first word and its mark, and long enough to be all of it."""
    return _asks(text, _ASKING, _LEAST_QUESTION)


def is_question(text: str) -> bool:
    """A question by its first words and its mark, and long enough to be answered."""
    return _asks(text, _ASKING | _AUXILIARY, _LEAST_QUESTION - 1)


def asks_openly(text: str) -> bool:
    """The beginning of such a question."""
    return any(not _ASKING.isdisjoint(_opening(part)[:2]) for part in _whole_and_last(text))


def is_request(text: str) -> bool:
    """A statement that wants something of the agent, by its first words. It has a whole sentence's melody only at its end, where
    somebody who tells something often has one in mid-turn."""
    openings = list(map(_opening, _whole_and_last(text)))
    orders = any(not _ORDERING.isdisjoint(words[:1]) or _WANTS.match(" ".join(words)) for words in openings)
    return orders or is_wish(text)


def is_wish(text: str) -> bool:
    """A request for a thing, to which details are often added: "Can I have a tea ... with milk?"."""
    return any(_WISH.match(" ".join(_opening(part))) for part in _whole_and_last(text))


def says_please(text: str) -> bool:
    """As the last word, which it is when nothing is to follow."""
    return words_of(text)[-1:] == ["please"]


def length(text: str) -> int:
    """How many words and numbers there are."""
    return len(words_of(text))


class Dictated(NamedTuple):
    """What a text ends with that is given digit by digit, letter by letter or in groups of them: how many there are, whether that
    is under way, and whether all of it was given: a telephone number, a card's, an e-mail address."""

    signs: int
    under_way: bool
    whole: bool


def dictated(text: str, asked: str = "") -> Dictated:
    """`asked`: what the agent said last, which tells how long a number is."""
    tokens = words_of(text)
    last = list(takewhile(lambda word: word.isdecimal() or len(word) == 1 or word in _DIGITS, reversed(tokens)))
    digits = sum(len(word) if word.isdecimal() else 1 for word in last if len(word) > 1 or word.isdecimal())
    signs = digits + sum(len(word) == 1 and not word.isdecimal() for word in last)
    alone = len(last) == len(tokens) > 0 and not asks_briefly(asked)
    long = len(last) >= _LEAST_DICTATED or any(word.isdecimal() and len(word) >= _LEAST_NUMBER for word in last)
    email = bool(_EMAIL.search(text.lower()))
    if _CARD.search(asked.lower()):
        whole = digits in (15, 16)
    else:
        first = next((word for word in reversed(last) if word.isdecimal()), "")
        whole = digits in (10, 16) or (digits == 11 and first[:1] in ("0", "1"))
        whole = whole or (digits in (5, 9) and bool(_POSTAL.search(asked.lower())))
    return Dictated(signs, alone or long or email, (whole or email) and not trails_off(text))


def asks_to_dictate(line: str) -> bool:
    """The agent asks for what is given in digits, letters or parts: a number, an address, a spelling."""
    asked = last_question(line)
    return bool(_DICTATES.search(asked)) and not _BY_COUNT.search(asked)


def asks_briefly(line: str) -> bool:
    """The agent asks for one thing, which is soon said: yes or no, a day, a name."""
    asked = last_question(line)
    return bool(asked) and not _INVITES.search(asked) and not asks_to_dictate(line)


def last_question(line: str) -> str:
    """The last sentence of a line in lower case, "" where it is no question. A line without marks is one by its words."""
    last = re.split(r"(?<=[.?!])\s+", line.strip().lower())[-1]
    return last if last.endswith("?") or (last[-1:].isalnum() and _ASKS.search(last)) else ""


def _whole_and_last(text: str) -> tuple[str, str]:
    """The text and its last sentence: what is wanted may come first or last. A full stop may also be that of a "Mr." in the middle
    of a sentence."""
    return text, re.split(r"(?<=[.?!])\s+", text.strip())[-1]


def _opening(text: str) -> list[str]:
    """The words from the first on that means something."""
    return list(dropwhile(_LEADING.__contains__, words_of(text)))


def _asks(text: str, openers: frozenset[str], least: int) -> bool:
    return text.rstrip().endswith("?") and any(
        len(words_of(part)) >= least and not openers.isdisjoint(_opening(part)[:2]) for part in _whole_and_last(text)
    )


def names_in(text: str) -> list[str]:
    """Words with a capital that no sentence begins with, "I" apart."""
    return re.findall(r"(?<=[a-z,;] )(?!I\b)[A-Z][\w-]*\w", text)


def is_echo(text: str, saying: str) -> bool:
    """At least three words, nearly all of which the agent is saying in the same order: its own voice came back."""
    words, own = words_of(text)[:ECHO_WORDS], words_of(saying)[-SAID_WORDS:]
    matches = SequenceMatcher(None, own, words, autojunk=False).get_matching_blocks()
    return len(words) >= 3 and sum(block.size for block in matches) >= 0.8 * len(words)
