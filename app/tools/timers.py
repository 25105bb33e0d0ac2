"""The timers of a conversation, as the tools set, find, change and take them back."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Timer
from app.tools.registry import NotMine
from languages.tools import MOST


def set_one(context: AgentContext, timer: Timer, line: str, **values: str) -> str:
    """Sets a timer that takes `timer.length_s` from now on, where there is room for one, and says `line`."""
    timers = context.memory.timers
    if len(timers) >= MOST:
        return context.dialogue.line("timer_full", count=str(MOST))
    timers.append(replace(timer, due_ms=context.clock.epoch_ms() + timer.length_s * 1000))
    context.memory.talk.speak_of(timers[-1:])
    return context.dialogue.line(line, **values)


def ring_again(context: AgentContext, rang: Timer, seconds: float) -> str:
    """Sets a timer that has rung once more, for so many seconds from now on."""
    said = context.language.says.length(seconds)
    return set_one(context, replace(rang, length_s=seconds, at_time=False), "timer_again", length=said)


def pointed_at(context: AgentContext, which: str) -> list[Timer]:
    """The timers that `which` means; of several that it does not tell apart those that were spoken of last."""
    hears = context.language.hears
    some = hears.meant(context.memory.timers, which)
    if len(some) < 2 or hears.means_all(which) or not hears.means_last(which):
        return some
    return [timer for timer in some if timer.among(context.memory.talk.spoken)] or some


def exchange(context: AgentContext, some: Sequence[Timer], new: Callable[[Timer], Timer]) -> None:
    """Puts a `new` timer in the place of each of `some`."""
    timers = context.memory.timers
    others = {id(timer): new(timer) for timer in some}
    timers[:] = [others.get(id(timer), timer) for timer in timers]
    context.memory.talk.speak_of(list(others.values()))


def take_back(context: AgentContext) -> str:
    """Takes back what the last turn did to timers; where it has done nothing to them, those that it spoke of are cancelled. Raises
    NotMine where it was not about timers."""
    memory, talk = context.memory, context.memory.talk
    timers, before = memory.timers, talk.undo
    spoken = [timer for timer in talk.spoken if timer.among(timers)]
    if before is None and not spoken:
        raise NotMine("the last turn was not about timers")
    now = context.clock.epoch_ms()
    were = (
        [timer for timer in timers if not timer.among(spoken)]
        if before is None
        else [timer for timer in before if timer.among(timers) or timer.due_ms > now]
    )
    restored = any(not timer.among(timers) for timer in were)
    timers[:] = were
    talk.speak_of(())
    talk.undone = True
    return context.dialogue.line("timer_as_before" if restored else "timer_cancelled")
