"""The tools that come with Parley: the clock, timers, and a search in the knowledge."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import zip_longest
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from app.dialogue.context import AgentContext
from app.dialogue.memory import Memory, Timer
from app.tools.registry import Asks, ToolError, tool
from app.tools.timers import (
    LONGEST_ABOUT,
    LONGEST_S,
    MOST,
    called,
    chosen,
    heard_about,
    heard_length,
    heard_lengths,
    heard_name,
    meant,
    of_all,
    said_length,
)
from languages.en.dates import heard_day, heard_time
from languages.en.places import answered_place, heard_place, zones_of
from languages.en.spelling import heard_word, letters, named_word

PASSAGES = 3

_EVERY = re.compile(r"\b(?:every|each|daily|weekly|weekdays)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:add|extend|prolong|lengthen)\b", re.IGNORECASE)
_EITHER = re.compile(r"\btimer (?:for|of|to) \d{1,2}[:.]\d\d\b(?! ?[ap]\.?m)", re.IGNORECASE)
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


def _now(context: AgentContext, zone: str = "") -> datetime:
    try:
        where = ZoneInfo(zone or context.settings.time_zone) if zone or context.settings.time_zone else None
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ToolError(f"{zone} is no time zone such as Europe/Berlin") from error
    return datetime.fromtimestamp(context.clock.epoch_ms() / 1000).astimezone(where)


def _clock_heard(text: str) -> dict[str, Any]:
    ago = -1 if re.search(r"\bago\b", text) else 1
    return {"place": heard_place(text), "seconds": ago * (heard_length(text) or 0)}


async def _clock_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    place = await asyncio.to_thread(answered_place, text)
    return {"place": place} if place else None


def _date_heard(text: str) -> dict[str, Any]:
    named = heard_day(text, date(2000, 1, 1)) is not None
    return {"place": heard_place(text), "day": text[:LONGEST_ABOUT] if named else ""}


async def _there(context: AgentContext, zone: str, place: str) -> tuple[datetime | None, str]:
    """The time now, of a place where one is named; None and a word on it where that cannot be told."""
    if not place:
        return _now(context, zone), ""
    zones = await asyncio.to_thread(zones_of, place)
    times = {_now(context, one).utcoffset(): _now(context, one) for one in zones if one}
    if len(times) == 1 and len(zones) == len(list(filter(None, zones))):
        return next(iter(times.values())), ""
    if zones:
        return None, Asks(context.dialogue.line("place_several", place=place))
    return None, context.dialogue.line("place_unknown", place=place)


Zone = Annotated[str, Field(description="IANA name such as Europe/Berlin; empty for the user's own")]
Place = Annotated[
    str, Field(max_length=LONGEST_ABOUT, description="a city or country, where one is named; then no zone is needed")
]


@tool(intent="time", listen=_clock_heard, take=_clock_answered)
async def current_time(
    context: AgentContext,
    zone: Zone = "",
    place: Place = "",
    seconds: Annotated[float, Field(ge=-31_622_400, le=31_622_400, description="another moment: so long from now")] = 0,
) -> str:
    """The time of day, now."""
    apart = re.split(r",? and ", place)
    if len(apart) == 2 and all([await asyncio.to_thread(zones_of, one) for one in apart]):  # noqa: RUF100
        first, second = [await current_time(context, place=one, seconds=seconds) for one in apart]
        return f"{first} {second}"
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    then = f"{now + timedelta(seconds=seconds):%-I:%M %p}"
    if seconds:
        return context.dialogue.line("time_then_in" if place else "time_then", time=then, place=place)
    return context.dialogue.line("time_in" if place else "time", time=then, place=place)


@tool(intent="date", listen=_date_heard)
async def current_date(
    context: AgentContext,
    zone: Zone = "",
    place: Place = "",
    day: Annotated[str, Field(max_length=LONGEST_ABOUT, description="another day, as the user named it: 'next Friday'")] = "",
) -> str:
    """Today's weekday and date, or those of another day."""
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    today = now.date()
    then = heard_day(day, today) if day else today
    if then is None:
        return context.dialogue.line("day_unknown")
    days = (then - today).days
    far = f", in {days} days" if days > 1 else ""
    return context.dialogue.line("date" if not days else "date_then", date=f"{then:%A, %B %-d, %Y}{far}")


def _timer_heard(text: str) -> dict[str, Any] | None:
    length = heard_length(text)
    if length is None or length > LONGEST_S or _EVERY.search(text):
        return None
    return {"seconds": length, "about": heard_about(text), "name": heard_name(text)}


def _timers_heard(text: str) -> dict[str, Any] | None:
    timers = heard_lengths(text)
    if not timers or any(length > LONGEST_S for length, _ in timers):
        return None
    return {"seconds": [length for length, _ in timers], "names": [heard_name(words) for _, words in timers]}


def _alarm_heard(text: str) -> dict[str, Any] | None:
    """A time of day, a day, or a length that no timer has: what is said of it then is that it is too long. "A timer for 1:30" may
    be a length as well, and is asked for."""
    length, now = heard_length(text), datetime(2000, 1, 1, tzinfo=UTC)
    day = heard_day(text, now.date())
    told = heard_time(text, now) is not None and _EITHER.search(text) is None
    far = (length or 0) > LONGEST_S or (day is not None and (day - now.date()).days > 1)
    if not told and not far and not _EVERY.search(text):
        return None
    return {"at": text[:LONGEST_ABOUT], "about": heard_about(text), "name": heard_name(text)}


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]


def _alarm_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    """The time of day, of the day that was named before."""
    told = _alarm_heard(text)
    if told and heard_day(memory.request, date(2000, 1, 1)) is not None:
        told["at"] = f"{memory.request} {text}"[:LONGEST_ABOUT]
    return told


def _set(context: AgentContext, seconds: float, about: str, name: str, line: str, **values: str) -> str:
    if len(context.memory.timers) >= MOST:
        return context.dialogue.line("timer_full", count=str(MOST))
    context.memory.timers.append(Timer(context.clock.epoch_ms() + seconds * 1000, seconds, about, name))
    return context.dialogue.line(line, **values)


About = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what it is for, if the user said so: 'take out the bread'")]
Name = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what the user calls it: 'pasta'")]


Which = Annotated[str, Field(max_length=LONGEST_ABOUT, description="a timer's name, length or purpose, or 'all'")]


def _more_heard(text: str) -> dict[str, Any] | None:
    length = heard_length(text) if _MORE.search(text) else None
    return {"seconds": length, "which": heard_name(text)} if length else None


def _more_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    which = chosen(memory.timers, text)
    return {"seconds": None, "which": which} if which and _MORE.search(memory.request) else None


@tool(intent="set_timer", listen=_more_heard, take=_more_answered, acts=True)
async def extend_timer(context: AgentContext, seconds: Annotated[float, Field(ge=1, le=LONGEST_S)], which: Which = "") -> str:
    """Gives a running timer more time."""
    timers, some = context.memory.timers, meant(context.memory.timers, which)
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=called(timers))
    if len(some) > 1 and not of_all(which):
        return Asks(context.dialogue.line("timer_which_longer", running=called(some)))
    timers[:] = [
        replace(t, due_ms=t.due_ms + seconds * 1000, length_s=t.length_s + seconds) if t in some else t for t in timers
    ]
    return context.dialogue.line("timer_extended", length=said_length(seconds))


@tool(intent="set_timer", listen=_timers_heard, acts=True)
async def set_timers(
    context: AgentContext,
    seconds: Annotated[list[Annotated[float, Field(ge=1, le=LONGEST_S)]], Field(min_length=1, max_length=MOST)],
    names: Annotated[Sequence[Name], Field(description="what the user calls each")] = (),
) -> str:
    """Sets several timers at once."""
    if len(context.memory.timers) + len(seconds) > MOST:
        return context.dialogue.line("timer_full", count=str(len(context.memory.timers)))
    for length, name in zip_longest(seconds, names[: len(seconds)], fillvalue=""):
        _set(context, float(length), "", name, "timer_set", length="")
    return context.dialogue.line("timers_set", lengths=_listed([said_length(length) for length in seconds]))


@tool(intent="set_timer", listen=_timer_heard, ask="timer_how_long", acts=True)
async def set_timer(
    context: AgentContext,
    seconds: Annotated[float, Field(ge=1, le=LONGEST_S, description="length, at most a day")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets a timer, or a reminder. You will speak up when it is over."""
    return _set(context, seconds, about, name, "timer_set", length=said_length(seconds))


@tool(intent="set_timer", listen=_alarm_heard, take=_alarm_answered, ask="timer_how_long", acts=True)
async def set_alarm(
    context: AgentContext,
    at: Annotated[str, Field(max_length=LONGEST_ABOUT, description="the user's time of day: '17:30', 'tomorrow at 7:15 am'")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets an alarm, or a reminder, for a time of day. You will speak up then."""
    now = _now(context)
    if _EVERY.search(at):
        return context.dialogue.line("timer_once")
    due, day = heard_time(at, now), heard_day(at, now.date())
    if due is None and day is not None:
        return context.dialogue.line("timer_too_long")
    seconds = (due - now).total_seconds() if due else heard_length(at)
    if seconds is None:
        raise ToolError(f"{at} is no time of day such as 17:30")
    if not 0 < seconds <= LONGEST_S or due is None:
        return context.dialogue.line("timer_too_long")
    return _set(context, seconds, about, name, "alarm_set", time=f"{due:%-I:%M %p}")


def _which_heard(text: str) -> dict[str, Any]:
    return {"which": text[:LONGEST_ABOUT]}


def _which_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    which = chosen(memory.timers, text)
    return {"which": which[:LONGEST_ABOUT]} if which else None


@tool(intent="cancel_timer", listen=_which_heard, take=_which_answered, acts=True)
async def cancel_timers(
    context: AgentContext,
    seconds: Annotated[float | None, Field(description="only the timer of this length")] = None,
    which: Which = "",
) -> str:
    """Cancels running timers."""
    timers = context.memory.timers
    some = [timer for timer in meant(timers, which) if seconds is None or timer.length_s == seconds]
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=called(timers))
    if len(some) > 1 and not of_all(which) and heard_length(which) is None and seconds is None:
        return Asks(context.dialogue.line("timer_which", running=called(some)))
    timers[:] = [timer for timer in timers if timer not in some]
    return context.dialogue.line("timer_cancelled")


@tool(intent="list_timers", listen=_which_heard)
async def list_timers(context: AgentContext, which: Which = "") -> str:
    """How long the running timers still take."""
    now, timers = context.clock.epoch_ms(), sorted(context.memory.timers, key=lambda timer: timer.due_ms)
    some = meant(timers, which)
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=called(timers))
    left = [
        said_length(max(0.0, timer.due_ms - now) / 1000) + (f" for {timer.name}" if timer.name and len(some) > 1 else "")
        for timer in some
    ]
    return context.dialogue.line("timer_left", left=", then ".join(left))


@tool(
    intent="spell",
    listen=lambda text: {"word": word} if (word := heard_word(text)) else None,
    take=lambda text, memory: {"word": word} if (word := named_word(text)) else None,
    ask="spell_what",
)
async def spell_word(context: AgentContext, word: Annotated[str, Field(min_length=1, max_length=LONGEST_ABOUT)]) -> str:
    """How a word is spelled, letter by letter."""
    return context.dialogue.line("spelled", word=word, letters=letters(word))


@tool()
async def search_knowledge(
    context: AgentContext, query: Annotated[str, Field(min_length=1, description="a question or a few words")]
) -> str:
    """Searches the knowledge base for more than the passages that came with the question."""
    passages = await context.services.retrieval.search(query, PASSAGES)
    return "\n".join(f"{passage.title}: {passage.text}" for passage in passages)
