"""The tools that come with Parley: timers and alarms, spelling, a search in the knowledge, and the tools of `time_and_date`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import Annotated

from pydantic import Field

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Timer
from app.tools.registry import Asks, ToolError, tool
from app.tools.time_and_date import later, now_of, seconds_between
from app.tools.timers import exchange, pointed_at, ring_again, set_one, take_back
from languages.tools import LONGEST_ABOUT, LONGEST_S, MOST

PASSAGES = 3
NEAR_S = 6 * 3600.0  # before an alarm's time: its new time is looked for from then on


About = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what it is for, if the user said so: 'take out the bread'")]
At = Annotated[str, Field(max_length=LONGEST_ABOUT, description="the user's time of day: '17:30', 'tomorrow at 7:15 am'")]
Name = Annotated[str, Field(max_length=LONGEST_ABOUT, description="what the user calls it: 'pasta'")]


Which = Annotated[str, Field(max_length=LONGEST_ABOUT, description="a timer's name, length or purpose, or 'all'")]


def reverse(word: str) -> str:
    """`word` from its last letter to its first; marks above a letter stay with it."""
    return "".join(re.findall(r".[\u0300-\u036f]*", word)[::-1])


@tool(intent="set_timer", on_timers=True)
async def extend_timer(
    context: AgentContext, seconds: Annotated[float, Field(ge=-LONGEST_S, le=LONGEST_S)], which: Which = ""
) -> str:
    """Gives a running timer more time, or less: a negative number. One that has just rung begins again."""
    timers, hears = context.memory.timers, context.language.hears
    if (rang := context.memory.talk.rang) is not None and seconds > 0 and not hears.means_all(which):
        either = hears.meant([*timers, rang], which)
        if rang.among(either) and len(either) in (1, len(timers) + 1):
            return ring_again(context, rang, seconds)
    some = pointed_at(context, which)
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=context.language.says.timers(timers))
    if len(some) > 1 and not hears.means_all(which):
        return Asks(context.dialogue.line("timer_which_longer", running=context.language.says.timers(some)))
    exchange(context, some, lambda t: replace(t, due_ms=t.due_ms + seconds * 1000, length_s=t.length_s + seconds))
    return context.dialogue.line(
        "timer_extended" if seconds > 0 else "timer_shortened", length=context.language.says.length(abs(seconds))
    )


@tool(intent="set_timer", on_timers=True)
async def change_timer(context: AgentContext, at: At, which: Which = "", name: Name = "") -> str:
    """Gives a running timer another length from now on ("15 minutes"), or another time of day; sets one where none is meant."""
    some = pointed_at(context, which)
    if len(some) > 1 and not context.language.hears.means_all(which):
        return Asks(context.dialogue.line("timer_which_other", running=context.language.says.timers(some)))
    if some and not (at := context.language.hears.of_its_kind(at, some[0])):
        return Asks(context.dialogue.line("timer_how_long"))
    now = now_of(context)
    # Of a time that may be before noon or after, the one that is nearer the old time is meant.
    near = later(now, (some[0].due_ms - context.clock.epoch_ms()) / 1000 - NEAR_S) if some else now
    due = context.language.hears.moment(at, max(now, near))
    seconds, said = _due(context, at, now, due)
    if seconds is None:
        return context.dialogue.line("timer_too_long")
    if not some:
        return set_one(context, Timer(0, seconds, "", name, due is not None), "alarm_set", time=said)
    due_ms = context.clock.epoch_ms() + seconds * 1000
    exchange(context, some, lambda timer: replace(timer, due_ms=due_ms, length_s=seconds, at_time=due is not None))
    return context.dialogue.line("timer_changed", time=said)


@tool(intent="set_timer", on_timers=True)
async def name_timer(context: AgentContext, name: Annotated[str, Field(min_length=1, max_length=LONGEST_ABOUT)]) -> str:
    """Gives the timer that was set last a name."""
    timers = context.memory.timers
    if not timers:
        return context.dialogue.line("timer_none")
    exchange(context, timers[-1:], lambda timer: replace(timer, name=name))
    return context.dialogue.line("timer_named", called=name)


@tool(intent="set_timer", on_timers=True)
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
    dues = [_due(context, one, now, due) for one, due in zip(at, context.language.hears.moments(at, now), strict=True)]
    if any(seconds is None for seconds, _ in dues):
        return context.dialogue.line("timer_too_long")
    told = zip_longest([seconds for seconds, _ in dues], abouts[: len(at)], names[: len(at)], fillvalue="")
    for seconds, about, name in told:
        set_one(context, Timer(0, float(seconds or 0), str(about), str(name), True), "timer_set", length="")
    context.memory.talk.speak_of(context.memory.timers[-len(at) :])
    return context.dialogue.line("alarms_set", times=context.language.says.together([said for _, said in dues]))


def _due(context: AgentContext, at: str, now: datetime, due: datetime | None) -> tuple[float | None, str]:
    """How many seconds from now `at` is, which is at `due` or so long from now (None: more than a day), and how that is said."""
    hears, says = context.language.hears, context.language.says
    if due is None and hears.day(at, now.date()) is not None:
        return None, ""
    seconds = seconds_between(now, due) if due else hears.length(at)
    if seconds is None:
        raise ToolError(f"{at} is no time of day such as 17:30")
    said = says.at(due) if due else says.within(seconds)
    return (seconds if 0 < seconds <= LONGEST_S else None), said


@tool(intent="set_timer", on_timers=True)
async def set_timers(
    context: AgentContext,
    seconds: Annotated[list[Annotated[float, Field(ge=1, le=LONGEST_S)]], Field(min_length=1, max_length=MOST)],
    names: Annotated[Sequence[Name], Field(max_length=MOST, description="what the user calls each")] = (),
) -> str:
    """Sets several timers at once."""
    if len(context.memory.timers) + len(seconds) > MOST:
        return context.dialogue.line("timer_full", count=str(len(context.memory.timers)))
    for length, name in zip_longest(seconds, names[: len(seconds)], fillvalue=""):
        set_one(context, Timer(0, float(length), "", name), "timer_set", length="")
    context.memory.talk.speak_of(context.memory.timers[-len(seconds) :])
    says = context.language.says
    return context.dialogue.line("timers_set", lengths=says.together([says.length(length) for length in seconds]))


@tool(intent="set_timer", ask="timer_how_long", on_timers=True)
async def set_timer(
    context: AgentContext,
    seconds: Annotated[float, Field(ge=1, le=LONGEST_S, description="length, at most a day")],
    about: About = "",
    name: Name = "",
) -> str:
    """Sets a timer, or a reminder. You will speak up when it is over."""
    return set_one(context, Timer(0, seconds, about, name), "timer_set", length=context.language.says.length(seconds))


@tool(intent="set_timer", ask="timer_how_long", on_timers=True)
async def set_alarm(
    context: AgentContext,
    at: At,
    about: About = "",
    name: Name = "",
) -> str:
    """Sets an alarm, or a reminder, for a time of day. You will speak up then."""
    now = now_of(context)
    if context.language.hears.repeats(at):
        return context.dialogue.line("timer_once")
    due = context.language.hears.moment(at, now)
    seconds, said = _due(context, at, now, due)
    if seconds is None:
        return context.dialogue.line("timer_too_long")
    return set_one(context, Timer(0, seconds, about, name, due is not None), "alarm_set", time=said)


@tool(intent="cancel_timer", on_timers=True)
async def cancel_timers(
    context: AgentContext,
    seconds: Annotated[float | None, Field(description="only the timer of this length")] = None,
    which: Which = "",
    among: Annotated[str, Field(max_length=LONGEST_ABOUT, description="of several that this names, only `which`")] = "",
    last: Annotated[bool, Field(description="what the last turn did to timers is taken back, and no other is meant")] = False,
) -> str:
    """Cancels running timers."""
    if last:
        return take_back(context)
    timers, meant = context.memory.timers, context.language.hears.meant
    some = [timer for timer in meant(meant(timers, among), which) if seconds is None or timer.length_s == seconds]
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=context.language.says.timers(timers))
    if len(some) > 1 and not context.language.hears.means_all(which):
        return Asks(context.dialogue.line("timer_which", running=context.language.says.timers(some)))
    timers[:] = [timer for timer in timers if not timer.among(some)]
    context.memory.talk.speak_of(())
    return context.dialogue.line("timer_cancelled")


@tool(intent="list_timers")
async def list_timers(context: AgentContext, which: Which = "") -> str:
    """How long the running timers still take."""
    now, timers = context.clock.epoch_ms(), sorted(context.memory.timers, key=lambda timer: timer.due_ms)
    some = context.language.hears.meant(timers, which)
    if not some:
        return context.dialogue.line("timer_no_such" if timers else "timer_none", running=context.language.says.timers(timers))
    context.memory.talk.speak_of(some)
    left = [(max(0.0, timer.due_ms - now) / 1000, timer.name) for timer in some]
    return context.dialogue.line("timer_left", left=context.language.says.left(left))


@tool(intent="spell", ask="spell_what")
async def spell_word(
    context: AgentContext,
    word: Annotated[str, Field(min_length=1, max_length=LONGEST_ABOUT)],
    backwards: Annotated[bool, Field(description="from the last letter to the first")] = False,
) -> str:
    """How a word is spelled, letter by letter."""
    letters = context.language.says.letters(reverse(word) if backwards else word)
    return context.dialogue.line("spelled_backwards" if backwards else "spelled", word=word, letters=letters)


@tool()
async def search_knowledge(
    context: AgentContext,
    query: Annotated[str, Field(min_length=1, max_length=LONGEST_ABOUT, description="a question or a few words")],
) -> str:
    """Searches the knowledge base for more than the passages that came with the question."""
    passages = await context.services.retrieval.search(query, PASSAGES)
    return "\n".join(f"{passage.title}: {passage.text}" for passage in passages)
