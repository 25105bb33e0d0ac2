"""Answers at once while the app is still being made: Gradio takes seconds to import, so the port first serves a page that says
so, the models warm meanwhile, and the app takes over when it is made."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.base import ServiceError

DENIAL = "websocket.http.response"  # the extension of ASGI for refusing a WebSocket with an answer; without it that is a 403
NO_STORE = {"Cache-Control": "no-store"}
PAGE = (files(__package__) / "starting.html").read_text("utf-8")


class StartupApp:
    """An ASGI app that answers until `make`, called in a thread, has made the real one, and then hands every request to that.
    Meanwhile everything in `warming` runs. When the app cannot be made, `failed` is called with the error; when its models are
    warm, `ready`."""

    def __init__(
        self,
        make: Callable[[], FastAPI],
        warming: Iterable[Callable[[], Awaitable[None]]],
        failed: Callable[[Exception], None],
        ready: Callable[[], None],
    ) -> None:
        self._make = make
        self._warming = warming
        self._failed = failed
        self._ready = ready
        self._app: FastAPI | None = None
        self._house = contextlib.AsyncExitStack()  # what has to be closed with the app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one ASGI request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013, "reason": "starting"})
        else:
            await self._answer(scope["path"] if scope["type"] == "http" else "")(scope, receive, send)

    async def drain(self) -> None:
        """Returns when the last conversation is over (see `server.sessions.drain`). The app answers requests until then."""
        if self._app is not None:
            await self._app.state.drain()

    def hasten(self) -> None:
        """Ends `drain` without waiting any longer."""
        if self._app is not None:
            self._app.state.drain.hasten()

    def _answer(self, path: str) -> Response:
        if path == "/":
            return HTMLResponse(PAGE, headers=NO_STORE)
        if path == "/healthz":
            return JSONResponse({"status": "ok"}, headers=NO_STORE)
        body = {"status": "starting"} if path == "/readyz" else {"code": "starting", "message": "the app is starting"}
        return JSONResponse(body, 503, {**NO_STORE, "Retry-After": "1"})

    async def _live(self, receive: Receive, send: Send) -> None:
        opening = asyncio.create_task(self._open())
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await self._house.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self) -> None:
        # The app warms the same again: it waits for this or finds it done, and tells what could not be.
        warming = [asyncio.ensure_future(warm()) for warm in self._warming]
        try:
            app = await asyncio.to_thread(self._make)
            await self._house.enter_async_context(app.router.lifespan_context(app))
            self._app = app
        except Exception as error:
            self._failed(error)
        finally:
            await asyncio.gather(*warming, return_exceptions=True)
            gc.enable()
        if self._app is not None:
            with contextlib.suppress(ServiceError):  # it is told in the log, and by `/readyz`
                await self._app.state.warm()
                self._ready()
