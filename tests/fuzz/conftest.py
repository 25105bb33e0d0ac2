"""One server for every way in, and what must be true of it when somebody has tried anything."""

import asyncio
import json
import re
from argparse import Namespace
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tests.attack.clients import Attacker, first, socket_at
from tests.bench.server import Server, serve

MEMORY_MB = 100.0  # more than after the warm-up is a leak
HANDLES = 10
TASKS = 10
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
WRONG = ("Traceback", "never retrieved", "never awaited", "is not allowed while", "could not be handled", "Logging error")


class Target:
    """The server, and what it took up when it was warm."""

    def __init__(self, server: Server, http: httpx.AsyncClient) -> None:
        self.server = server
        self.url = server.url
        self.http = http
        self.attacker = Attacker(http)
        self._logged = len(self._log())
        self._warm = (0.0, 0.0, 0.0)

    def _log(self) -> bytes:
        assert self.server.log is not None
        return self.server.log.read_bytes()

    async def _figures(self) -> tuple[float, float, float]:
        return self.server.memory_mb(), self.server.handles(), await self.attacker.figure("parley_tasks")

    async def is_warm(self) -> None:
        """From now on nothing may grow."""
        self._warm = await self._figures()

    async def converse(self) -> dict[str, str]:
        """A conversation of one turn; the credentials of its session."""
        async with socket_at(self.url) as socket:
            await socket.send(json.dumps({"type": "start", "greeting": False}))
            ready = await first(socket, "ready")
            await socket.send(json.dumps({"type": "text", "text": "how does it work"}))
            assert (await first(socket, "agent_response"))["text"]
        return {"session_id": ready["session_id"], "token": ready["token"]}

    async def is_well(self) -> None:
        """Nothing failed inside, nothing is held, and whoever asks next is answered."""
        assert self._warm[0], "it was never warm"
        await self.converse()
        await self.attacker.empty()
        for _ in range(50):  # what has ended is taken apart behind it
            now = await self._figures()
            if now[1] - self._warm[1] <= HANDLES and now[2] - self._warm[2] <= TASKS:
                break
            await asyncio.sleep(0.2)
        said = self._log()[self._logged :].decode()
        assert not [word for word in WRONG if word in said], said[-5000:]
        assert not UNSEEN.search(said), said[-5000:]
        assert len(said) < 50_000, "the log is filled"
        assert now[0] - self._warm[0] < MEMORY_MB, (self._warm, now)
        assert now[1] - self._warm[1] <= HANDLES, (self._warm, now)
        assert now[2] - self._warm[2] <= TASKS, (self._warm, now)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Server]:
    """Its limits are wide: what is tried is what is behind them."""
    settings = {"start_timeout_s": 2.0, "messages_per_second": 100_000, "max_sessions": 8}
    async with serve(Namespace(server=""), ("-m", "tests.fuzz.server"), **settings) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def target(server: Server) -> AsyncIterator[Target]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        target = Target(server, http)
        for _ in range(3):
            await target.converse()
        yield target
        await target.is_well()
