"""The WebSocket transport: `/orchestrate`. Audio both ways and every control message on one connection, as JSON text frames and
(for audio) binary frames."""

import base64
import struct

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from app.protocol.messages import Error, Farewell, ServerMessage, SpokenChunk
from app.settings import Settings
from server.sessions.sessions import Sessions
from server.sessions.tokens import Refused
from server.transport.paced import Chunk, PacedConnection
from server.transport.pending import PendingConnections

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


def router(sessions: Sessions, settings: Settings, waiting: PendingConnections) -> APIRouter:
    """The route of the WebSocket."""
    routes = APIRouter()

    @routes.websocket("/orchestrate")
    async def orchestrate(websocket: WebSocket) -> None:
        try:
            query = websocket.query_params
            await sessions.expect(query.get("session_id", ""), query.get("token", ""))
        except Refused as refused:  # before it is accepted: a proxy goes to the next server by itself
            if "websocket.http.response" not in websocket.scope.get("extensions", {}):  # not every app's server can say more
                await websocket.close(CLOSE_CODES.get(refused.code, 1008), refused.code)
                return
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


def close_code(last: Farewell | None) -> int:
    """The code with which a WebSocket is closed after `last`; None: the client is done."""
    if last is None:
        return 1000
    return CLOSE_CODES.get(last.code if isinstance(last, Error) else last.type, 1008)


def encode(item: ServerMessage | Chunk, binary: bool) -> str | bytes:
    """A message as it is sent: JSON text, or for audio (if `binary`) generation and sequence as `<II`, then PCM16."""
    if not isinstance(item, Chunk):
        return item.model_dump_json(exclude_none=True)
    audio = item.samples.astype("<i2", copy=False).tobytes()
    if binary:
        return struct.pack("<II", item.generation, item.sequence) + audio
    text = base64.b64encode(audio).decode()
    return SpokenChunk(audio=text, generation=item.generation, sequence=item.sequence, ms=item.ms).model_dump_json()


class WebSocketConnection(PacedConnection):
    """One connection, from its acceptance to its end."""

    left = (WebSocketDisconnect,)

    def __init__(self, websocket: WebSocket, sessions: Sessions, settings: Settings, waiting: PendingConnections) -> None:
        super().__init__(sessions, settings, waiting)
        self._websocket = websocket

    async def read(self) -> None:
        """Reads messages in JSON as text frames, and sound as binary frames. Credentials may stand in the address."""
        query = self._websocket.query_params
        if "session_id" in query or "token" in query:
            self.session_id, self.token = query.get("session_id", ""), query.get("token", "")
            try:
                self.sessions.authorize(self.session_id, self.token)
            except Refused as refused:
                self.close(refused.as_event())
        goes_on = not self.closing
        while goes_on:
            incoming = await self._websocket.receive()
            if incoming["type"] == "websocket.disconnect":
                return
            data = incoming.get("bytes")
            goes_on = await (self.came(incoming["text"]) if data is None else self.heard(data))

    async def write(self, item: ServerMessage | Chunk) -> None:
        """Writes a message as text, and sound as a binary frame where the client asked for that."""
        data = encode(item, self.start is not None and self.start.binary)
        await (self._websocket.send_bytes(data) if isinstance(data, bytes) else self._websocket.send_text(data))

    async def finish(self, last: Farewell | None) -> None:
        """Closes the WebSocket with a code that says why."""
        await self._websocket.close(close_code(last))
