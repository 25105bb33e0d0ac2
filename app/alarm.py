"""Announces a conversation's timers when they are due and nobody speaks."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from app.clock import Clock
from app.events import BargeIn, Disconnected, Happening, OnsetDismissed, Prompted, SpeechOnset, State, TurnEnded, TurnReopened
from app.timers import Timer, said_length

if TYPE_CHECKING:
    from app.dialogue import Memory
    from app.speaking import Speaking


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
