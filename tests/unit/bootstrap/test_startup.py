"""The door that is open before the app is made."""

import asyncio
import threading

import httpx
from fastapi import FastAPI

from app.bootstrap.startup import StartupApp


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
        return app

    front = StartupApp(make, [warm], failed=lambda error: None)
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
    messages.put_nowait({"type": "lifespan.shutdown"})
    await life
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == ["app"]


async def test_an_app_that_cannot_be_made_is_told() -> None:
    told: asyncio.Queue[Exception] = asyncio.Queue()

    def make() -> FastAPI:
        raise ValueError("no such folder")

    front = StartupApp(make, [], failed=told.put_nowait)
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    messages.put_nowait({"type": "lifespan.startup"})

    async def send(message: object) -> None: ...

    life = asyncio.create_task(front({"type": "lifespan"}, messages.get, send))  # type: ignore[arg-type]
    assert str(await told.get()) == "no such folder"
    messages.put_nowait({"type": "lifespan.shutdown"})
    await life
