"""What a language gives the tools: how their arguments are heard in spoken text, and how their values are said."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

LONGEST_S = 86_400.0  # of a timer
MOST = 20  # timers of one conversation at a time: all are kept with it, and each is told
LONGEST_ABOUT = 200  # characters of a text that is handed to a tool: what a reminder is about, a place, a day


class Timer(Protocol):
    """A running timer."""

    @property
    def due_ms(self) -> float:
        """When it is over: wall-clock time, ms since 1970 (UTC)."""

    @property
    def length_s(self) -> float:
        """How long it was set for, in seconds."""

    @property
    def about(self) -> str:
        """What it reminds of, such as "check the oven"; "" for nothing."""

    @property
    def name(self) -> str:
        """What it is called, such as "pasta"; "" for nothing."""

    @property
    def at_time(self) -> bool:
        """It was set for a time of day, as an alarm is."""


@dataclass(frozen=True, slots=True)
class Lately:
    """What is left of the last turn for one of few words to be about: the running `timers` that it spoke of, one that `rang` since
    then, and whether it `changed` any, which can be taken back."""

    timers: Sequence[Timer] = ()
    rang: Timer | None = None
    changed: bool = False


class Remembered(Protocol):
    """What is known when a tool's question is answered."""

    @property
    def request(self) -> str:
        """The turn that the tool asked about."""

    @property
    def timers(self) -> Sequence[Timer]:
        """Those that run."""


T = TypeVar("T", bound=Timer)
Arguments = dict[str, Any]


class Meant(Protocol):
    """Tells which timers are meant."""

    def __call__(self, timers: Sequence[T], which: str) -> list[T]:
        """Those of `timers` that `which` names, in the order in which they are over; all where it names none."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How one tool's arguments are heard: `listen` gets them out of a turn, None where they are missing, and `take` out of the
    answer to the tool's own question, None where it is no answer to it. Without `take` an answer is heard as a turn is. `ask` names
    the line that asks for what a turn leaves out; without it that is the tool's own. `adds` is what a turn tells that answers
    less than what was asked, "" for nothing: it is put to what was said before, and what is still missing is asked for again.
    `follows` are the arguments of a turn that only makes sense after one that had those that it is given ("and in London?"), None
    where it does not."""

    listen: Callable[[str], Arguments | None]
    take: Callable[[str, Remembered], Arguments | Awaitable[Arguments | None] | None] | None = None
    ask: Callable[[str], str] | None = None
    adds: Callable[[str], str] = lambda text: ""
    follows: Callable[[str, Arguments], Arguments | Awaitable[Arguments | None] | None] = lambda text, before: None


def _all(timers: Sequence[T], which: str) -> list[T]:
    return sorted(timers, key=lambda timer: timer.due_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Understanding:
    """What is understood of spoken text; by default nothing.

    `tools` says by a tool's name how its arguments are heard. `length` is a length of time in seconds, `day` the day that is named
    seen from today, `moment` the next time at which the clock shows what is said, `moments` those of several that follow
    each other. `measure` is what is asked of a day: its "week", its "day of the year", or how many "days" or "weeks" it is away,
    which are counted to or from the day `counted`; `span` are two days between which they are, `whole` the first day of a month or
    a year of whose days it is asked, and that of the next. `repeats` finds that something is to happen again
    and again. `meant` are the timers that are meant, `means_all` whether several are at once. `zones` are the IANA zones of a place
    (one where it is clear, several where it has several), `apart` the places of "Paris and Rome"; both may take most of a second.
    `parts` are the several wishes of one turn, in order ("set a timer, and what time is it?"), the turn itself where it has one.
    `sought` is what is to be looked up, `wanted` the intent of a turn whose words tell it for certain, by themselves or after what
    was spoken of `Lately`, else what a classifier takes it for. `of_its_kind` is the length or the time of day that is meant where
    one is named for a timer instead of its own: "ten" is ten minutes for one of five; "" where that is not clear."""

    tools: Mapping[str, Heard] = field(default_factory=dict)
    length: Callable[[str], float | None] = lambda text: None
    day: Callable[[str, date], date | None] = lambda text, today: None
    moment: Callable[[str, datetime], datetime | None] = lambda text, now: None
    moments: Callable[[Sequence[str], datetime], list[datetime | None]] = lambda texts, now: [None] * len(texts)
    measure: Callable[[str], str] = lambda text: ""
    counted: Callable[[str, date], date | None] = lambda text, today: None
    span: Callable[[str, date], tuple[date, date] | None] = lambda text, today: None
    whole: Callable[[str, date], tuple[date, date] | None] = lambda text, today: None
    repeats: Callable[[str], bool] = lambda text: False
    meant: Meant = _all
    means_all: Callable[[str], bool] = lambda which: False
    means_last: Callable[[str], bool] = lambda which: not which
    zones: Callable[[str], list[str]] = lambda place: []
    apart: Callable[[str], list[str]] = lambda place: [place]
    parts: Callable[[str], Sequence[str]] = lambda text: [text]
    sought: Callable[[str], str] = lambda text: text
    wanted: Callable[[str, str, Sequence[Timer], Lately], str] = lambda intent, text, timers, lately: intent
    of_its_kind: Callable[[str, Timer], str] = lambda at, timer: at


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Sayings:
    """How values are said; by default in figures, for a voice that reads them.

    `together` and `either` join some of which all, or one, are meant. `length` is a length of time in seconds, and `within` so long
    from now; `time` is a time of day, and `at` that it is then. `day` is a date seen from today, `full` one on its own, `short` one
    without its weekday, with or without the year; `days` are so many, as "days" or as "weeks". `letters` is a word letter by
    letter. `timers` names running timers, `left` how long each has still to run, in seconds, with what it is called. `reminder` is
    the line that reminds of something, by its words."""

    together: Callable[[Sequence[str]], str] = _joined
    either: Callable[[Sequence[str]], str] = _joined
    length: Callable[[float], str] = lambda seconds: f"{max(1, round(seconds))} s"
    time: Callable[[datetime], str] = lambda time: f"{time:%H:%M}"
    within: Callable[[float], str] = lambda seconds: f"+{max(1, round(seconds))} s"
    at: Callable[[datetime], str] = lambda time: f"{time:%H:%M}"
    day: Callable[[date, date], str] = lambda day, today: day.isoformat()
    full: Callable[[date], str] = lambda day: day.isoformat()
    short: Callable[[date, bool], str] = lambda day, year: f"{day:%Y-%m-%d}" if year else f"{day:%m-%d}"
    days: Callable[[int, str], str] = lambda days, measure: str(days)
    letters: Callable[[str], str] = lambda word: ", ".join(re.sub(r"\W", "", word).upper())
    timers: Callable[[Sequence[Timer]], str] = lambda timers: _joined([timer.name or timer.about for timer in timers])
    left: Callable[[Sequence[tuple[float, str]]], str] = lambda left: _joined([f"{round(seconds)} s" for seconds, _ in left])
    reminder: Callable[[str], str] = lambda about: "reminder_due"
