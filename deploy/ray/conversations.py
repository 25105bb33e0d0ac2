"""The conversations as an application of Ray Serve: each replica is one `create_app()`, and any replica serves any session, for
what outlives a replica is in Redis. `serve.yaml` says how many there are and when they come and go."""

import asyncio
import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

# Before NumPy is imported: its matrix library would start a spinning thread per core beside the models.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import httpx
from ray import serve

from deploy.ray.receiving import Received
from deploy.ray.stopping import stopped

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

ASK_AGAIN_S = 0.25
STARTING_NICENESS = 10  # of a replica that loads: those beside it on its machine, which talk, come first


def build() -> "FastAPI":
    """The app of one replica, from its node's environment (`PARLEY_...`). Raises ValueError and ServiceError as a start does."""
    from app import create_app
    from app.settings import read_settings
    from configuration.environment import drop_unusable
    from services.weights import fetch_all

    settings = read_settings([])
    if not settings.redis_url or not settings.secret.get_secret_value():
        raise ValueError("replicas share their sessions: set REDIS_URL and PARLEY_SECRET, the same for all of them")
    drop_unusable()
    fetch_all(settings.weights_dir)
    return create_app(settings)


class Replica:
    """What Serve asks of the process around the app."""

    app: "FastAPI"  # what `build` made; Serve's wrapper sets it

    def __init__(self) -> None:
        self._stopping = asyncio.create_task(self._stop())

    async def check_health(self) -> None:
        """Waits while the models load: until then Serve sends nobody here. Raises RuntimeError where they cannot be loaded; the
        replica is then replaced."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://replica") as client:
            while True:
                found = (await client.get("/readyz")).json()
                if found["status"] == "failed":
                    raise RuntimeError(f"conversations cannot begin: {found['failed']}")
                if found["status"] != "loading":
                    return
                await asyncio.sleep(ASK_AGAIN_S)

    async def record_routing_stats(self) -> dict[str, bool]:
        """What Serve tells its routers of this replica (`deploy/ray/routing.py`)."""
        return {"open": self.app.state.is_open()}

    async def _stop(self) -> None:
        """Serve waits for every request to end before it shuts the app down, and a conversation is one: so they are drained as
        soon as it begins to wait."""
        await stopped()
        await self.app.state.drain()


def _load() -> None:
    """Imports what an app is made of."""
    from server.bootstrap.gradio_import import import_gradio

    import_gradio()
    importlib.import_module("server.bootstrap.application")


def application(make: Callable[[], "FastAPI"]) -> "Application":
    """A deployment whose replicas serve what `make` returns. It is called in the replica."""

    def made() -> "FastAPI":
        from services.workers import give_way

        # What takes most of a start. The app itself is made here: the threads of its models would inherit the priority for good.
        with ThreadPoolExecutor(1, initializer=give_way, initargs=(STARTING_NICENESS,)) as starting:
            starting.submit(_load).result()
        app = make()
        app.add_middleware(Received)
        return app

    return serve.deployment(serve.ingress(made)(Replica)).options(name="conversations").bind()


app = application(build)
