"""The tools that come with Parley: the clock, timers, and a search in the knowledge."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from app.moments import figures, heard_day, heard_time
from app.places import zones_of
from app.timers import LONGEST_S, MOST, Timer, heard_length, said_length
from app.tools import Desk, ToolError, tool

PASSAGES = 3
LONGEST_ABOUT = 200  # characters of what a reminder is about

_REMINDS = re.compile(r"\b(?:remind me|timer|alarm)\b", re.IGNORECASE)
_TO_DO = re.compile(r"\bto (?!\d)", re.IGNORECASE)
_WHEN = re.compile(
    r" ?\b(?:in|for|after) [\w .-]{0,40}?(?:hour|minute|second|day)s?\b(?: and a (?:half|quarter)| (?:and )?(?:ten|fifteen|twenty|"
    r"thirty|forty|fifty|\d\d)(?:[ -]five)?\b)?",
    re.IGNORECASE,
)
_AT = re.compile(
    r" ?\b(?:at (?=\w)|for (?=\w{1,9} o'?clock\b|noon|midnight))(?:half past |quarter (?:past|to) )?[\w:]{1,9}"
    r"(?: (?:o'?clock|thirty|fifteen|forty[ -]five|[ap]\.?m\b\.?|in the (?:morning|afternoon|evening))){0,3}"
    r"(?: (?:tomorrow|today|tonight))?|\b(?:tomorrow|tonight)\b",
    re.IGNORECASE,
)
_NAMED = (
    re.compile(r"\b(?:called|named|labell?ed) ([\w'’ -]{1,40})"),
    re.compile(r"(?:^|\b(?:an?|the|my|another|set|start|cancel|stop) )((?:[^\W\d_][\w'’-]{0,20} ){1,3})(?:timer|alarm)\b"),
    re.compile(r"\b(?:timer|alarm) (?:for|on) (?:the |my |some )?([^\W\d_][\w'’ -]{0,40})"),
)
_NO_NAME = frozenset(
    "a an the my our some me please now timer timers alarm reminder new another more one other second first last next long short "
    "quick hour hours minute minutes sec seconds day days half quarter and of to for in on it that this cancel set "
    "start stop".split()
)
_ALL = re.compile(r"\b(?:all|both|every|everything|each|timers|alarms|reminders)\b")
_IN_PLACE = re.compile(r"(?<!\w)(?:in|at|for) ([^\W\d_][\w.'’-]{0,30}(?:,? [^\W\d_][\w.'’-]{0,30}){0,5})", re.IGNORECASE)
_PLACES_TIME = re.compile(r"(?<!\w)([A-Z][\w.'’-]{1,30}(?: [A-Z][\w.'’-]{1,30}){0,3}) (?:time|date)\b")
_NO_PLACE = frozenset(
    "right now please today tomorrow currently here there moment time date day days week weeks month year hour hours minute "
    "minutes morning afternoon evening me us you a an my your what what's the current local is it at in then exactly again "
    "words "
    "english a one two three four five six seven eight nine ten sure summer winter spring autumn general total".split()
)
_SEARCH = re.compile(
    r"^\W*(?:(?:please|can you|could you|would you|okay|hey|parley)\W+)*"
    r"(?:search(?: (?:in |through )?(?:the|your|my) [\w ]+?)? for|"
    r"look (?:up|for)|find (?:me |out )?(?:something |anything )?(?:about|on)|"
    r"what (?:do|does) (?:you|the|your|my) ?[\w ]*? (?:have on|have about|say about))\s+(\S.*)",
    re.IGNORECASE | re.DOTALL,
)


def sought(text: str) -> str:
    """What `text` wants to have looked up: "search the knowledge base for jitter buffers" seeks "jitter buffers"."""
    match = _SEARCH.fullmatch(text)
    return match[1] if match else text


def _now(desk: Desk, zone: str = "") -> datetime:
    try:
        where = ZoneInfo(zone or desk.settings.time_zone) if zone or desk.settings.time_zone else None
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ToolError(f"{zone} is no time zone such as Europe/Berlin") from error
    return datetime.fromtimestamp(desk.clock.epoch_ms() / 1000).astimezone(where)


def _place(text: str) -> str:
    """The place that a question for the time or the date names, "" for none."""
    found = [*_IN_PLACE.findall(text)[-1:], *_PLACES_TIME.findall(text)[:1]]
    words = found[0].rstrip(".,").split() if found else []
    while words and words[-1].lower().strip(".,") in _NO_PLACE:
        words.pop()
    return "" if any(word.lower() in _NO_PLACE for word in words[:1]) else " ".join(words)[:LONGEST_ABOUT]


def _clock_heard(text: str) -> dict[str, Any]:
    return {"place": _place(text)}


def _date_heard(text: str) -> dict[str, Any]:
    named = heard_day(text, date(2000, 1, 1)) is not None
    return {"place": _place(text), "day": text[:LONGEST_ABOUT] if named else ""}


async def _there(desk: Desk, zone: str, place: str) -> tuple[datetime | None, str]:
    """The time now, of a place where one is named; None and a word on it where that cannot be told."""
    if not place:
        return _now(desk, zone), ""
    zones = await asyncio.to_thread(zones_of, place)
    times = {_now(desk, one).utcoffset(): _now(desk, one) for one in zones if one}
    if len(times) == 1 and len(zones) == len(list(filter(None, zones))):
        return next(iter(times.values())), ""
    return None, desk.dialogue.line("place_several" if zones else "place_unknown", place=place)


Zone = Annotated[str, Field(description="IANA name such as Europe/Berlin; empty for the user's own")]
Place = Annotated[
    str, Field(max_length=LONGEST_ABOUT, description="a city or country, where one is named; then no zone is needed")
]


@tool(intent="time", listen=_clock_heard)
async def current_time(desk: Desk, zone: Zone = "", place: Place = "") -> str:
    """The time of day, now."""
    now, problem = await _there(desk, zone, place)
    if now is None:
        return problem
    return desk.dialogue.line("time_in" if place else "time", time=f"{now:%-I:%M %p}", place=place)


@tool(intent="date", listen=_date_heard)
async def current_date(
    desk: Desk,
    zone: Zone = "",
    place: Place = "",
    day: Annotated[str, Field(max_length=LONGEST_ABOUT, description="another day, as the user named it: 'next Friday'")] = "",
) -> str:
    """Today's weekday and date, or those of another day."""
    now, problem = await _there(desk, zone, place)
    if now is None:
        return problem
    today = now.date()
    then = heard_day(day, today) if day else today
    if then is None:
        return desk.dialogue.line("day_unknown")
    days = (then - today).days
    far = f", in {days} days" if days > 1 else ""
    return desk.dialogue.line("date" if not days else "date_then", date=f"{then:%A, %B %-d, %Y}{far}")


def _timer_heard(text: str) -> dict[str, Any] | None:
    length = heard_length(text)
    if length is None or length > LONGEST_S:
        return None
    return {"seconds": length, "about": _about(text), "name": _name(text)}


def _alarm_heard(text: str) -> dict[str, Any] | None:
    """A time of day, or a length that no timer has: what is said of it then is that it is too long."""
    length = heard_length(text)
    if heard_time(text, datetime(2000, 1, 1, tzinfo=UTC)) is None and (length or 0) <= LONGEST_S:
        return None
    return {"at": text[:LONGEST_ABOUT], "about": _about(text), "name": _name(text)}


def _about(text: str) -> str:
    """What somebody wants to be reminded of: "remind me in an hour to check the oven" is about "check the oven"."""
    rest = " ".join(_WHEN.sub("", " ".join(text.split())).split())
    reminds = _REMINDS.search(rest)
    to_do = _TO_DO.search(rest, reminds.end()) if reminds else None
    return _AT.sub("", rest[to_do.end() :]).rstrip(".?! ")[:LONGEST_ABOUT] if to_do else ""


def _name(text: str) -> str:
    """What a timer is called: "a pasta timer", "a timer for the pasta", "a timer called pasta"."""
    rest = _AT.sub("", _WHEN.sub("", " ".join(text.lower().split())))
    for pattern in _NAMED:
        if found := pattern.search(rest):
            words = [word for word in re.findall(r"[^\W_][\w'’]*", found[1]) if word not in _NO_NAME and figures(word) == word]
            if words and heard_length(found[1]) is None:
                return " ".join(words)
    return ""


def _set(desk: Desk, seconds: float, about: str, name: str, line: str, **values: str) -> str:
    if len(desk.memory.timers) >= MOST:
        return desk.dialogue.line("timer_full", count=str(MOST))
    desk.memory.timers.append(Timer(desk.clock.epoch_ms() + seconds * 1000, seconds, about, name))
    return desk.dialogue.line(line, **values)


About = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what it is for, if the user said so: 'take out the bread'")]
Name = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what the user calls it: 'pasta'")]


@tool(intent="set_timer", listen=_timer_heard, ask="timer_how_long", acts=True)
async def set_timer(
    desk: Desk,
    seconds: Annotated[float, Field(ge=1, le=LONGEST_S, description="length, at most a day")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets a timer, or a reminder. You will speak up when it is over."""
    return _set(desk, seconds, about, name, "timer_set", length=said_length(seconds))


@tool(intent="set_timer", listen=_alarm_heard, ask="timer_how_long", acts=True)
async def set_alarm(
    desk: Desk,
    at: Annotated[str, Field(max_length=LONGEST_ABOUT, description="the user's time of day: '17:30', 'tomorrow at 7:15 am'")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets an alarm, or a reminder, for a time of day. You will speak up then."""
    now = _now(desk)
    due = heard_time(at, now)
    seconds = (due - now).total_seconds() if due else heard_length(at)
    if seconds is None:
        raise ToolError(f"{at} is no time of day such as 17:30")
    if not 0 < seconds <= LONGEST_S or due is None:
        return desk.dialogue.line("timer_too_long")
    return _set(desk, seconds, about, name, "alarm_set", time=f"{due:%-I:%M %p}")


def _which_heard(text: str) -> dict[str, Any]:
    return {"which": text[:LONGEST_ABOUT]}


def _meant(timers: Sequence[Timer], which: str) -> list[Timer]:
    """Those of `timers` that are named by length, name or purpose; all where nothing is named."""
    said, length = set(figures(which).split()), heard_length(which)
    ordered = sorted(timers, key=lambda timer: timer.due_ms)
    if length is not None:
        return [timer for timer in timers if timer.length_s == length]
    named = [timer for timer in timers if said & (set(figures(f"{timer.name} {timer.about}").split()) - _NO_NAME)]
    if named or _name(which):
        return named
    return ordered[:1] if said & {"first", "1st", "next"} else ordered[-1:] if said & {"last", "latest"} else ordered


Which = Annotated[str, Field(max_length=LONGEST_ABOUT, description="a timer's name, length or purpose, or 'all'")]


@tool(intent="cancel_timer", listen=_which_heard, acts=True)
async def cancel_timers(
    desk: Desk,
    seconds: Annotated[float | None, Field(description="only the timer of this length")] = None,
    which: Which = "",
) -> str:
    """Cancels running timers."""
    timers = desk.memory.timers
    meant = [timer for timer in _meant(timers, which) if seconds is None or timer.length_s == seconds]
    if not meant:
        return desk.dialogue.line("timer_no_such" if timers else "timer_none", running=_called(timers))
    if len(meant) > 1 and not _ALL.search(which.lower()) and heard_length(which) is None and seconds is None:
        return desk.dialogue.line("timer_which", running=_called(timers))
    timers[:] = [timer for timer in timers if timer not in meant]
    return desk.dialogue.line("timer_cancelled")


def _called(timers: Sequence[Timer]) -> str:
    return " and ".join(f"the one for {timer.called}" for timer in timers)


@tool(intent="list_timers", listen=_which_heard)
async def list_timers(desk: Desk, which: Which = "") -> str:
    """How long the running timers still take."""
    now, timers = desk.clock.epoch_ms(), sorted(desk.memory.timers, key=lambda timer: timer.due_ms)
    meant = sorted(_meant(timers, which), key=lambda timer: timer.due_ms)
    if not meant:
        return desk.dialogue.line("timer_no_such" if timers else "timer_none", running=_called(timers))
    left = [
        said_length(max(0.0, timer.due_ms - now) / 1000) + (f" for {timer.name}" if timer.name and len(meant) > 1 else "")
        for timer in meant
    ]
    return desk.dialogue.line("timer_left", left=", then ".join(left))


@tool()
async def search_knowledge(
    desk: Desk, query: Annotated[str, Field(min_length=1, description="a question or a few words")]
) -> str:
    """Searches the knowledge base for more than the passages that came with the question."""
    passages = await desk.services.retrieval.search(query, PASSAGES)
    return "\n".join(f"{passage.title}: {passage.text}" for passage in passages)
