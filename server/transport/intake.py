"""The messages and the sound that a client sends on one connection: how much of it there may be, what is wrong with it, and
what the client is told of what is dropped."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from app.protocol.codec import BadMessage, parse
from app.protocol.messages import (
    MAX_TOKEN,
    AudioChunk,
    ClientMessage,
    Error,
    Farewell,
    Ping,
    Pong,
    ServerMessage,
    Start,
    Stop,
    Text,
)
from app.settings import Settings
from app.turn_taking.pipeline import BACKLOG
from server.core.limits import Episodes, TokenBucket, quiet_logger
from server.sessions.live import Attachment
from server.transport.idle_watch import IdleWatch
from services.base import VAD_WINDOW, Pcm

log: logging.Logger = quiet_logger(__name__)

MISTAKES = 20  # bad messages that are answered one by one; beyond, and faster than one a second, the client is cut off
MAX_START_BYTES = MAX_TOKEN + 4096  # of a message of somebody who is not known yet
TEXTS_PER_SECOND, TEXTS_AT_ONCE = 1.0, 10.0  # typed turns: each is work for the models that all conversations share
# Sound, in seconds of it a second. A client is in real time; what a stalled network held back comes at once.
SOUND_RATE = 2.0
SOUND_AT_ONCE_S = 10.0  # a little less than voice detection lets wait
FLOOD_S = 60.0  # more than SOUND_RATE by so much is no network's doing
TOLD_AGAIN_S = 5.0  # that sound was dropped


class Intake(ABC):
    """Takes in what a client sends. A connection adds what it does with a start, with sound in a message, and when it ends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = asyncio.get_running_loop().time
        self.closing = False
        self.attachment: Attachment | None = None
        self.idle = IdleWatch(settings.idle_timeout_s, self.close)
        now, rate = self.now(), settings.messages_per_second
        self._messages = TokenBucket(rate, rate, at=now)
        self._mistakes = TokenBucket(1, MISTAKES, at=now)
        self._texts = TokenBucket(TEXTS_PER_SECOND, TEXTS_AT_ONCE, at=now)
        self._sound = TokenBucket(SOUND_RATE, SOUND_AT_ONCE_S, at=now)
        self._flood = TokenBucket(SOUND_RATE, FLOOD_S, at=now)
        self._dropping = Episodes(TOLD_AGAIN_S)

    @abstractmethod
    def send(self, message: ServerMessage) -> None:
        """Sends `message`, or queues it. Neither waits nor raises."""

    @abstractmethod
    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message. Returns at once; only the first call counts."""

    @abstractmethod
    def ask(self, start: Start) -> None:
        """Takes the client's `start`. Raises BadMessage when the client has begun with something else."""

    @abstractmethod
    def sound(self, message: AudioChunk) -> None:
        """Takes sound that came as a message. Raises BadMessage."""

    def attached(self) -> Attachment:
        """The conversation of this connection. Raises BadMessage while there is none."""
        if self.attachment is None:
            raise BadMessage("not_started", "the first message is start", "type")
        return self.attachment

    # --- messages -----------------------------------------------------------------------------------------------------

    def counts(self) -> bool:
        """Counts one more message. False when they are too many, and the connection is being ended."""
        if not self.closing and not self._messages.take(self.now()):
            message = f"more than {self.settings.messages_per_second} messages a second"
            self.close(Error(code="flood", message=message, fatal=True))
        return not self.closing

    def take(self, data: str | bytes) -> None:
        """Takes one message in JSON. Raises nothing."""
        self.guard(lambda: self._take(self._parse(data)))

    def guard(self, work: Callable[[], None]) -> None:
        """Does the work of one message. A fault of the message is told to the client, who is cut off where faults go on."""
        try:
            work()
            return
        except BadMessage as error:
            told = error.as_event()
        except Exception:
            log.exception("a message could not be handled")
            told = Error(code="internal", message="an unexpected error: this message had no effect")
        self.send(told)
        if not self._mistakes.take(self.now()):
            self.close(Error(code="too_many_errors", message="too many messages that cannot be used", fatal=True))

    def _parse(self, data: str | bytes) -> ClientMessage:
        if self.attachment is None and len(data) > MAX_START_BYTES:
            raise BadMessage("too_large", f"before the conversation has begun a message has at most {MAX_START_BYTES} bytes")
        return parse(data)

    def _take(self, message: ClientMessage) -> None:
        match message:
            case Ping():
                self.send(Pong())
            case Start():
                self.ask(message)
            case AudioChunk():
                self.sound(message)
            case Stop() if self.attachment is None:
                self.close()
            case _:
                session = self.attached().session
                if isinstance(message, Text) and not self._texts.take_if_left(self.now(), 1):
                    raise BadMessage("too_fast", f"text: more than {TEXTS_PER_SECOND:g} a second are not taken", "text")
                self.idle.attend(message)
                session.receive(message)

    # --- sound --------------------------------------------------------------------------------------------------------

    def admit(self, seconds: float) -> bool:
        """Whether `seconds` more of sound may be heard. Sound that may not is dropped, and the client is told once an episode."""
        if self.closing or self.attachment is None:
            return False
        if not self._flood.take(self.now(), seconds):
            self.close(Error(code="flood", message="far more sound than there is time to hear it", fatal=True))
            return False
        if self._sound.take_if_left(self.now(), seconds):
            return True
        self._dropped(f"sound that is more than {SOUND_AT_ONCE_S:g} s ahead of time is dropped")
        return False

    def listen(self, samples: Pcm) -> None:
        """Hands sound that was admitted to the conversation: int16 mono at HEARING_RATE."""
        session = self.attached().session
        if session.hearing.behind + len(samples) // VAD_WINDOW >= BACKLOG:
            self._dropped("the server is behind with hearing: some sound was dropped")
        else:
            session.hear(samples)

    def _dropped(self, words: str) -> None:
        if self._dropping.begins(self.now()) and self.attachment is not None:
            log.warning("session %s: %s", self.attachment.session.id, words)
            self.attachment.session.context.send(Error(code="sound_dropped", message=words))
