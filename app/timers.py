"""Timers of a conversation, kept with what it remembers, and the lengths of time that people say."""

import re
from dataclasses import dataclass

from app.moments import figures

LONGEST_S = 86_400.0
MOST = 20  # timers of one conversation at a time: all are kept with it, and each is told

_UNITS = {"day": 86_400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}
_UNIT = r"(day|hour|minute|second)s?\b"
_PART = re.compile(rf"(?<![\d.])(\d++(?:\.\d+)?) ?{_UNIT}")
_JOINT = re.compile(r"\s*(?:,|and|, and)?\s*")
_OPEN = re.compile(
    r"\b\d++ (?:to|or|and) (?=\d++(?:\.\d+)? (?:day|hour|minute|second))|\b(?:few|several|some|many) (?:day|hour|minute|second)s\b"
)
_CORRECTED = re.compile(r"\b(?:no|sorry|rather|actually|i mean|i meant|make (?:that|it)|wait)\b")
_SPELLINGS = [  # of spoken lengths, brought to the form "2.5 minute"
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"(?<=\d)(?=(?:h|hrs?|m|mins?|s|secs?|d)(?:\d|\b))", lambda m: " "),
        (r"(?<=[\d ])(h|hrs?|m|mins?|s|secs?|d)(?=\d)", lambda m: f"{m[1]} "),
        (
            r"\b(?:(?<=\d )([hmsd])|(hrs?|mins?|secs?))\b",
            lambda m: {"h": "hour", "m": "minute", "s": "second", "d": "day"}[(m[1] or m[2])[0]],
        ),
        (rf"(?<![\d.])(\d++) and a half {_UNIT}", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<![\d.])(\d++) and (?:a quarter|0.25) {_UNIT}", lambda m: f"{m[1]}.25 {m[2]}"),
        (r"\b(?:a )?half (?:an? )?(?=hour|minute|day)", lambda m: "0.5 "),
        (r"\b(?:3|three) quarters of an (?=hour)|\b(?:3|three) quarter (?=hour)", lambda m: "0.75 "),
        (r"\b(?:a )?quarter (?:of an )?(?=hour)", lambda m: "0.25 "),
        (r"\ba couple of\b|\ba couple(?= (?:hour|minute|second|day))", lambda m: "2"),
        (r"\ba dozen\b", lambda m: "12"),
        (r"(?<!\d)\b(\d++) 1/2(?= (?:hour|minute|day))", lambda m: f"{m[1]}.5"),
        (
            r"\b(?:an?|one) (?=(?:hour|minute|second|day)s?\b)|(?<!\d )(?<!\d)\b(?=(?:hour|minute) and )",
            lambda m: "1 ",
        ),
        (rf"(?<![\d.])(\d++) {_UNIT} and (?:a half|0.5)\b(?! (?:hour|minute))", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<![\d.])(\d++) {_UNIT} and (?:a quarter|0.25)\b", lambda m: f"{m[1]}.25 {m[2]}"),
        # "One hour thirty", "two minutes twenty": of the next smaller unit.
        (
            r"(?<![\d.])(\d++) hours? (?:and )?(\d{1,2})(?![\d:.]| ?(?:hour|minute|second|day|percent|%|o'?clock|[ap]\.?m))",
            lambda m: f"{m[1]} hour {m[2]} minute",
        ),
        (
            r"(?<![\d.])(\d++) minutes? (?:and )?(\d{1,2})(?![\d:.]| ?(?:hour|minute|second|day|percent|%|o'?clock|[ap]\.?m))",
            lambda m: f"{m[1]} minute {m[2]} second",
        ),
    )
]


@dataclass(frozen=True, slots=True)
class Timer:
    """`due_ms` is wall-clock time, ms since 1970 (UTC), so that a resumed conversation still knows it. `about` is something to do
    ("check the oven"), `name` what the timer is called ("pasta")."""

    due_ms: float
    length_s: float
    about: str = ""
    name: str = ""

    @property
    def called(self) -> str:
        """What the user may call it."""
        return self.name or self.about or said_length(self.length_s)


def heard_length(text: str) -> float | None:
    """The length of time that a spoken text names, in seconds; None when it names none, or several of which it is not clear which
    is meant. "An hour and a half" is 5400, "ten minutes to boil the eggs for five minutes" is 600."""
    said = figures(text)
    for pattern, spelling in _SPELLINGS:
        said = pattern.sub(spelling, said)
    if _OPEN.search(said):
        return None
    runs = _runs(said)
    if len(runs) > 1:
        to_do = re.search(r"\bto (?!\d)", said)
        before = [run for run in runs if to_do and run[0] < to_do.start()]
        announced = [run for run in runs if said[: run[0]].endswith(("in ", "after "))]
        corrected = runs[-1:] if _CORRECTED.search(said[runs[-2][1] : runs[-1][0]]) else []
        runs = next((some for some in (corrected, before, announced) if len(some) == 1), [])
    return (runs[0][2] or None) if runs else None


def _runs(said: str) -> list[tuple[int, int, float]]:
    """Where each length begins and ends, and its seconds: "1 hour and 5 minute" is one."""
    runs: list[tuple[int, int, float]] = []
    for part in _PART.finditer(said):
        seconds = float(part[1]) * _UNITS[part[2]]
        if runs and _JOINT.fullmatch(said[runs[-1][1] : part.start()]):
            runs[-1] = (runs[-1][0], part.end(), runs[-1][2] + seconds)
        else:
            runs.append((part.start(), part.end(), seconds))
    return runs


def said_length(seconds: float) -> str:
    """A length of time as it is said: "1 hour and 30 minutes"."""
    left, parts = max(1, round(seconds)), []
    for unit, size in _UNITS.items():
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count} {unit}" + ("s" if count > 1 else ""))
    return " and ".join(parts) if len(parts) < 3 else f"{parts[0]}, {parts[1]} and {parts[2]}"
