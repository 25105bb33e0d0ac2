"""The tools that come with Parley: timers and alarms, spelling, a search in the knowledge, and those of `clock`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import zip_longest
from typing import Annotated, Any

from pydantic import Field

from app.dialogue.context import AgentContext
from app.dialogue.memory import Memory, Timer
from app.tools.alarms import heard_alarms, in_turn, unclear
from app.tools.clock import now_of
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
    if unclear(text):
        return None
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
At = Annotated[str, Field(max_length=LONGEST_ABOUT, description="the user's time of day: '17:30', 'tomorrow at 7:15 am'")]
Name = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what the user calls it: 'pasta'")]


Which = Annotated[str, Field(max_length=LONGEST_ABOUT, description="a timer's name, length or purpose, or 'all'")]


def _among(timer: Timer, some: Sequence[Timer]) -> bool:
    """Whether it is one of these very timers: two that were set at once are alike."""
    return any(timer is other for other in some)


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
        replace(t, due_ms=t.due_ms + seconds * 1000, length_s=t.length_s + seconds) if _among(t, some) else t for t in timers
    ]
    return context.dialogue.line("timer_extended", length=said_length(seconds))


def _ask_when(text: str) -> str:
    """The line that asks for what is missing: a timer has a length, a reminder and an alarm a time."""
    order = re.search(r"\b(?:(remind|alarm|wake)|timer|count ?down)", text, re.IGNORECASE)
    if order is None or order[1] is None:
        return "timer_how_long"
    return "timer_what_time" if unclear(text) or heard_day(text, date(2000, 1, 1)) else "timer_when"


def _alarms_heard(text: str) -> dict[str, Any] | None:
    alarms = [] if _EVERY.search(text) or unclear(text) or heard_lengths(text) else heard_alarms(text)
    if not alarms:
        return None
    return {
        "at": [alarm.at[:LONGEST_ABOUT] for alarm in alarms],
        "abouts": [alarm.about for alarm in alarms],
        "names": [alarm.name for alarm in alarms],
    }


@tool(intent="set_timer", listen=_alarms_heard, acts=True)
async def set_alarms(
    context: AgentContext,
    at: Annotated[list[At], Field(min_length=2, max_length=MOST)],
    abouts: Annotated[Sequence[About], Field(max_length=MOST, description="what each is for")] = (),
    names: Annotated[Sequence[Name], Field(max_length=MOST, description="what the user calls each")] = (),
) -> str:
    """Sets several alarms, reminders or timers at once."""
    if len(context.memory.timers) + len(at) > MOST:
        return context.dialogue.line("timer_full", count=str(len(context.memory.timers)))
    now = now_of(context)
    dues = [_due(one, now, due) for one, due in zip(at, in_turn(at, now), strict=True)]
    if any(seconds is None for seconds, _ in dues):
        return context.dialogue.line("timer_too_long")
    told = zip_longest([seconds for seconds, _ in dues], abouts[: len(at)], names[: len(at)], fillvalue="")
    for seconds, about, name in told:
        _set(context, float(seconds or 0), str(about), str(name), "timer_set", length="")
    return context.dialogue.line("alarms_set", times=_listed([said for _, said in dues]))


def _due(at: str, now: datetime, due: datetime | None) -> tuple[float | None, str]:
    """How many seconds from now `at` is, which is at `due` or so long from now (None: more than a day), and how that is said."""
    if due is None and heard_day(at, now.date()) is not None:
        return None, ""
    seconds = (due - now).total_seconds() if due else heard_length(at)
    if seconds is None:
        raise ToolError(f"{at} is no time of day such as 17:30")
    said = f"at {due:%-I:%M %p}" if due else f"in {said_length(seconds)}"
    return (seconds if 0 < seconds <= LONGEST_S else None), said


@tool(intent="set_timer", listen=_timers_heard, acts=True)
async def set_timers(
    context: AgentContext,
    seconds: Annotated[list[Annotated[float, Field(ge=1, le=LONGEST_S)]], Field(min_length=1, max_length=MOST)],
    names: Annotated[Sequence[Name], Field(max_length=MOST, description="what the user calls each")] = (),
) -> str:
    """Sets several timers at once."""
    if len(context.memory.timers) + len(seconds) > MOST:
        return context.dialogue.line("timer_full", count=str(len(context.memory.timers)))
    for length, name in zip_longest(seconds, names[: len(seconds)], fillvalue=""):
        _set(context, float(length), "", name, "timer_set", length="")
    return context.dialogue.line("timers_set", lengths=_listed([said_length(length) for length in seconds]))


@tool(intent="set_timer", listen=_timer_heard, ask=_ask_when, acts=True)
async def set_timer(
    context: AgentContext,
    seconds: Annotated[float, Field(ge=1, le=LONGEST_S, description="length, at most a day")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets a timer, or a reminder. You will speak up when it is over."""
    return _set(context, seconds, about, name, "timer_set", length=said_length(seconds))


@tool(intent="set_timer", listen=_alarm_heard, take=_alarm_answered, ask=_ask_when, acts=True)
async def set_alarm(
    context: AgentContext,
    at: At,
    about: About = "",
    name: Name = "",
) -> str:
    """Sets an alarm, or a reminder, for a time of day. You will speak up then."""
    now = now_of(context)
    if _EVERY.search(at):
        return context.dialogue.line("timer_once")
    seconds, said = _due(at, now, heard_time(at, now))
    if seconds is None:
        return context.dialogue.line("timer_too_long")
    return _set(context, seconds, about, name, "alarm_set", time=said)


def _which_heard(text: str) -> dict[str, Any]:
    return {"which": text[:LONGEST_ABOUT]}


def _which_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    """The answer is about those of which it was asked."""
    which = chosen(meant(memory.timers, memory.request), text)
    return {"which": which[:LONGEST_ABOUT], "among": memory.request[:LONGEST_ABOUT]} if which else None


@tool(intent="cancel_timer", listen=_which_heard, take=_which_answered, acts=True)
async def cancel_timers(
    context: AgentContext,
    seconds: Annotated[float | None, Field(description="only the timer of this length")] = None,
    which: Which = "",
    among: Annotated[str, Field(max_length=LONGEST_ABOUT, description="of several that this names, only `which`")] = "",
) -> str:
    """Cancels running timers."""
    timers = context.memory.timers
    some = [timer for timer in meant(meant(timers, among), which) if seconds is None or timer.length_s == seconds]
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=called(timers))
    if len(some) > 1 and not of_all(which):
        return Asks(context.dialogue.line("timer_which", running=called(some)))
    timers[:] = [timer for timer in timers if not _among(timer, some)]
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
    context: AgentContext,
    query: Annotated[str, Field(min_length=1, max_length=LONGEST_ABOUT, description="a question or a few words")],
) -> str:
    """Searches the knowledge base for more than the passages that came with the question."""
    passages = await context.services.retrieval.search(query, PASSAGES)
    return "\n".join(f"{passage.title}: {passage.text}" for passage in passages)
