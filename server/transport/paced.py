"""A connection over a wire that has no clock of its own, such as a socket: the agent's sound leaves in step with the listener,
the queue to be sent is bounded, and the sound that comes in is PCM16 at the rate that the client has named. A transport reads
and writes."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import ClassVar

from app.core.resampler import Resampler
from app.protocol.codec import decode, pcm
from app.protocol.messages import (
    AudioChunk,
    AudioEnd,
    Duck,
    Error,
    Farewell,
    PlaybackStop,
    Ready,
    ServerMessage,
    Start,
    StateChanged,
    Unduck,
)
from app.settings import Settings
from server.core.limits import quiet_logger
from server.sessions.live import Attachment
from server.sessions.sessions import Sessions
from server.transport.connection import Connection
from server.transport.pacer import Chunk, Pacer
from server.transport.pending import PendingConnections
from services.base import HEARING_RATE

__all__ = ["Chunk", "PacedConnection", "SendQueue"]

log = quiet_logger(__name__)

OUTBOX = 500  # messages that may wait for a slow reader: 10 s of audio
CLOSE_TIMEOUT_S = 2.0  # for the last messages to a client that does not read


class SendQueue:
    """The messages to be sent, in order and bounded, and the agent's sound, put in between in step with the listener. `full` is
    called when the client is too far behind."""

    def __init__(self, full: Callable[[], None]) -> None:
        self._items: deque[ServerMessage | Chunk | None] = deque()
        self._arrived = asyncio.Event()
        self._full = full
        self.pacer: Pacer | None = None
        self._speaks = asyncio.Event()
        self._ended = False

    def put(self, item: ServerMessage | Chunk | None) -> None:
        """Queues `item`; None ends the queue."""
        if self._ended:
            return
        self._ended = item is None
        self._items.append(item)
        self._arrived.set()
        if len(self._items) > OUTBOX and item is not None:
            self._full()

    def send(self, message: ServerMessage) -> None:
        """Queues `message`. `audio_end` waits for the audio before it; `playback_stop` overtakes the audio and drops it."""
        if isinstance(message, AudioEnd) and self.pacer is not None:
            self.pacer.end(message)
            return
        if isinstance(message, Duck | Unduck) and self.pacer is not None:
            self.pacer.wary(isinstance(message, Duck))
        if isinstance(message, StateChanged):
            (self._speaks.set if message.state == "SPEAKING" else self._speaks.clear)()
        if isinstance(message, PlaybackStop):
            stopped = message.generation
            self._items = deque(i for i in self._items if not (isinstance(i, Chunk) and i.generation <= stopped))
            if self.pacer is not None:
                self.pacer.stop(stopped)
        self.put(message)

    async def speak(self, pacer: Pacer, now: Callable[[], float]) -> None:
        """Lets the pacer put in the agent's sound, until cancelled."""
        while True:
            await self._speaks.wait()  # the first frame leaves at once, and silence costs nothing
            await asyncio.sleep(pacer.step(now()) - now())

    async def carry(self, write: Callable[[ServerMessage | Chunk], Awaitable[None]]) -> None:
        """Has every item written by `write`, until the queue ends."""
        while True:
            while not self._items:
                self._arrived.clear()
                await self._arrived.wait()
            if (item := self._items.popleft()) is None:
                return
            await write(item)


class PacedConnection(Connection):
    """One connection, from its acceptance to its end. `left` are the errors that the wire raises when the client has gone."""

    left: ClassVar[tuple[type[Exception], ...]] = (ConnectionError,)

    def __init__(self, sessions: Sessions, settings: Settings, waiting: PendingConnections) -> None:
        super().__init__(sessions, settings, waiting)
        slow = Error(code="slow_reader", message="messages are not read fast enough", fatal=True)
        self._outbox = SendQueue(lambda: self.close(slow))
        self._resampler = Resampler(HEARING_RATE, HEARING_RATE)
        self._rate = HEARING_RATE  # Hz of what is heard
        self._last: Farewell | None = None
        self._writer: asyncio.Task[None] | None = None
        self._speaker: asyncio.Task[None] | None = None

    # --- what a transport adds ----------------------------------------------------------------------------------------

    @abstractmethod
    async def read(self) -> None:
        """Hands on what the client sends, by `came` and `heard`, until one of them says that the connection is over."""

    @abstractmethod
    async def write(self, item: ServerMessage | Chunk) -> None:
        """Writes a message, or a piece of the agent's sound at the rate that the client has named."""

    @abstractmethod
    async def finish(self, last: Farewell | None) -> None:
        """Closes the wire; `last`, the reason, has been written."""

    # --- for a transport ----------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Serves the client until either side ends the connection. Raises nothing."""

        async def write() -> None:
            await self._outbox.carry(self.write)
            await self.finish(self._last)

        async def read() -> None:
            await self.read()
            if not self.closing:  # the client has left: at once, before a conversation is opened for it
                self.gone()
                self._hang_up()

        self._writer = asyncio.create_task(self._guarded(write()))
        reader = asyncio.create_task(self._guarded(read()))
        try:
            await asyncio.wait([self._writer])
        finally:
            self.gone()
            tasks = [task for task in (self._writer, reader, self._speaker, self.opening) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def came(self, data: str | bytes) -> bool:
        """Takes one message in JSON. False when nothing more is to be read."""
        return await self._next(partial(self.take, data))

    async def heard(self, data: bytes) -> bool:
        """Takes a piece of sound. False when nothing more is to be read."""
        return await self._next(partial(self.guard, partial(self._hear, data)))

    async def _next(self, work: Callable[[], None]) -> bool:
        """Does the work of a message, after waiting while the conversation is being opened: messages behind `start` are for it.
        They have been read by then, so that a client that has given up is known to be gone, and takes the conversation from
        nobody."""
        if self.opening is not None and not self.opening.done():
            await asyncio.wait([self.opening])
        if self.counts():
            work()
        await asyncio.sleep(0)  # a wire gives what is there already without letting others in between
        return not self.closing

    async def _guarded(self, part: Coroutine[None, None, None]) -> None:
        try:
            await part
        except self.left:
            self._hang_up()
        except Exception:
            log.exception("a connection failed")
            self.close(Error(code="internal", message="an unexpected error ended the connection", fatal=True))

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    # --- out ----------------------------------------------------------------------------------------------------------

    def send(self, message: ServerMessage) -> None:
        """Queues one message."""
        self._outbox.send(message)

    def end(self, last: Farewell | None) -> None:
        """Closes the connection, with `last` as its last message."""
        self._last = last
        if last is not None:
            self._outbox.put(last)
        self._outbox.put(None)
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._hang_up)

    # --- in -----------------------------------------------------------------------------------------------------------

    def sound(self, message: AudioChunk) -> None:
        """Takes sound in JSON. Raises BadMessage."""
        self._hear(decode(message.data))

    def _hear(self, data: bytes) -> None:
        self.attached()
        samples = pcm(data)
        if self.admit(len(samples) / self._rate):
            self.listen(self._resampler.feed(samples))

    def begin(self, attachment: Attachment, start: Start, ready: Ready) -> None:
        """Begins to carry the conversation."""
        self._rate = start.sample_rate
        self._resampler = Resampler(start.sample_rate, HEARING_RATE)
        self._outbox.put(ready)
        self._outbox.pacer = pacer = Pacer(attachment.session.speak, start.sample_rate, self._outbox.put)
        self._speaker = asyncio.create_task(self._guarded(self._outbox.speak(pacer, self.now)))
        attachment.begin(start.greeting and not (start.resume and attachment.resumed), start.eagerness)
