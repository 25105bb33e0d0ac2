"""Words that somebody wants to have spelled, and how their letters are named."""

import re
import unicodedata

LONGEST = 40  # letters
MOST = 4  # words of a name

_LETTER = r"[^\W_][\u0300-\u036f]*"
_SPELLABLE = re.compile(rf"(?:{_LETTER})+(?:['’.&@+-](?:{_LETTER})+)*(?:\+\+|#(?!\w))?|(?<!\S)&(?!\S)")
_BACKWARDS = re.compile(r"\b(?:backwards?|in reverse(?: order)?|reversed|from back to front|back to front)\b", re.IGNORECASE)
_HOW = re.compile(  # that says nothing of the word: "letter by letter", "with the accents", "phonetically"
    r"(?<!\W)\W++(?:(?:letter by letter|one letter at a time|slowly|quickly|phonetically|correctly|properly|aloud|out loud|"
    r"in (?:capitals?|capital letters|upper ?case|lower ?case|block letters)|"
    r"with (?:an? )?capitals?(?: letters?)?(?: [a-z])?|"
    r"with(?:out)? (?:the |an? |its |all )?(?:accents?|umlauts?|hyphens?|apostrophes?|dots?))\b\W*+){1,3}+\Z",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"\b(?:spell(?:ing)?|write)\b(?! (?:it )?(?:out|down)\b(?! the (?:word|name)\b| (?-i:[A-Z])))(?: out(?= ))?(.*)",
    re.IGNORECASE | re.DOTALL,
)
_BEFORE = re.compile(r"\b(?:is|are|was|do you|would you)\b(.*?)\b(?:spelled|spelt|written)\b", re.IGNORECASE | re.DOTALL)
_MORE = re.compile(
    r"(?<!\s)\s++and (?:use|say|define|explain|tell|give|pronounce|put)\b.*", re.IGNORECASE | re.DOTALL
)  # that is wanted
_AROUND = frozenset(
    "please for me out again slowly spelled spelt written letter by now of is i mean meant want would like the a an my "
    "your his her word words name names called as in okay uh um".split()
)
_NOTHING = frozenset("that it this them these something anything one last first word name".split())
_OTHER = re.compile(
    r"^\W*(?:what|how|why|when|where|who|which|set|start|tell|stop|cancel|never|can|could|do|are)\b", re.IGNORECASE
)
_ACCENTS = {
    "ACUTE": "an acute accent",
    "GRAVE": "a grave accent",
    "DIAERESIS": "two dots",
    "RING ABOVE": "a ring",
    "CARON": "a hook",
    "OGONEK": "an ogonek",
}
_SIGNS = {
    "ß": "sharp S",
    "ẞ": "sharp S",
    "æ": "A E joined",
    "œ": "O E joined",
    "ð": "eth",
    "þ": "thorn",
    "ı": "I without a dot",
    "'": "apostrophe",
    "’": "apostrophe",
    "-": "hyphen",
    "‐": "hyphen",
    ".": "dot",
    "&": "ampersand",
    "@": "at sign",
    "+": "plus",
    "#": "hash",
}


def heard_word(text: str) -> str | None:
    """The word, or the name of several, that a turn wants spelled; None where it names none."""
    found = _BEHIND.search(text := _MORE.sub("", text)) or _BEFORE.search(text)
    if found is None:
        return None
    return _kept(_BACKWARDS.sub(" ", found[1])) or _kept(found[1])  # "How do you spell backwards?"


def backwards(text: str) -> bool:
    """Whether a turn wants a word spelled from its last letter to its first."""
    found = _BEHIND.search(text) or _BEFORE.search(text)
    behind = found is not None and _BACKWARDS.search(text) is not None
    return behind and _kept(_BACKWARDS.sub(" ", found[1] if found else "")) is not None


def named_word(text: str) -> str | None:
    """The same for a turn that is nothing else: the answer to "Which word shall I spell?"."""
    return heard_word(text) or (_kept(text) if not _OTHER.match(text) else None)


def _kept(text: str) -> str | None:
    words = _SPELLABLE.findall(_HOW.sub("", unicodedata.normalize("NFC", text)))
    while words and words[-1].lower() in _AROUND:
        words.pop()
    while words and words[0].lower() in _AROUND:
        words.pop(0)
    if not words or len(words) > MOST or {word.lower() for word in words} & _NOTHING:
        return None
    return " ".join(words)[:LONGEST]


def letters(word: str) -> str:
    """How `word` is spelled: "J, O, S, E with an acute accent"."""
    return "; ".join(", ".join(map(_letter, re.findall(rf"{_LETTER}|\S", part))) for part in word.split())


def _letter(sign: str) -> str:
    """A letter or a sign as it is named: "é" is "E with an acute accent", "ж" is "zhe"."""
    character, above = sign[0], sign[1:]
    base, _, marks = unicodedata.name(character, "").partition(" WITH ")
    named = base.partition(" LETTER ")[2]
    known = _SIGNS.get(character.lower())
    if known or character.isascii() or not named:
        name = known or character.upper()
    else:
        name = named if base.startswith("LATIN ") else named.lower()
    accents = [*filter(None, [marks]), *(unicodedata.name(mark, "").removeprefix("COMBINING ") for mark in above)]
    return " and ".join([name, *map(_accent, accents)]).replace(" and ", " with ", 1) if accents else name


def _accent(mark: str) -> str:
    return _ACCENTS.get(mark, "a " + mark.lower())
