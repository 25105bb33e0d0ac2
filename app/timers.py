"""Timers of a conversation: kept with what it remembers, and announced when they are due and nobody speaks."""

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from text_to_num import alpha2digit

from app.clock import Clock
from app.events import BargeIn, Disconnected, Happening, OnsetDismissed, Prompted, SpeechOnset, State, TurnEnded, TurnReopened

if TYPE_CHECKING:
    from app.dialogue import Memory
    from app.speaking import Speaking

LONGEST_S = 86_400.0

_UNITS = {"hour": 3600.0, "minute": 60.0, "second": 1.0}
_UNIT = r"(hour|minute|second)s?\b"
_SPELLINGS = (  # of spoken lengths, brought to the form "2.5 minute"
    (r"\b(hrs?|mins?|secs?)\b", lambda m: {"h": "hour", "m": "minute", "s": "second"}[m[1][0]]),
    (r"\bhalf an? (?=hour|minute)", lambda m: "0.5 "),
    (r"\b(?:a )?quarter of an (?=hour)", lambda m: "0.25 "),
    (r"\b(?:3|three) quarters of an (?=hour)", lambda m: "0.75 "),
    (r"\ba couple of\b", lambda m: "2"),
    (r"\b(?:an?|one)(?= (?:hour|minute|second))", lambda m: "1"),
    (rf"(\d+) and a half {_UNIT}", lambda m: f"{m[1]}.5 {m[2]}"),
    (rf"(\d+) {_UNIT} and a half\b", lambda m: f"{m[1]}.5 {m[2]}"),
    (rf"(\d+) {_UNIT} and (?:a quarter|0.25)\b", lambda m: f"{m[1]}.25 {m[2]}"),
)


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
        said = re.sub(pattern, spelling, said)
    parts = re.findall(rf"(\d+(?:\.\d+)?) {_UNIT}", said)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) or None


def said_length(seconds: float) -> str:
    """A length of time as it is said: "1 hour and 30 minutes"."""
    left, parts = max(1, round(seconds)), []
    for unit, size in _UNITS.items():
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count} {unit}" + ("s" if count > 1 else ""))
    return " and ".join(parts) if len(parts) < 3 else f"{parts[0]}, {parts[1]} and {parts[2]}"


def talks(event: Happening, before: bool) -> bool:
    """Whether the user speaks, or may be speaking, after `event`."""
    if isinstance(event, SpeechOnset | BargeIn | TurnReopened):
        return True
    return before and not isinstance(event, OnsetDismissed | TurnEnded | Disconnected)


class Host(Protocol):
    """What an alarm needs of the session."""

    state: State
    clock: Clock
    memory: "Memory"
    speaking: "Speaking"

    def happened(self, event: Happening) -> None: ...


class Alarm:
    """Has due timers announced one by one, when neither the user nor the agent speaks. A timer is done with when its announcement
    has begun to be heard: one that the user talks over before that is announced later."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._talking = False  # the user is, or may be
        self._saying: Timer | None = None
        self._handle: asyncio.TimerHandle | None = None

    def follow(self, event: Happening) -> None:
        """To be called after every event: a timer may have been set, or the agent may be free now."""
        self._talking = talks(event, self._talking)
        timers = self._host.memory.timers
        if self._host.state == "SPEAKING" and self._saying in timers:
            timers.remove(self._saying)
        if self._host.state != "LISTENING":
            self._saying = None
        self._look()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        self.stop()
        first = min(self._host.memory.timers, key=lambda timer: timer.due_ms, default=None)
        if first is None:
            return
        wait_ms = first.due_ms - self._host.clock.epoch_ms()
        reply = self._host.speaking.reply
        if wait_ms > 0:
            self._handle = asyncio.get_running_loop().call_later(wait_ms / 1000, self._look)
        elif self._host.state == "LISTENING" and not self._talking and (reply is None or reply.cancelled):
            self._saying = first
            line = "reminder_due" if first.about else "timer_due"
            self._host.happened(Prompted(line=line, values={"length": said_length(first.length_s), "about": first.about}))
