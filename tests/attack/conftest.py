"""A server whose deadlines are short, and whoever attacks it. Every client comes from this machine, which is not counted by
address; a header stands for other machines."""

from argparse import Namespace
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.attack.clients import HELD, Attacker, log_of
from tests.bench.server import Server, serve

START_S = 2.0
IDLE_S = 6.0
SESSIONS = 3
SHARE = 2  # conversations of one address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Server]:
    settings = {
        "max_sessions": SESSIONS,
        "start_timeout_s": START_S,
        "idle_timeout_s": IDLE_S,
        "max_per_address": SHARE,
        "address_header": "X-Forwarded-For",
    }
    async with serve(Namespace(server=""), **settings) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def attacker(server: Server) -> AsyncIterator[Attacker]:
    """Nothing may be left of the attack when the test is over, the log may not be full of it, and its work may not have held the
    event loop: what the loop's thread computed counts, which is the same on a busy machine."""
    assert server.log is not None
    before = server.log.stat().st_size
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Attacker(http)
        held = await one.figure(HELD)
        yield one
        await one.empty()
        assert await one.figure(HELD) == held, log_of(server, before)
    log = log_of(server, before)
    assert "Traceback" not in log, log[-3000:]
    assert len(log) < 20_000, "an attack fills the log"


@pytest.fixture
def url(server: Server) -> str:
    return server.url
