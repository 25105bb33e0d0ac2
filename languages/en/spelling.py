"""Words that somebody wants to have spelled, and how their letters are named."""

import re
import unicodedata

LONGEST = 40  # letters
MOST = 4  # words of a name

_SPELLABLE = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_BEHIND = re.compile(
    r"\b(?:spell(?:ing)?|write)\b(?! (?:it )?(?:out|down)\b(?! the (?:word|name)\b| (?-i:[A-Z])))(?: out(?= ))?(.*)",
    re.IGNORECASE | re.DOTALL,
)
_BEFORE = re.compile(r"\b(?:is|are|was|do you|would you)\b(.*?)\b(?:spelled|spelt|written)\b", re.IGNORECASE | re.DOTALL)
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
}


def heard_word(text: str) -> str | None:
    """The word, or the name of several, that a turn wants spelled; None where it names none."""
    found = _BEHIND.search(text) or _BEFORE.search(text)
    return _kept(found[1]) if found else None


def named_word(text: str) -> str | None:
    """The same for a turn that is nothing else: the answer to "Which word shall I spell?"."""
    return heard_word(text) or (_kept(text) if not _OTHER.match(text) else None)


def _kept(text: str) -> str | None:
    words = _SPELLABLE.findall(unicodedata.normalize("NFC", text))
    while words and words[-1].lower() in _AROUND:
        words.pop()
    while words and words[0].lower() in _AROUND:
        words.pop(0)
    if not words or len(words) > MOST or {word.lower() for word in words} & _NOTHING:
        return None
    return " ".join(words)[:LONGEST]


def letters(word: str) -> str:
    """How `word` is spelled: "J, O, S, E with an acute accent"."""
    return "; ".join(", ".join(_letter(character) for character in part if character.isalnum()) for part in word.split())


def _letter(character: str) -> str:
    """A letter as it is named: "é" is "E with an acute accent"."""
    base, _, marks = unicodedata.name(character, "").partition(" WITH ")
    if character.isascii() or not marks:
        return {"ß": "sharp S"}.get(character, character.upper())
    return f"{base.rsplit(' ', 1)[-1]} with {_ACCENTS.get(marks, 'a ' + marks.lower())}"
