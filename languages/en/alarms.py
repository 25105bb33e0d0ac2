"""Several alarms and reminders in one sentence: "wake me at seven and at eight", "at 7 to call mom and at 8 to call dad"."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from languages.en.dates import figures, heard_time
from languages.en.timers import heard_about, heard_length, heard_name
from languages.tools import MOST

_NOW = datetime(2000, 1, 1, tzinfo=UTC)
_APART = re.compile(r",? and (?!a (?:half|quarter)\b(?! (?:to|past|after)))|, ")
_ORDER = re.compile(r"\b(?:remind|wake|alarms?|timers?|reminders?|set)\b")
_HALF = re.compile(r"(?<![a-z])([ap])\.?m\b\.?|\b(?:in the |this |tomorrow )(morning|afternoon|evening|night)\b")
_DAY = re.compile(r"\b(?:today|tonight|tomorrow)\b")
_BARE = re.compile(
    r"(?:^|\b(?:for|at|one|another|alarms?|me|both) )(\d{1,2}(?::[0-5]\d)?)(?= to (?!\d)|$| [ap]\.?m\b| o'?clock)"
)
_CLOCK = re.compile(r"(\d{1,2})(?::[0-5]\d)?")
_OPEN = re.compile(
    r"\b(?:at|for|by|around|alarm|me) \d{1,2}(?::\d\d)?(?: ?[ap]\.?m\.?| o'?clock)? or (?:at |for |maybe )?\d|"
    r"\bbetween \d[\w:. ]{0,12} and \d"
)


class Alarm(NamedTuple):
    """`at` is a time of day, or a length, as it was said."""

    at: str
    about: str
    name: str


def unclear(text: str) -> bool:
    """Whether `text` leaves open which of two times is meant: "at seven or eight"."""
    return _OPEN.search(figures(text)) is not None


def in_turn(times: Sequence[str], now: datetime) -> list[datetime | None]:
    """When each of `times` is; one of which it is open whether it is before noon comes after the one before it."""
    found: list[datetime | None] = []
    for said in times:
        due = heard_time(said, now)
        before = found[-1] if found else None
        if due and before and due < before and not _HALF.search(said):
            due = heard_time(said, before)
        found.append(due)
    return found


def heard_alarms(text: str) -> list[Alarm]:
    """The alarms that a text asks for, none where it asks for less than two. What one part leaves out, such as "a.m.", "tomorrow"
    or what it is about, is taken from the others of the same order."""
    parts = [part for part in _APART.split(figures(text)) if part.strip()]
    if len(parts) > MOST:
        return []
    told = [_told(part) for part in parts]
    if len([one for one in told if one]) < 2 or not any(one and heard_time(one, _NOW) for one in told):
        return []
    kept = [(part, one) for part, one in zip(parts, told, strict=True) if one]
    whole = [_completed(at, [one for _, one in kept]) for at in range(len(kept))]
    orders = _orders([part for part, _ in kept])
    abouts = [heard_about(part if _ORDER.search(part) else f"remind me {part}") for part, _ in kept]
    alarms = []
    for at, (part, _) in enumerate(kept):
        shared = [abouts[other] for other in range(len(kept)) if orders[other] == orders[at] and abouts[other]]
        about = abouts[at] or (shared[0] if len(shared) == 1 else "")
        alarms.append(Alarm(whole[at], about, heard_name(part)))
    return alarms


def _told(part: str) -> str:
    """What a part of a sentence tells of a time, "" for nothing."""
    if bare := _BARE.search(part):
        return f"at {part[bare.start(1) :]}" if not heard_time(part, _NOW) else part
    if heard_time(part, _NOW):
        return part
    return part if heard_length(part) and (_ORDER.search(part) or re.search(r"\b(?:one|another)\b", part)) else ""


def _completed(at: int, told: list[str]) -> str:
    """A time with the half of the day and the day that stand with another one. "11 and 1 p.m." are not both p.m."""
    said = told[at]
    if heard_time(said, _NOW) is None:
        return said
    near = [*told[at + 1 :], *reversed(told[:at])]
    if not _HALF.search(said) and (half := next((found for one in near if (found := _HALF.search(one))), None)):
        late = half[1] == "p" or half[2] in ("afternoon", "evening", "night")
        other = _CLOCK.search(half.string)
        own = _CLOCK.search(said)
        if own and other and half.string in told[at + 1 :] and int(own[1]) % 12 > int(other[1]) % 12:
            late = not late
        if own and int(own[1]) <= 12:
            said = f"{said[: own.end()]} {'pm' if late else 'am'}{said[own.end() :]}"
    if not _DAY.search(said) and (day := next((found for one in near if (found := _DAY.search(one))), None)):
        said = f"{said} {day[0]}"
    return said


def _orders(parts: list[str]) -> list[int]:
    """Which order each part belongs to: one that has no verb of its own goes with the part before it."""
    found: list[int] = []
    order = 0
    for part in parts:
        order += bool(found) and _ORDER.search(part) is not None
        found.append(order)
    return found
