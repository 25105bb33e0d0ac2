"""A WebSocket connection being served, in virtual time."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from server.transport.pending import PendingConnections
from server.transport.websocket import WebSocketConnection
from tests.unit.doubles import Desk, FakeWebSocket
from tests.unit.virtual_time import run


class Client(FakeWebSocket):
    """A connection that is being served."""

    def __init__(self, desk: Desk, query: str = "") -> None:
        super().__init__(query)
        link = WebSocketConnection(self, desk.sessions, desk.settings, PendingConnections(desk.settings.max_sessions))  # type: ignore[arg-type]
        self.serving = asyncio.create_task(link.serve())

    async def start(self, **fields: Any) -> dict[str, Any]:
        self.say({"type": "start", "sample_rate": 16000, **fields})
        await asyncio.sleep(0.01)
        return self.of("ready")[-1]

    async def ended(self) -> str:
        """Waits for the server to end the connection; returns the code of its last error."""
        await asyncio.wait_for(self.serving, 600)
        return self.codes()[-1] if self.codes() else ""

    def audio(self, generation: int | None = None) -> list[tuple[float, dict[str, Any]]]:
        chunks = [(at, data) for at, data in self.sent if isinstance(data, dict) and data["type"] == "audio_chunk"]
        return [(at, chunk) for at, chunk in chunks if generation in (None, chunk["generation"])]

    def samples(self, generation: int | None = None) -> int:
        return sum(len(base64.b64decode(chunk["audio"])) // 2 for _, chunk in self.audio(generation))


Scene = Callable[[Desk], Awaitable[None]]


def scene(**given_settings: Any) -> Callable[[Scene], Callable[[], None]]:
    def decorate(test: Scene) -> Callable[[], None]:
        def plain() -> None:
            async def play() -> None:
                desk = Desk(**given_settings)
                await test(desk)
                await desk.sessions.live.close()
                others = asyncio.all_tasks() - {asyncio.current_task()}
                await asyncio.wait(others, timeout=5) if others else None
                assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], (
                    "a task was left behind"
                )

            run(play())

        plain.__name__ = test.__name__
        return plain

    return decorate
