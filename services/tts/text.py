"""Text made ready for the ear, and the words of the eye matched with those of the ear.

hibari reads numbers, dates, times, units and titles itself. What it reads wrongly or aloud is replaced here: markup, addresses,
code, symbols, and some names.
"""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from services.base import Word
from services.sentences import MARK, ends
from services.tts.cleaning import cleaned
from services.tts.money import Rule
from services.tts.numbers import NUMBERS, unfolded

LONGEST = 25  # words the voice is given at once
LONGEST_MARK = 20  # characters at the end of a word among which its marks are

_PHRASE_END = re.compile(r"[,;:—–)][\"'”’]*$")
_NAMES = {  # how to write what the voice says wrongly
    "aiortc": "A I O R T C",
    "json": "Jason",
    "nginx": "engine X",
    "onnx": "onnix",
    "pypi": "pie P I",
    "redis": "reddiss",
    "silero": "sill airo",
    "sql": "S Q L",
    "uvicorn": "you-vee-corn",
    "yaml": "yammel",
}
_EXTENSIONS = {
    "py": "pie",
    "txt": "text",
    "md": "M D",
    "js": "J S",
    "sh": "S H",
    "yml": "yammel",
    "css": "C S S",
    "html": "H T M L",
}
_END = r"(?=[\s.,;:!?)\]\"'”’]|$)"


def _dots(name: str) -> str:
    """A host or file name as it is read: "app.py" is "app dot pie"."""
    *front, last = name.split(".")
    return " dot ".join([*front, _EXTENSIONS.get(last.lower(), last)])


def _address(match: re.Match[str]) -> str:
    port = f" port {match[2]}" if match[2] else ""
    return _dots(match[1]) + port


def _mail(match: re.Match[str]) -> str:
    """An address as it must be written down."""
    name = _dots(match[1])
    for sign, said in (("_", "underscore"), ("-", "dash"), ("+", "plus")):
        name = name.replace(sign, f" {said} ")
    return f"{name} at {_dots(match[2]).replace('-', ' dash ')}"


def _link(match: re.Match[str]) -> str:
    """The host of a URL; its path says nothing to the ear."""
    host, _, port = match[1].removeprefix("www.").partition(":")
    end = match[0][-1] if match[0][-1] in ".,;:!?" else ""
    return _dots(host) + (f" port {port}" if port else "") + end


_ADDRESSES: list[Rule] = [
    (re.compile(r"\bhttps?://([^\s/?#]*[^\s/?#.,;:!])\S*"), _link),
    (re.compile(r"(?<![\w.+-])([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)"), _mail),
]
_RULES: list[Rule] = [
    (re.compile(pattern, re.MULTILINE), said)
    for pattern, said in (
        # Addresses and code
        (r"\bv(?=\d)", "version "),
        (r"\b(\d+(?:\.\d+){2,}|localhost)(?::(\d+))?\b", _address),
        (r"(?<!\S)--?(?=[A-Za-z])", ""),
        (r"(?<![\w.-])([A-Za-z][\w-]+(?:\.[a-z][\w-]+)+)\b", lambda m: _dots(m[1])),
        (r"(?<=\w)_+(?=\w)|(?<!\w)_+|_+(?!\w)", " "),
        (r"\b([CF])#", r"\1 sharp"),
        (r"(?<=[A-Za-z])\+\+", " plus plus"),
        # Abbreviations
        (r"\be\.g\.,?", "for example,"),
        (r"\bi\.e\.,?", "that is,"),
        (r"\bw/o\b", "without"),
        (r"\bw/(?=\s)", "with"),
        # Numbers and symbols
        (r"(?<![\w.])\.(?=\d)", "0."),
        (r"(?<![\w.,])(\d[\d.,]*)\s?(?:-|–|to)\s?(\d[\d.,]*)\s?%", r"\1 to \2%"),
        (rf"(?<!['’\d.])(?<!the )(\d{{1,3}}(?:\.\d+)?)\s?s{_END}", r"\1 seconds"),
        (rf"(?<=\d)\s?h{_END}", " hours"),
        (rf"(?<=\d)k{_END}", " thousand"),
        (rf"(?<=\d)\s?x{_END}", " times"),
        (r"(?<=[\d\w)])\s*[*×·]\s*(?=[\d(])", " times "),
        (r" ?(?:<=|≤) ?", " at most "),
        (r" ?(?:>=|≥) ?", " at least "),
        (r" ?(?:!=|≠) ?", " is not "),
        (r" ?(?:->|=>|→|⇒) ?", " to "),
        (r"[~≈]\s?(?=\d)", "about "),
        (r"°(?![CF\d])", " degrees "),
        # Punctuation that makes blips
        (r"(?:\.\s?){3,}|… ?", "… "),
        (r" ?… ?(?=[a-z])", ", "),
        (r" ?… ?", ". "),
        (r"(?<![!?])(?=!*\?)[!?]++", "?"),
        (r"!+", "!"),
        (r"\.{2,}", "."),
        (r" (?:--+|-|–) |--+", ", "),
        (r"[\[\]{}\\*~]+|#(?!\d)|(?<=\S)[<>]|[<>](?=\S)", " "),
        (r",(?:\s*,)+", ","),
        (r"^[\s,;:]+", ""),
        (r"(?<!\s)\s+(?=[,;:.!?](?:\s|$))", ""),
    )
]
_SOUND = re.compile(r"[0-9A-Za-zÀ-ɏ]")
_NAME = re.compile(rf"\b(?:{'|'.join(_NAMES)})\b", re.IGNORECASE)


def speakable(text: str) -> str:
    """`text` as it should be read out: no markup, no emoji, addresses and symbols in words. "" when nothing can be said."""
    text = unicodedata.normalize("NFKC", unfolded(cleaned(text)))
    for pattern, said in (*_ADDRESSES, *NUMBERS, *_RULES):
        text = pattern.sub(said, text)
    text = " ".join(_NAME.sub(lambda match: _NAMES[match[0].lower()], text).split())
    return text if _SOUND.search(text) else ""


def pieces(clause: str) -> list[list[str]]:
    """The words of `clause` in pieces: each sentence, and a sentence of over LONGEST words after a comma or at LONGEST."""
    done: list[list[str]] = []
    words: list[str] = []
    every = clause.split()
    for word, after in zip(every, [*every[1:], ""], strict=False):
        words.append(word)
        if MARK.search(word[-LONGEST_MARK:]) and ends(" ".join(words), after, whole=True):
            done.append(words)
            words = []
        elif len(words) == LONGEST:
            cut = next((i for i in range(LONGEST, LONGEST // 2, -1) if _PHRASE_END.search(words[i - 1])), LONGEST)
            done.append(words[:cut])
            words = words[cut:]
    return [*done, words] if words else done


def align(words: Sequence[str], spoken: Sequence[Word]) -> list[Word]:
    """`words` with the times of the words as they are `spoken` ("$5" is said as "five dollars"). A word that is not said begins and
    ends with the end of the one before it."""

    def keys(texts: Sequence[str]) -> list[str]:
        return [re.sub(r"\W", "", text).casefold() for text in texts]

    timed: list[Word] = []
    last = 0.0
    said = keys([word.text for word in spoken])
    for _, i, to_i, j, to_j in SequenceMatcher(None, keys(words), said, autojunk=False).get_opcodes():
        for k in range(i, to_i):
            first, until = (j + round(n * (to_j - j) / (to_i - i)) for n in (k - i, k - i + 1))
            start, last = (spoken[first].start_ms, spoken[until - 1].end_ms) if until > first else (last, last)
            timed.append(Word(words[k], start, last))
    return timed
