"""What is done with the timer that was spoken of last, or has just rung: the same again, and more or less of it."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from app.dialogue.agent_context import AgentContext
from app.tools.builtin import Which
from app.tools.registry import Asks, NotMine, tool
from app.tools.timers import exchange, pointed_at, ring_again, set_one
from languages.tools import LONGEST_S, MOST


@tool(intent="set_timer", on_timers=True)
async def snooze_timer(context: AgentContext, seconds: Annotated[float, Field(ge=1, le=LONGEST_S)]) -> str:
    """Has a timer that has just rung ring again, so many seconds from now."""
    rang = context.memory.talk.rang
    if rang is None:
        return context.dialogue.line("timer_not_rung")
    return ring_again(context, rang, seconds)


@tool(intent="set_timer", on_timers=True)
async def repeat_timer(context: AgentContext, count: Annotated[int, Field(ge=1, le=MOST)]) -> str:
    """Sets as many more timers, each as long as the one that was set, changed or asked about in the last turn, or has just rung."""
    talk = context.memory.talk
    last = [talk.rang] if talk.rang is not None else list(talk.spoken)
    if not last:
        raise NotMine("no timer was spoken of in the last turn")
    if len(last) > 1 or last[0].at_time:
        return Asks(context.dialogue.line("timer_how_long"))
    said = [set_one(context, last[0], "timer_set", length=context.language.says.length(last[0].length_s)) for _ in range(count)]
    return said[-1]


@tool(intent="set_timer", on_timers=True)
async def scale_timer(context: AgentContext, factor: Annotated[float, Field(gt=0, le=100)], which: Which = "") -> str:
    """Has a running timer take `factor` times as long in all."""
    some, timers, line = pointed_at(context, which), context.memory.timers, context.dialogue.line
    if not some:
        return line("timer_no_such" if timers else "timer_none", running=context.language.says.timers(timers))
    if len(some) > 1 and not context.language.hears.means_all(which):
        return Asks(line("timer_which_longer", running=context.language.says.timers(some)))
    if any(timer.at_time for timer in some):
        return line("timer_cannot")  # of a time of day there is no double
    if any(timer.length_s * factor > LONGEST_S for timer in some):
        return line("timer_too_long")
    added = some[0].length_s * (factor - 1)
    exchange(
        context,
        some,
        lambda timer: replace(
            timer, due_ms=timer.due_ms + timer.length_s * (factor - 1) * 1000, length_s=timer.length_s * factor
        ),
    )
    return line("timer_extended" if factor > 1 else "timer_shortened", length=context.language.says.length(abs(added)))
