"""Whether anybody is still there: speech, typing and hearing the agent count, whatever the transport."""

import asyncio
from collections.abc import Callable

from app.conversation.session import Session
from app.protocol.messages import Acknowledgement, ClientMessage, Error, Text

WATCH_S = 1.0  # how often it is looked whether a connection is idle, once it may be
TALKING = ("SPEAKING", "INTERRUPTED")  # states in which something is to be heard of the agent


class IdleWatch:
    """Watches one connection, which `close` ends when nobody has been there for `limit_s`."""

    def __init__(self, limit_s: float, close: Callable[[Error], None]) -> None:
        self._limit_s = limit_s
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle_s(self) -> float:
        """Seconds since somebody spoke or typed, or heard the agent."""
        idle_s = self._loop.time() - self._active_at
        if self._session is None:
            return idle_s
        return min(idle_s, (self._session.clock.ms() - self._session.hearing.last_sound_at) / 1000)

    def begin(self, session: Session) -> None:
        """Watches the conversation from now on."""
        self._session = session
        self._active_at = self._loop.time()
        self._look(session)

    def stop(self) -> None:
        """Stops watching, as the connection is ending."""
        if self._timer is not None:
            self._timer.cancel()

    def attend(self, message: ClientMessage) -> None:
        """Takes in a message that shows that somebody is there: a typed text, or an acknowledgement of what is being said."""
        if isinstance(message, Text):
            self._active_at = self._loop.time()
        elif isinstance(message, Acknowledgement) and self._session is not None:
            ledger = self._session.player.ledger
            if self._session.state in TALKING and ledger and ledger.generation == message.generation:
                self._active_at = self._loop.time()

    def _look(self, session: Session) -> None:
        left = self._limit_s - self.idle_s
        # A timer was promised, and what is being said is heard to its end.
        kept = bool(session.memory.timers) or session.state in ("THINKING", *TALKING)
        if left <= 0 and not kept:
            message = f"nothing was said or typed for {self._limit_s:g} s"
            self._close(Error(code="idle_timeout", message=message, fatal=True))
        else:
            self._timer = self._loop.call_later(max(left, WATCH_S), self._look, session)
