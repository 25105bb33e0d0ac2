"""The WebSocket transport: `/orchestrate`. Audio in and out and every control message on one connection, as JSON text frames and
(for audio) binary ones."""

import asyncio
import base64
import struct
from collections import deque
from collections.abc import Coroutine
from functools import partial

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from app.core.limits import quiet_logger
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
    SpokenChunk,
    Start,
    StateChanged,
    Unduck,
)
from app.sessions.registry import Seat, Sessions
from app.sessions.tokens import Refused
from app.settings import Settings
from app.transport.connection import Connection
from app.transport.pacer import Chunk, Pacer
from app.transport.pending import WaitingRoom
from services.base import HEARING_RATE

log = quiet_logger(__name__)

OUTBOX = 500  # messages that may wait for a slow reader: 10 s of audio
CLOSE_TIMEOUT_S = 2.0  # for the last messages to a client that does not read
CLOSE_CODES = {
    "wrong_token": 4403,
    "unknown_session": 4404,
    "idle_timeout": 4408,
    "start_timeout": 4408,
    "taken_over": 4409,
    "deleted": 4410,
    "full": 1013,
    "not_ready": 1013,
    "shutting_down": 1012,
    "internal": 1011,
}  # any other fatal error is a breach of the protocol's limits: 1008


def router(sessions: Sessions, settings: Settings, waiting: WaitingRoom) -> APIRouter:
    """The route of the WebSocket."""
    routes = APIRouter()

    @routes.websocket("/orchestrate")
    async def orchestrate(websocket: WebSocket) -> None:
        try:
            sessions.expect(websocket.query_params.get("session_id", ""))
        except Refused as refused:  # before it is accepted: a proxy goes to the next server by itself
            body = {"error": {"code": refused.code, "message": str(refused)}}
            await websocket.send_denial_response(
                JSONResponse(body, refused.status, {"Retry-After": str(refused.retry_after_s)})
            )
            return
        try:
            await websocket.accept()
        except (RuntimeError, WebSocketDisconnect):  # the client has left while it waited behind a proxy
            return
        await WebSocketConnection(websocket, sessions, settings, waiting).serve()

    return routes


class SendQueue:
    """What waits to be sent, in order and bounded."""

    def __init__(self) -> None:
        self._items: deque[ServerMessage | Chunk | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, item: ServerMessage | Chunk | None) -> bool:
        """False when the client is too far behind. None: nothing follows."""
        self._items.append(item)
        self._arrived.set()
        return len(self._items) <= OUTBOX

    def void(self, generation: int) -> None:
        """Takes out the audio of this generation and of earlier ones."""
        self._items = deque(i for i in self._items if not (isinstance(i, Chunk) and i.generation <= generation))

    async def get(self) -> ServerMessage | Chunk | None:
        """What is to be sent next; None at the end."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()


def encode(item: ServerMessage | Chunk, binary: bool) -> str | bytes:
    """A message as it travels: JSON text, or for audio (if `binary`) generation and sequence as `<II`, then PCM16."""
    if not isinstance(item, Chunk):
        return item.model_dump_json(exclude_none=True)
    audio = item.samples.astype("<i2", copy=False).tobytes()
    if binary:
        return struct.pack("<II", item.generation, item.sequence) + audio
    text = base64.b64encode(audio).decode()
    return SpokenChunk(audio=text, generation=item.generation, sequence=item.sequence, ms=item.ms).model_dump_json()


class WebSocketConnection(Connection):
    """One connection, from its acceptance to its end."""

    def __init__(self, websocket: WebSocket, sessions: Sessions, settings: Settings, waiting: WaitingRoom) -> None:
        super().__init__(sessions, settings, waiting)
        self._websocket = websocket
        self._outbox = SendQueue()
        self._binary = False
        self._pacer: Pacer | None = None
        self._ears = Resampler(HEARING_RATE, HEARING_RATE)
        self._rate = HEARING_RATE  # Hz of what is heard
        self._code = 1000
        self._writer: asyncio.Task[None] | None = None
        self._speaker: asyncio.Task[None] | None = None
        self._speaks = asyncio.Event()

    async def serve(self) -> None:
        """Serves the client until either side ends the connection. Raises nothing."""
        self._writer = asyncio.create_task(self._guard(self._write()))
        reader = asyncio.create_task(self._guard(self._read()))
        try:
            await asyncio.wait([self._writer])
        finally:
            self.gone()
            tasks = [task for task in (self._writer, reader, self._speaker, self.opening) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, part: Coroutine[None, None, None]) -> None:
        try:
            await part
        except WebSocketDisconnect:
            self._hang_up()
        except Exception:
            log.exception("a WebSocket connection failed")
            self.close(Error(code="internal", message="an unexpected error ended the connection", fatal=True))

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    # --- out ----------------------------------------------------------------------------------------------------------

    def send(self, message: ServerMessage) -> None:
        """Queues one message; `audio_end` waits for the audio before it, `playback_stop` overtakes and voids the audio."""
        if isinstance(message, AudioEnd) and self._pacer is not None:
            self._pacer.end(message)
            return
        if isinstance(message, Duck | Unduck) and self._pacer is not None:
            self._pacer.wary(isinstance(message, Duck))
        if isinstance(message, StateChanged):
            (self._speaks.set if message.state == "SPEAKING" else self._speaks.clear)()
        if isinstance(message, PlaybackStop):
            self._outbox.void(message.generation)
            if self._pacer is not None:
                self._pacer.stop(message.generation)
        self._put(message)

    def end(self, last: Farewell | None) -> None:
        """Hangs up, with `last` as its last message."""
        if last is not None:
            self._code = CLOSE_CODES.get(last.code if isinstance(last, Error) else last.type, 1008)
            self._outbox.put(last)
        self._outbox.put(None)
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._hang_up)

    def _put(self, item: ServerMessage | Chunk) -> None:
        if not self.closing and not self._outbox.put(item):
            self.close(Error(code="slow_reader", message="messages are not read fast enough", fatal=True))

    async def _write(self) -> None:
        while (item := await self._outbox.get()) is not None:
            data = encode(item, self._binary)
            await (self._websocket.send_bytes(data) if isinstance(data, bytes) else self._websocket.send_text(data))
        await self._websocket.close(self._code)

    async def _pump(self, pacer: Pacer) -> None:
        while not self.closing:
            await self._speaks.wait()  # the first frame leaves at once, and silence costs nothing
            await asyncio.sleep(pacer.step(self.now()) - self.now())

    # --- in -----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        query = self._websocket.query_params
        if "session_id" in query or "token" in query:
            self.session_id, self.token = query.get("session_id", ""), query.get("token", "")
            try:
                self.sessions.authorize(self.session_id, self.token)
            except Refused as refused:
                self.close(refused.as_event())
        while not self.closing:
            incoming = await self._websocket.receive()
            if incoming["type"] == "websocket.disconnect":
                self._hang_up()
                return
            if not self.messages.counts():
                return
            data = incoming.get("bytes")
            if data is None:
                self.messages.take(incoming["text"])
            else:
                self.messages.guard(partial(self._hear, data))
            if self.opening is not None and not self.opening.done():
                await asyncio.wait([self.opening])  # what was sent behind `start` is for the conversation
            else:
                await asyncio.sleep(0)  # `receive` gives what is there already without letting others in between

    def sound(self, message: AudioChunk) -> None:
        """Sound in JSON. Raises BadMessage."""
        self._hear(decode(message.data))

    def _hear(self, data: bytes) -> None:
        self.seated()
        samples = pcm(data)
        if self.microphone.admit(len(samples) / self._rate):
            self.microphone.listen(self._ears.feed(samples))

    def begin(self, seat: Seat, start: Start, ready: Ready) -> None:
        """The conversation is there."""
        self._binary, self._rate = start.binary, start.sample_rate
        self._ears = Resampler(start.sample_rate, HEARING_RATE)
        self._pacer = Pacer(seat.session.speak, start.sample_rate, self._put)
        self._put(ready)
        seat.begin(start.greeting and not (start.resume and seat.resumed), start.eagerness)
        self._speaker = asyncio.create_task(self._guard(self._pump(self._pacer)))
