"""What the agent says by itself when nobody speaks: that a timer is due; after a long silence a gentle prompt, and later
goodbye."""

import asyncio

from app.conversation.context import ConversationContext
from app.dialogue.memory import Timer
from app.protocol.events import (
    BargeIn,
    Disconnected,
    Faulted,
    Happening,
    OnsetDismissed,
    Prompted,
    SessionStarted,
    SpeechOnset,
    TextDue,
    TurnEnded,
    TurnReopened,
    TurnUnrecognised,
)
from app.protocol.messages import Text

# A timer of which nothing could be heard is told again after so long, then after twice as long, and so on: a voice that is away is
# not asked without end, and an apology not made for each time.
AGAIN_S, AGAIN_MOST_S = 5.0, 300.0
STILL_THERE = "still_there"
GOODBYE = "silence_goodbye"


class IdleWatcher:
    """Follows whether anybody speaks, and wakes once after a while."""

    def __init__(self, context: ConversationContext) -> None:
        self._context = context
        self._talking = False  # the user is, or may be
        self._handle: asyncio.TimerHandle | None = None

    def follow(self, event: Happening) -> None:
        """Takes in an event; to be called after each one."""
        if isinstance(event, SpeechOnset | BargeIn | TurnReopened):
            self._talking = True
        elif isinstance(event, OnsetDismissed | TurnEnded | TurnUnrecognised | Faulted | TextDue | Disconnected):
            self._talking = False
        elif isinstance(event, Text):
            self._talking = self._talking and self._context.text_waits

    def stop(self) -> None:
        """Cancels the waking, until another event follows."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def _quiet(self) -> bool:
        reply = self._context.player.reply
        return self._context.state == "LISTENING" and not self._talking and (reply is None or reply.cancelled)

    def _wake_in(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_later(seconds, self._woken)

    def _woken(self) -> None:
        with self._context.contained("what is said in a silence"):
            self._wake()

    def _wake(self) -> None:
        raise NotImplementedError


class TimerAnnouncer(IdleWatcher):
    """Announces due timers one by one. A timer is removed when the agent begins to speak its announcement; if the user talks
    before that, or is gone before the end of it, the timer is announced later."""

    def __init__(self, context: ConversationContext) -> None:
        super().__init__(context)
        self._saying: Timer | None = None
        self._said: Timer | None = None  # the one whose announcement is being spoken
        self._tried: Timer | None = None  # the one that was announced last, how often in a row, and when again
        self._times = 0
        self._again_ms = 0.0

    def follow(self, event: Happening) -> None:
        """Looks for a due timer: one may have been set, or the agent may be free now."""
        super().follow(event)
        timers = self._context.memory.timers
        if self._context.state == "SPEAKING" and self._saying in timers:
            timers.remove(self._saying)
            self._context.memory.talk.rang = self._said = self._saying
        elif self._context.state != "SPEAKING":
            if self._said is not None and isinstance(event, Disconnected):
                timers.append(self._said)
                self._context.changed()
            self._said = None
        if self._context.state != "LISTENING":
            self._saying = None
        self._wake()

    def _wake(self) -> None:
        self.stop()
        first = min(self._context.memory.timers, key=lambda timer: timer.due_ms, default=None)
        if first is None:
            return
        wait_ms = first.due_ms - self._context.clock.epoch_ms()
        if first is self._tried:
            wait_ms = max(wait_ms, self._again_ms - self._context.clock.ms())
        if wait_ms > 0:
            self._wake_in(wait_ms / 1000)
        elif self._quiet:
            self._times = self._times + 1 if first is self._tried else 0
            again_s = min(AGAIN_S * 2 ** min(self._times, 8), AGAIN_MOST_S)
            self._saying, self._tried, self._again_ms = first, first, self._context.clock.ms() + again_s * 1000
            self._wake_in(again_s)  # until something follows
            says = self._context.agent.language.says
            line = says.reminder(first.about) if first.about else "timer_due_named" if first.name else "timer_due"
            values = {"length": says.length(first.length_s), "about": first.about, "called": first.name}
            self._context.dispatch(Prompted(line=line, values=values))


class InactivityPrompt(IdleWatcher):
    """Asks whether the user is still there, in a conversation whose last turn was spoken: a user who types, or has set a timer,
    may take their time. A noise restarts the wait; a turn also takes back that the user was asked."""

    def __init__(self, context: ConversationContext) -> None:
        super().__init__(context)
        self._settings = context.settings
        self._spoken = False
        self._prompted = False  # the prompt has been heard since the last turn

    def follow(self, event: Happening) -> None:
        """Restarts the wait from this event on."""
        super().follow(event)
        if isinstance(event, TurnEnded | Text | TextDue | SessionStarted | Disconnected):
            self._spoken, self._prompted = isinstance(event, TurnEnded), False
        reply = self._context.player.reply
        if self._context.state == "SPEAKING" and reply is not None and reply.request.line == STILL_THERE:
            self._prompted = True
        self.stop()
        wait_s = self._settings.silence_goodbye_s if self._prompted else self._settings.silence_prompt_s
        if self._spoken and self._quiet and wait_s and not self._context.memory.timers:
            self._wake_in(wait_s)

    def _wake(self) -> None:
        self._context.dispatch(Prompted(line=GOODBYE if self._prompted else STILL_THERE))
