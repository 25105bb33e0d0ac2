"""The WebSocket transport: `/orchestrate`. Audio in and out and every control message on one connection, as JSON text frames and
(for audio) binary ones. It knows the wire; what is said and when is the session's business."""

import asyncio
import base64
import logging
import struct
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.events import (
    AudioChunk,
    AudioEnd,
    Duck,
    Error,
    Limits,
    Ping,
    PlaybackStop,
    Pong,
    Ready,
    ServerMessage,
    SpokenChunk,
    Start,
    StateChanged,
    Stop,
    Unduck,
)
from app.pacing import Chunk, Pacer
from app.resample import Resampler
from app.sessions import Seat, Sessions
from app.settings import Settings
from app.tickets import Refused
from app.wire import Allowance, BadMessage, decode, parse, pcm
from services.base import HEARING_RATE

log = logging.getLogger(__name__)

OUTBOX = 500  # messages that may wait for a slow reader: 10 s of audio
MISTAKES = 20  # bad messages that are answered one by one; beyond, and faster than one a second, the client is cut off
START_TIMEOUT_S = 15.0
WATCH_S = 1.0  # how often the time limits are looked at
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


def router(sessions: Sessions, settings: Settings) -> APIRouter:
    routes = APIRouter()

    @routes.websocket("/orchestrate")
    async def orchestrate(websocket: WebSocket) -> None:
        await websocket.accept()
        await Link(websocket, sessions, settings).serve()

    return routes


class Outbox:
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


class Link:
    """One connection, from its acceptance to its end."""

    def __init__(self, websocket: WebSocket, sessions: Sessions, settings: Settings) -> None:
        self._websocket = websocket
        self._sessions = sessions
        self._settings = settings
        self._now = asyncio.get_running_loop().time
        self._outbox = Outbox()
        self._messages = Allowance(settings.messages_per_second, settings.messages_per_second, at=self._now())
        self._mistakes = Allowance(1, MISTAKES, at=self._now())
        self._active_at = self._now()
        self._start: Start | None = None
        self._seat: Seat | None = None
        self._pacer: Pacer | None = None
        self._ears = Resampler(HEARING_RATE, HEARING_RATE)
        self._closing: int | None = None
        self._writer: asyncio.Task[None] | None = None
        self._speaker: asyncio.Task[None] | None = None
        self._speaks = asyncio.Event()

    async def serve(self) -> None:
        """Serves the client until either side ends the connection. Raises nothing."""
        self._writer = asyncio.create_task(self._guard(self._write()))
        others = [asyncio.create_task(self._guard(part)) for part in (self._read(), self._watch())]
        try:
            await asyncio.wait([self._writer])
        finally:
            tasks = [self._writer, *others] + ([self._speaker] if self._speaker else [])
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._seat is not None:
                self._sessions.release(self._seat, self)

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

    def close(self, error: Error | None = None) -> None:
        """Ends the connection after what is queued and `error`. Returns at once; only the first call counts."""
        if self._closing is not None:
            return
        self._closing = 1000 if error is None else CLOSE_CODES.get(error.code, 1008)
        if error is not None:
            self._outbox.put(error)
        self._outbox.put(None)
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._hang_up)

    def _put(self, item: ServerMessage | Chunk) -> None:
        if isinstance(item, Chunk):
            self._active_at = self._now()
        if self._closing is None and not self._outbox.put(item):
            self.close(Error(code="slow_reader", message="messages are not read fast enough", fatal=True))

    async def _write(self) -> None:
        while (item := await self._outbox.get()) is not None:
            data = encode(item, self._start is not None and self._start.binary)
            await (self._websocket.send_bytes(data) if isinstance(data, bytes) else self._websocket.send_text(data))
        await self._websocket.close(self._closing or 1000)

    async def _pump(self, pacer: Pacer) -> None:
        while self._closing is None:
            await self._speaks.wait()  # the first frame leaves at once, and silence costs nothing
            await asyncio.sleep(pacer.step(self._now()) - self._now())

    # --- in -----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        query = self._websocket.query_params
        if "session_id" in query or "token" in query:
            try:
                self._sessions.authorize(query.get("session_id", ""), query.get("token", ""))
            except Refused as refused:
                self.close(refused.as_event())
        while self._closing is None:
            incoming = await self._websocket.receive()
            if incoming["type"] == "websocket.disconnect":
                self._hang_up()
                return
            if not self._messages.take(self._now()):
                limit = self._settings.messages_per_second
                self.close(Error(code="flood", message=f"more than {limit} messages a second", fatal=True))
            else:
                await self._take(incoming)

    async def _take(self, incoming: Mapping[str, Any]) -> None:
        try:
            data = incoming.get("bytes")
            message = parse(incoming["text"]) if data is None else None
            if not isinstance(message, Ping | AudioChunk | None):
                self._active_at = self._now()
            match message:
                case None:
                    self._hear(data or b"")
                case AudioChunk():
                    self._hear(decode(message.data))
                case Ping():
                    self._put(Pong())
                case Start():
                    await self._open(message)
                case Stop() if self._seat is None:
                    self.close()
                case _:
                    self._seated().session.receive(message)
        except BadMessage as error:
            self._put(error.as_event())
            if not self._mistakes.take(self._now()):
                self.close(Error(code="too_many_errors", message="too many messages that cannot be used", fatal=True))

    def _seated(self) -> Seat:
        if self._seat is None:
            raise BadMessage("not_started", "the first message is start", "type")
        return self._seat

    def _hear(self, data: bytes) -> None:
        session, samples = self._seated().session, pcm(data)
        if samples.any():
            self._active_at = self._now()
        session.hear(self._ears.feed(samples))

    async def _open(self, start: Start) -> None:
        if self._start is not None:
            raise BadMessage("already_started", "this connection has its start already", "type")
        self._start = start
        query, made = self._websocket.query_params, None
        session_id, token = start.session_id or query.get("session_id"), start.token or query.get("token")
        try:
            if session_id is None and token is None:
                session_id, token, _ = made = self._sessions.create()
            seat = await self._sessions.open(session_id or "", token or "", self)
        except Refused as refused:
            self.close(refused.as_event())
            return
        if self._closing is not None:
            self._sessions.release(seat, self)
            return
        self._seat = seat
        self._ears = Resampler(start.sample_rate, HEARING_RATE)
        self._pacer = Pacer(seat.session.speak, start.sample_rate, self._put)
        limits = Limits(idle_timeout_s=self._settings.idle_timeout_s, messages_per_second=self._settings.messages_per_second)
        ready = Ready(session_id=seat.session.id, resumed=seat.resumed, sample_rate=start.sample_rate, limits=limits)
        self._put(ready.model_copy(update={"token": made.token}) if made else ready)
        seat.begin(start.greeting and not (start.resume and seat.resumed))
        self._speaker = asyncio.create_task(self._guard(self._pump(self._pacer)))

    async def _watch(self) -> None:
        """Ends a connection that never starts, or on which nothing is said or done for long."""
        limit, opened_at = self._settings.idle_timeout_s, self._now()
        while self._closing is None:
            await asyncio.sleep(WATCH_S)
            if self._start is None and self._now() - opened_at > START_TIMEOUT_S:
                self.close(Error(code="start_timeout", message=f"no start within {START_TIMEOUT_S:.0f} s", fatal=True))
            elif self._seat is not None and self._now() - self._active_at > limit:
                self.close(Error(code="idle_timeout", message=f"nothing was said or done for {limit:.0f} s", fatal=True))
