"""Timers of a conversation, kept with what it remembers, and the lengths of time that people say."""

import re
from dataclasses import dataclass

from text_to_num import alpha2digit

LONGEST_S = 86_400.0
MOST = 20  # timers of one conversation at a time: all are kept with it, and each is told

_UNITS = {"hour": 3600.0, "minute": 60.0, "second": 1.0}
_UNIT = r"(hour|minute|second)s?\b"
_PART = re.compile(rf"(?<!\d)(\d+(?:\.\d+)?) {_UNIT}")
_SPELLINGS = [  # of spoken lengths, brought to the form "2.5 minute"
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"\b(hrs?|mins?|secs?)\b", lambda m: {"h": "hour", "m": "minute", "s": "second"}[m[1][0]]),
        (r"\bhalf an? (?=hour|minute)", lambda m: "0.5 "),
        (r"\b(?:a )?quarter of an (?=hour)", lambda m: "0.25 "),
        (r"\b(?:3|three) quarters of an (?=hour)", lambda m: "0.75 "),
        (r"\ba couple of\b", lambda m: "2"),
        (r"\b(?:an?|one)(?= (?:hour|minute|second))", lambda m: "1"),
        (rf"(?<!\d)(\d+) and a half {_UNIT}", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<!\d)(\d+) {_UNIT} and a half\b", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<!\d)(\d+) {_UNIT} and (?:a quarter|0.25)\b", lambda m: f"{m[1]}.25 {m[2]}"),
    )
]


@dataclass(frozen=True, slots=True)
class Timer:
    """`due_ms` is wall-clock time, ms since 1970 (UTC), so that a resumed conversation still knows it."""

    due_ms: float
    length_s: float
    about: str = ""


def heard_length(text: str) -> float | None:
    """The length of time that a spoken text names, in seconds; None when it names none. "An hour and a half" is 5400."""
    said = re.sub(r"\bseconds?\b", "sec", re.sub(r"[-–]", " ", text.lower()))  # "second" is a number too
    said = alpha2digit(said, "en", threshold=0)
    for pattern, spelling in _SPELLINGS:
        said = pattern.sub(spelling, said)
    parts = _PART.findall(said)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) or None


def said_length(seconds: float) -> str:
    """A length of time as it is said: "1 hour and 30 minutes"."""
    left, parts = max(1, round(seconds)), []
    for unit, size in _UNITS.items():
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count} {unit}" + ("s" if count > 1 else ""))
    return " and ".join(parts) if len(parts) < 3 else f"{parts[0]}, {parts[1]} and {parts[2]}"
