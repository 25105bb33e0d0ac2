"""Messages as they come from a client: how many, how large, and what is wrong with them."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.core.limits import TokenBucket, quiet_logger
from app.protocol.codec import BadMessage, parse
from app.protocol.messages import MAX_TOKEN, AudioChunk, ClientMessage, Error, Ping, Pong, Start, Stop, Text

if TYPE_CHECKING:
    from app.transport.connection import Connection

log: logging.Logger = quiet_logger(__name__)

MISTAKES = 20  # bad messages that are answered one by one; beyond, and faster than one a second, the client is cut off
MAX_START_BYTES = MAX_TOKEN + 4096  # of a message of somebody who is not known yet
TEXTS_PER_SECOND, TEXTS_AT_ONCE = 1.0, 10.0  # typed turns: each is work for the models that all conversations share


class MessageIntake:
    """Of one connection."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        now, rate = connection.now(), connection.settings.messages_per_second
        self._messages = TokenBucket(rate, rate, at=now)
        self._mistakes = TokenBucket(1, MISTAKES, at=now)
        self._texts = TokenBucket(TEXTS_PER_SECOND, TEXTS_AT_ONCE, at=now)

    def counts(self) -> bool:
        """One more message has come. False when they are too many, and the connection is being ended."""
        if not self._connection.closing and not self._messages.take(self._connection.now()):
            limit = self._connection.settings.messages_per_second
            self._connection.close(Error(code="flood", message=f"more than {limit} messages a second", fatal=True))
        return not self._connection.closing

    def take(self, data: str | bytes) -> None:
        """One message in JSON. Raises nothing."""
        self.guard(lambda: self._take(self._parse(data)))

    def _parse(self, data: str | bytes) -> ClientMessage:
        if self._connection.attachment is None and len(data) > MAX_START_BYTES:
            raise BadMessage("too_large", f"before the conversation has begun a message has at most {MAX_START_BYTES} bytes")
        return parse(data)

    def guard(self, work: Callable[[], None]) -> None:
        """Does the work of one message. What is wrong with it is told to the client, who is cut off where that goes on."""
        try:
            work()
            return
        except BadMessage as error:
            told = error.as_event()
        except Exception:
            log.exception("a message could not be handled")
            told = Error(code="internal", message="an unexpected error: this message had no effect")
        self._connection.send(told)
        if not self._mistakes.take(self._connection.now()):
            self._connection.close(Error(code="too_many_errors", message="too many messages that cannot be used", fatal=True))

    def _take(self, message: ClientMessage) -> None:
        match message:
            case Ping():
                self._connection.send(Pong())
            case Start():
                self._connection.ask(message)
            case AudioChunk():
                self._connection.sound(message)
            case Stop() if self._connection.attachment is None:
                self._connection.close()
            case _:
                session = self._connection.attached().session
                if isinstance(message, Text) and not self._texts.take_if_left(self._connection.now(), 1):
                    raise BadMessage("too_fast", f"text: more than {TEXTS_PER_SECOND:g} a second are not taken", "text")
                self._connection.idle.attend(session.state, message)
                session.receive(message)
