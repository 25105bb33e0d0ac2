"""What stands in for the store and for the far end of a connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from fastapi import WebSocketDisconnect
from starlette.datastructures import Headers, QueryParams

from app.conversation.session import Session
from app.conversation.unsupported_settings import impossible
from app.core.clock import LoopClock
from app.core.session_settings import SessionSettings
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import Error, Farewell, ServerMessage
from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from server.sessions.recorder import memory_of
from server.sessions.sessions import Sessions
from server.store.queue import Lost
from server.store.records import Erased, SessionRecord, StoreError
from server.store.writer import Status
from services.base import ServiceError, Services
from tests.unit.fakes import fake_services

SECRET = "a secret that is for tests and long enough"


class MemoryStore:
    """The store's interface over a dictionary. `away`: every call fails; `delay_s`: every call takes so long."""

    def __init__(self) -> None:
        self.records: dict[str, SessionRecord] = {}
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.away = False
        self.delay_s = 0.0
        self.claims = self.loads = 0
        self.status = Status("ok")
        self.erased: set[str] = set()
        self.tell: Callable[[str, Lost], None] = lambda session_id, how: None

    def on_lost(self, tell: Callable[[str, Lost], None]) -> None:
        self.tell = tell

    async def _call(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.away:
            raise StoreError("the store is away")

    async def load(self, session_id: str) -> SessionRecord | None:
        self.loads += 1
        await self._call()
        if session_id in self.erased:
            raise Erased(session_id)
        return self.records.get(session_id)

    async def claim(self, session_id: str, begins: bool = True) -> SessionRecord | None:
        self.claims += 1
        return await self.load(session_id)

    async def drain(self, timeout_s: float, session_ids: list[str] | None = None) -> bool:
        await asyncio.sleep(timeout_s if self.away else self.delay_s if session_ids is not None else 0)
        return not self.away

    def played(self, session_id: str, generation: int, played_ms: float) -> None: ...

    async def erase(self, session_id: str) -> None:
        await self._call()
        self.records.pop(session_id, None)
        self.logs.pop(session_id, None)
        self.erased.add(session_id)

    async def read_log(self, session_id: str, address: str = "") -> AsyncIterator[dict[str, Any]]:
        await self._call()
        for entry in self.logs.get(session_id, []):
            yield entry


class Wall(LoopClock):
    """A clock on the wall that can be put forward."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def epoch_ms(self) -> float:
        return super().epoch_ms() + self.later_s * 1000


class Desk:
    """`Sessions` with sessions of fake services."""

    def __init__(self, services: Services | None = None, **settings: Any) -> None:
        self.services = services or fake_services()
        self.settings = Settings(**{"_env_file": None, "secret": SECRET, "greeting": False, **settings})
        self.store = MemoryStore()
        self.made: list[Session] = []
        self.unready: ServiceError | None = None
        self.wall = Wall()
        self.sessions = Sessions(
            self.settings,
            self.make,
            self.store,  # type: ignore[arg-type]
            self.ready,
            self.wall,
            impossible=lambda chosen: impossible(chosen, self.settings, self.services),
        )

    def make(self, session_id: str, record: SessionRecord | None, chosen: SessionSettings) -> Session:
        dialogue = Dialogue(Phrasebook(ENGLISH), self.services.retrieval.topics())
        memory = memory_of(record) if record is not None else Memory()
        self.made.append(Session(session_id, AgentContext(self.services, dialogue, memory, self.settings, LoopClock())))
        return self.made[-1]

    async def ready(self) -> None:
        if self.unready is not None:
            raise self.unready


class Peer:
    """The far end of a connection, for `Sessions`."""

    def __init__(self) -> None:
        self.messages: list[ServerMessage] = []
        self.closed = False
        self.last: Farewell | None = None
        self.address = ""
        self.is_idle = False

    def send(self, message: ServerMessage) -> None:
        self.messages.append(message)

    @property
    def error(self) -> Error | None:
        return self.last if isinstance(self.last, Error) else None

    def close(self, last: Farewell | None = None) -> None:
        self.closed, self.last = True, last


class FakeWebSocket:
    """The server's side of a WebSocket, without a network. `reads` cleared: the client takes nothing off the wire."""

    def __init__(self, query: str = "", **headers: str) -> None:
        self.query_params = QueryParams(query)
        self.headers = Headers(headers)
        self.sent: list[tuple[float, Any]] = []
        self.code: int | None = None
        self.reason = ""
        self.reads = asyncio.Event()
        self.reads.set()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        return await self._incoming.get()

    async def send_text(self, text: str) -> None:
        await self._wire(json.loads(text))

    async def send_bytes(self, data: bytes) -> None:
        await self._wire(data)

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        await self._wire(None)
        self.code, self.reason = code, reason or ""

    async def _wire(self, data: Any) -> None:
        await self.reads.wait()
        if self.code is not None:
            raise WebSocketDisconnect(1006)
        if data is not None:
            self.sent.append((asyncio.get_running_loop().time(), data))

    # what the client does

    def say(self, message: dict[str, Any] | str | bytes) -> None:
        if isinstance(message, bytes):
            self._incoming.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for _, data in self.sent if isinstance(data, dict) and data["type"] == kind]

    def codes(self) -> list[str]:
        return [message["code"] for message in self.of("error")]


def pcm(rate: int, ms: int, value: int) -> bytes:
    return np.full(rate * ms // 1000, value, "<i2").tobytes()
