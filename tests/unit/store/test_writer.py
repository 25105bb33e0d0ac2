"""The writer's loop, against clients that misbehave."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Away
from redis.exceptions import NoPermissionError

from app.core.clock import LoopClock
from app.settings import Settings
from server.store.writer import Status, Writer
from tests.unit.virtual_time import run


class Client:
    """Answers the first ping; what later ones do is up to the test."""

    def __init__(self) -> None:
        self.pings = 0
        self.used, self.evicted = 10, 0

    def pipeline(self, transaction: bool) -> None: ...

    async def info(self) -> dict[str, Any]:
        return {"used_memory": self.used, "maxmemory": 1000, "evicted_keys": self.evicted, "maxmemory_policy": "allkeys-lru"}

    async def ping(self) -> None:
        self.pings += 1
        if self.pings > 1:
            await self.later()

    async def later(self) -> None: ...


def new_writer(client: Client) -> Writer:
    return Writer(client, None, Settings(_env_file=None), LoopClock())  # type: ignore[arg-type]


def test_the_end_comes_though_the_client_swallows_a_cancellation() -> None:
    class Swallowing(Client):
        swallowed = 0

        async def later(self) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.swallowed += 1
                if self.swallowed > 1:
                    raise

    async def scene() -> int:
        client = Swallowing()
        writer = new_writer(client)
        await writer.start()
        await asyncio.sleep(10)
        async with asyncio.timeout(10):
            await writer.stop(1)
        return client.swallowed

    assert run(scene()) >= 1


def test_an_idle_store_notices_that_its_server_goes_and_returns() -> None:
    class Wavering(Client):
        async def later(self) -> None:
            if 5 < self.pings < 5000:
                raise Away("gone")

    async def scene() -> list[str]:
        client = Wavering()
        writer = new_writer(client)
        await writer.start()
        states = []
        for wait in (5, 20, 7200):  # two hours: more attempts than an exponent may count
            await asyncio.sleep(wait)
            states.append(writer.status.state)
        await writer.stop(1)
        return states

    assert run(scene()) == ["ok", "degraded", "ok"]


def test_fullness_and_what_was_thrown_away_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> list[Status]:
        client = Client()
        writer = new_writer(client)
        await writer.start()
        seen = [writer.status]
        for used, evicted in ((950, 0), (10, 0), (10, 3), (10, 0), (10, 2)):  # the server begins anew before the last but one
            client.used, client.evicted = used, evicted
            await asyncio.sleep(3)
            seen.append(writer.status)
        await writer.stop(1)
        return seen

    begun, full, empty, *evicting = run(scene())
    assert (begun.state, empty.state) == ("ok", "ok")
    assert (full.state, full.full) == ("degraded", 0.95) and "95% full" in full.reason
    assert [status.evicted for status in evicting] == [3, 3, 5] and evicting[-1].state == "degraded"
    for words in ("noeviction", "95 % full", "thrown 3 keys"):
        assert words in caplog.text


def test_a_server_that_tells_nothing_of_its_memory_is_no_trouble() -> None:
    class Silent(Client):
        async def info(self) -> dict[str, Any]:
            raise NoPermissionError("this user has no permissions to run the 'info' command")

    async def scene() -> Status:
        writer = new_writer(Silent())
        await writer.start()
        await writer.stop(1)
        return writer.status

    assert run(scene()) == Status("ok")


def test_a_defect_is_reported_and_does_not_end_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    class Defective(Client):
        async def later(self) -> None:
            if self.pings < 4:
                raise ZeroDivisionError("a defect")

    async def scene() -> tuple[Any, str]:
        writer = new_writer(Defective())
        await writer.start()
        await asyncio.sleep(3)
        during = writer.status
        await asyncio.sleep(20)
        state = writer.status.state
        await writer.stop(1)
        return during, state

    during, state = run(scene())
    assert during.state == "degraded" and "a defect" in during.reason
    assert "a defect" in caplog.text
    assert state == "ok"
