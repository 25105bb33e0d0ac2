"""Warm or not: what is said meanwhile, and what a conversation is told when a model is missing."""

import asyncio

import pytest

from server.sessions.readiness import Readiness
from services.base import ServiceUnavailable
from tests.unit.fakes import fake_services
from tests.unit.virtual_time import run


def test_a_conversation_waits_until_everything_is_warm() -> None:
    async def scene() -> None:
        services = fake_services()
        slow = asyncio.Event()
        services.stt.warm = slow.wait  # type: ignore[method-assign, assignment]
        readiness = Readiness(services)
        lines: list[str] = []

        async def speak_ahead() -> None:
            lines.append("spoken")

        warming = asyncio.create_task(readiness.warm(speak_ahead))
        waiting = asyncio.create_task(readiness.wait())
        await asyncio.sleep(1)
        assert readiness.waiting == {"stt", "lines"}
        assert not readiness.ready
        assert not waiting.done()
        slow.set()
        await asyncio.gather(warming, waiting)
        assert readiness.ready
        assert lines == ["spoken"]

    run(scene())


def test_a_missing_model_is_named_and_nobody_waits_for_it() -> None:
    async def scene() -> None:
        services = fake_services()

        async def broken() -> None:
            raise ServiceUnavailable("stt", "no weights")

        async def speak_ahead() -> None: ...

        services.stt.warm = broken  # type: ignore[method-assign]
        readiness = Readiness(services)
        await readiness.warm(speak_ahead)
        assert not readiness.ready
        assert readiness.failed == {"stt": "stt: no weights"}
        with pytest.raises(ServiceUnavailable, match="stt: no weights"):
            await readiness.wait()

    run(scene())
