"""Sound as it comes from a client: how much of it there may be, and what is said of what is dropped."""

import logging
from typing import TYPE_CHECKING

from app.core.limits import Episodes, TokenBucket, quiet_logger
from app.protocol.messages import Error
from app.turn_taking.pipeline import BACKLOG
from services.base import VAD_WINDOW, Pcm

if TYPE_CHECKING:
    from app.transport.connection import Connection

log: logging.Logger = quiet_logger(__name__)

# Sound, in seconds of it a second. A client is in real time; what a stalled network held back comes at once.
SOUND_RATE = 2.0
SOUND_AT_ONCE_S = 10.0  # a little less than voice detection lets wait
FLOOD_S = 60.0  # more than SOUND_RATE by so much is no network's doing
TOLD_AGAIN_S = 5.0  # that sound was dropped


class SoundIntake:
    """Of one connection."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        now = connection.now()
        self._sound = TokenBucket(SOUND_RATE, SOUND_AT_ONCE_S, at=now)
        self._flood = TokenBucket(SOUND_RATE, FLOOD_S, at=now)
        self._dropping = Episodes(TOLD_AGAIN_S)

    def admit(self, seconds: float) -> bool:
        """Whether so much more sound may be heard. What may not is dropped, and the client is told once an episode."""
        now = self._connection.now()
        if self._connection.closing or self._connection.attachment is None:
            return False
        if not self._flood.take(now, seconds):
            self._connection.close(Error(code="flood", message="far more sound than there is time to hear it", fatal=True))
            return False
        if self._sound.take_if_left(now, seconds):
            return True
        self._dropped(f"sound that is more than {SOUND_AT_ONCE_S:g} s ahead of time is dropped")
        return False

    def listen(self, samples: Pcm) -> None:
        """int16 mono at HEARING_RATE that was admitted."""
        session = self._connection.attached().session
        if session.hearing.behind + len(samples) // VAD_WINDOW >= BACKLOG:
            self._dropped("the server is behind with hearing: some sound was dropped")
        else:
            session.hear(samples)

    def _dropped(self, words: str) -> None:
        if self._dropping.begins(self._connection.now()) and self._connection.attachment is not None:
            log.warning("session %s: %s", self._connection.attachment.session.id, words)
            self._connection.attachment.session.context.send(Error(code="sound_dropped", message=words))
