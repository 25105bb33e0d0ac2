"""What a replica receives of its clients. Serve fetches it from its proxy by calls of its own, and where one of these fails it
raises that error and fetches nothing more: to an app, a fault of its own. But a call may be cancelled together with the request of
somebody else who has left (seen in 2.55: `ray.cancel` reaches further than it is meant to), and then this client is still there."""

import asyncio
from typing import Any

from ray.exceptions import RayError, TaskCancelledError
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Received:
    """An ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        fetch = getattr(receive, "fetch_until_disconnect", None)  # of Serve's `ASGIReceiveProxy`
        if fetch is None:
            return await self._app(scope, receive, send)
        gone = {"type": f"{scope['type']}.disconnect", **({"code": 1006} if scope["type"] == "websocket" else {})}
        fetching: list[asyncio.Task[Any]] = []

        async def received() -> Message:
            while True:
                try:
                    return await receive()
                except TaskCancelledError:  # where the client has left, fetching again says so
                    fetching[:] = [asyncio.create_task(fetch())]
                except RayError:  # the proxy has died, and the connection with it
                    return gone

        try:
            await self._app(scope, received, send)
        finally:
            for task in fetching:
                task.cancel()
