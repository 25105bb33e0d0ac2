"""Text made ready for the ear.

hibari reads numbers, dates, times, units and titles itself. What it reads wrongly or aloud is replaced here: addresses, code,
symbols, and some names.
"""

import re
import unicodedata

from languages.en.money import Rule
from languages.en.numbers import NUMBERS, unfolded

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
# "two 9s" are plurals of a figure, and no time.
_NO_PLURAL = "".join(
    rf"(?<!\b{count} )" for count in ("two", "three", "four", "five", "both", "several", "some", "all", "double")
)
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


_HOST = r"(?<![\w.-])([A-Za-z][\w-]+(?:\.[a-z][\w-]+)+)"
_ADDRESSES: list[Rule] = [
    (re.compile(r"\b(?:https?|ftp|wss?)://(?:[^\s/?#@]{0,200}@)?([^\s/?#@]*[^\s/?#@.,;:!])\S*"), _link),
    (re.compile(r"(?<![\w.+-])([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)"), _mail),
]
_RULES: list[Rule] = [
    (re.compile(pattern, re.MULTILINE), said)
    for pattern, said in (
        # Addresses and code
        (r"\bv(?=\d)", "version "),
        (r"\b(\d+(?:\.\d+){2,}|localhost)(?::(\d+))?\b", _address),
        (r"(?:(?<=[=(+*/<>×,;]) ?|^)-(?=[a-z] ?[+±=*/^)]|[a-z](?!\S)$)|(?<=[=+*/×]) -(?=[a-z](?!\w))", " minus "),
        (r"(?<!\S)--?(?=[A-Za-z])", ""),
        (r"(?<=[A-Za-z])\+(?=[A-Z][a-z]|[A-Z](?!\w))", " plus "),
        (
            rf"{_HOST}((?:/[\w-]{{1,40}}(?:\.[\w-]{{1,40}})?){{1,4}})(?![\w/])",
            lambda m: _dots(m[1]) + _dots(m[2]).replace("/", " slash "),
        ),
        (rf"{_HOST}(?:/[\w./?=&#%~+-]*[\w/])?(?!\w)", lambda m: _dots(m[1].removeprefix("www."))),
        (r"(?<!\S)\.(?=[A-Za-z]{2})", "dot "),
        (r"(?<=\w)_+(?=\w)|(?<!\w)_+|_+(?!\w)", " "),
        (r"\b([CF])#", r"\1 sharp"),
        (r"(?<=[A-Za-z])\+\+", " plus plus"),
        # Abbreviations
        (r"\be\.g\.,?", "for example,"),
        (r"\bi\.e\.,?", "that is,"),
        (r"\bw/o\b", "without"),
        (r"\bw/in\b", "within"),
        (r"(?<![\w./])b/c\b", "because"),
        (r"\bexcl\.(?= )", "excluding"),
        (r"\bincl\.(?= )", "including"),
        (r"\bmax\.(?= \d)", "maximum"),
        (r"\bmin\.(?= \d)", "minimum"),
        (r"\b[Cc]trl\b(?=[ +-]|$)", "control"),
        (r"\bw/(?=\s)", "with"),
        # Numbers and symbols
        (r"(?<![\w.])\.(?=\d)", "0."),
        (r"(?<![\w.,])(\d[\d.,]*)\s?(?:-|–|to)\s?(\d[\d.,]*)\s?%", r"\1 to \2%"),
        (
            rf"(?<!['’\d.])(?<!the )(?<!late )(?<!early )(?<![Mm]id[ -])(?<!low )(?<!high )(?<!upper )(?<!lower ){_NO_PLURAL}"
            rf"(\d{{1,3}}(?:\.\d+)?)\s?s(?! of (?:thousands|millions|billions)){_END}",
            r"\1 seconds",
        ),
        (rf"(?<=\d)\s?h{_END}", " hours"),
        (rf"(?<=\d)k{_END}", " thousand"),
        (r"(?<=\d)M(?= [a-z])", " million"),
        (rf"(?<=\d)\s?x{_END}", " times"),
        (r"(?<=[\d\w)])\s*[*×·]\s*(?=[\d(])| ?× ?", " times "),
        (r" ?(?:<=|≤) ?", " at most "),
        (r" ?(?:>=|≥) ?", " at least "),
        (r" ?(?:!=|≠) ?", " is not "),
        (r" ?(?:->|=>|→|⇒) ?", " to "),
        (r"[~≈]\s?(?=\d)", "about "),
        (r"°(?![CF\d])", " degrees "),
        (r"(?<![\w.,-])(?<!\d )1 ((?:square |cubic )?(?:hour|minute|second|meter|mile|inch(?=e)))e?s\b", r"1 \1"),
        (r"(?<![\w.,-])(?<!\d )1 (square|cubic) feet\b", r"1 \1 foot"),
        (r"(\d (?:square |cubic )?[a-z]{2,20})/(day|night|week|month|year|hour|person)\b", r"\1 per \2"),
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
        (r"(?<=\() +", ""),
        (r"^[\s,;:]+", ""),
        (r"(?<!\s)\s+(?=[,;:.!?](?:\s|$))", ""),
    )
]
_SOUND = re.compile(r"[0-9A-Za-zÀ-ɏ]")
_NAME = re.compile(rf"\b(?:{'|'.join(_NAMES)})\b", re.IGNORECASE)


def speakable(text: str) -> str:
    """`text` without markup and emoji as it should be read out: addresses and symbols in words. "" when nothing can be said."""
    text = unicodedata.normalize("NFKC", unfolded(text))
    for pattern, said in (*_ADDRESSES, *NUMBERS, *_RULES):
        text = pattern.sub(said, text)
    text = " ".join(_NAME.sub(lambda match: _NAMES[match[0].lower()], text).split())
    return text if _SOUND.search(text) else ""
