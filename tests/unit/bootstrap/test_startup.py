"""The door that is open before the app is made."""

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from server.bootstrap.startup import StartupApp
from services.base import ServiceUnavailable


async def until_made(client: httpx.AsyncClient) -> None:
    for _ in range(100_000):
        if (await client.get("/readyz")).status_code == 200:
            return
        await asyncio.sleep(0)
    raise TimeoutError("the app was not made")


async def test_the_page_answers_before_the_app_and_the_app_takes_over() -> None:
    made = threading.Event()
    closed: list[str] = []
    warmed = asyncio.Event()

    async def warm() -> None:
        warmed.set()

    def make() -> FastAPI:
        made.wait(10)
        app = FastAPI(on_shutdown=[lambda: closed.append("app")])
        app.add_api_route("/readyz", lambda: {"status": "ready"})
        app.state.warm = loaded.wait
        return app

    loaded, ready = asyncio.Event(), asyncio.Event()
    front = StartupApp(make, [warm], failed=lambda error: None, ready=ready.set)
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: list[str] = []

    async def send(message: dict[str, str]) -> None:  # type: ignore[type-arg]
        sent.append(message["type"])

    messages.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(front({"type": "lifespan"}, messages.get, send))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://parley") as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "Starting" in page.text
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        refused = await client.post("/sessions")
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "starting", "1")
        await asyncio.wait_for(warmed.wait(), 10)
        made.set()
        await until_made(client)
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        assert not ready.is_set(), "the models are not warm yet"
        loaded.set()
        await asyncio.wait_for(ready.wait(), 10)
    messages.put_nowait({"type": "lifespan.shutdown"})
    await life
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == ["app"]


async def test_an_app_that_cannot_be_made_is_told() -> None:
    told: asyncio.Queue[Exception] = asyncio.Queue()

    def make() -> FastAPI:
        raise ValueError("no such folder")

    front = StartupApp(make, [], failed=told.put_nowait, ready=lambda: told.put_nowait(AssertionError("it is not ready")))
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    messages.put_nowait({"type": "lifespan.startup"})

    async def send(message: object) -> None: ...

    life = asyncio.create_task(front({"type": "lifespan"}, messages.get, send))  # type: ignore[arg-type]
    assert str(await told.get()) == "no such folder"
    messages.put_nowait({"type": "lifespan.shutdown"})
    await life
    assert told.empty()


async def test_models_that_cannot_be_warmed_are_not_ready() -> None:
    tried = asyncio.Event()

    async def warm() -> None:
        tried.set()
        raise ServiceUnavailable("tts", "away")

    def make() -> FastAPI:
        app = FastAPI()
        app.state.warm = warm
        return app

    ready: list[str] = []
    front = StartupApp(make, [], failed=lambda error: None, ready=lambda: ready.append("ready"))
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def send(message: object) -> None: ...

    messages.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(front({"type": "lifespan"}, messages.get, send))  # type: ignore[arg-type]
    await asyncio.wait_for(tried.wait(), 10)
    messages.put_nowait({"type": "lifespan.shutdown"})
    await life
    assert not ready


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/orchestrate", "/sound"])
async def test_a_websocket_is_told_that_the_app_is_starting(path: str) -> None:
    """A server that can refuse it with an answer does; 403, which the others make of it, looks like a wrong name or page."""
    front = StartupApp(FastAPI, [], failed=lambda error: None, ready=lambda: None)
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": path, "headers": [], "extensions": {"websocket.http.response": {}}}
    await front(scope, receive, send)
    begun, body = sent
    assert (begun["type"], begun["status"]) == ("websocket.http.response.start", 503)
    assert (b"retry-after", b"1") in begun["headers"]
    assert json.loads(body["body"])["code"] == "starting"
    sent.clear()
    await front({**scope, "extensions": {}}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
