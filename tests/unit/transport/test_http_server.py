"""Clients that do not take what is sent to them, in virtual time, and a server on a port of its own."""

import asyncio
import logging
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.settings import Settings
from server.transport.http_server import SLOWEST, STALLED_S, Config, Patient
from tests.unit.virtual_time import run

GREAT = 65_536  # bytes that are in the buffer when a client has fallen behind


class Transport:
    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.waits = GREAT

    def get_write_buffer_size(self) -> int:
        return self.waits

    def abort(self) -> None:
        self.gone.set()


async def lasts_s(takes_in_s: float, until_s: float = 1000.0) -> float:
    """How long a client is borne with that takes GREAT bytes each time in so many seconds."""
    loop, transport, patient = asyncio.get_running_loop(), Transport(), Patient()
    setup: dict[str, Any] = {"loop": loop, "transport": transport, "config": SimpleNamespace(stalled={})}
    for name, value in setup.items():
        setattr(patient, name, value)
    began = loop.time()
    while not transport.gone.is_set() and loop.time() - began < until_s:
        patient.pause_writing()
        assert list(patient.config.stalled) == [patient]
        with suppress(TimeoutError):
            async with asyncio.timeout(takes_in_s):
                await transport.gone.wait()
        if not transport.gone.is_set():
            patient.resume_writing()
            assert not patient.config.stalled
    return loop.time() - began


@pytest.mark.parametrize(
    ("bytes_per_s", "lasts"), [(1, 34.0), (0.5 * SLOWEST, 60.0), (0.9 * SLOWEST, 302.0), (1.01 * SLOWEST, 1000.0)]
)
def test_a_client_is_left_that_takes_less_than_it_should(bytes_per_s: float, lasts: float) -> None:
    assert STALLED_S == 30.0
    assert run(lasts_s(GREAT / bytes_per_s)) == pytest.approx(lasts, rel=0.1)


def test_another_event_loop_that_is_installed_is_not_taken() -> None:
    """uvicorn would: and of a connection on uvloop it cannot be said how much is read of it at once."""
    assert Config(FastAPI(), Settings(_env_file=None)).loop == "asyncio"  # type: ignore[call-arg]


def test_a_number_of_workers_that_is_for_others_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "auto")
    assert Config(FastAPI(), Settings(_env_file=None)).workers == 1  # type: ignore[call-arg]


async def test_a_websocket_that_is_refused_with_an_answer_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"code": "full"}, 503)(scope, receive, send)

    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    server = uvicorn.Server(config := Config(app, settings, host="127.0.0.1", port=0, lifespan="off"))
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{port}/", proxy=None)
    assert (refused.value.response.status_code, refused.value.response.body) == (503, b'{"code":"full"}')
    await server.shutdown()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
