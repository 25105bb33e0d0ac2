"""Whether anybody is still there: speech, typing and hearing the agent count, whatever the connection."""

import asyncio
from typing import TYPE_CHECKING

from app.protocol.messages import ClientMessage, Error, PlaybackDone, PlaybackProgress, PlaybackStopped, Text

if TYPE_CHECKING:
    from app.transport.connection import Connection

WATCH_S = 1.0  # how often it is looked whether a connection is idle, once it may be


class IdleWatch:
    """Of one connection, which is ended when nobody has been there for `idle_timeout_s`."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._limit_s = connection.settings.idle_timeout_s
        self._active_at = connection.now()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle_s(self) -> float:
        """Seconds since somebody spoke or typed, or heard the agent."""
        idle_s = self._connection.now() - self._active_at
        if self._connection.attachment is None:
            return idle_s
        session = self._connection.attachment.session
        return min(idle_s, (session.clock.ms() - session.hearing.last_sound_at) / 1000)

    def begin(self) -> None:
        """The conversation begins: it is watched from now on."""
        self._active_at = self._connection.now()
        self._look()

    def stop(self) -> None:
        """The connection is ending."""
        if self._timer is not None:
            self._timer.cancel()

    def attend(self, session_state: str, message: ClientMessage) -> None:
        """What counts as somebody being there besides speech: typing, and hearing what is being said now."""
        if isinstance(message, Text):
            self._active_at = self._connection.now()
        elif isinstance(message, PlaybackProgress | PlaybackDone | PlaybackStopped) and self._connection.attachment is not None:
            ledger = self._connection.attachment.session.player.ledger
            if session_state in ("SPEAKING", "INTERRUPTED") and ledger and ledger.generation == message.generation:
                self._active_at = self._connection.now()

    def _look(self) -> None:
        attachment = self._connection.attachment
        if self._connection.closing or attachment is None:
            return
        left = self._limit_s - self.idle_s
        # A timer was promised, and what is being said is heard to its end.
        kept = bool(attachment.session.memory.timers) or attachment.session.state in ("THINKING", "SPEAKING", "INTERRUPTED")
        if left <= 0 and not kept:
            message = f"nothing was said or typed for {self._limit_s:g} s"
            self._connection.close(Error(code="idle_timeout", message=message, fatal=True))
        else:
            self._timer = asyncio.get_running_loop().call_later(max(left, WATCH_S), self._look)
