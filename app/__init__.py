"""Parley: a voice agent you can talk over. `create_app()` makes the whole app, `mount()` puts it into another FastAPI app."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.dialogue.phrasebook import Phrasebook
    from server.transport.transports import Transport
    from services.base import Services

__all__ = ["Settings", "create_app", "mount"]


def create_app(
    settings: Settings | None = None,
    services: "Services | None" = None,
    phrasebook: "Phrasebook | None" = None,
    mounted: bool = False,
    transports: "Sequence[Transport]" = (),
) -> "FastAPI":
    """Makes one app of the page and the API. Without `services` the ones that the settings name are used, without `phrasebook`
    the lines of the settings' language. `mounted`: the app is part of another one, which decides by which host names it is
    reached. `transports` are served beside ours (`server.transport.transports`). Raises ValueError for settings that cannot
    work (a knowledge folder that is missing or empty, a tool or a transport that cannot be loaded)."""
    from server.bootstrap.gradio_import import import_gradio

    # Gradio and the models cost a second to import: whoever only wants the settings does not pay for it.
    import_gradio()
    from app.dialogue.phrasebook import Phrasebook
    from app.tools.loading import load_tools
    from languages import find
    from server.bootstrap.application import build_app
    from server.bootstrap.service_factory import services_from

    settings = settings or Settings()
    load_tools(settings.tools)
    return build_app(
        settings, services or services_from(settings), phrasebook or Phrasebook(find(settings.language)), mounted, transports
    )


def mount(
    host: "FastAPI",
    path: str = "/voice",
    settings: Settings | None = None,
    services: "Services | None" = None,
    transports: "Sequence[Transport]" = (),
) -> "FastAPI":
    """Adds Parley to `host` under `path` and returns `host`. Models and store start and stop with `host`, whose own routes and
    error pages stay as they are. `transports` are those of `create_app`. Raises ValueError as `create_app` does, and for a path
    that names no place below the root."""
    places = path.removesuffix("/").split("/")
    if places[0] or len(places) < 2 or any(place in ("", ".", "..") or set(place) & {"?", "#"} for place in places[1:]):
        raise ValueError(f"path must begin with a slash and name a place, not {path!r}")
    parley = create_app(settings, services, mounted=True, transports=transports)
    outer = host.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: "FastAPI") -> AsyncIterator[Any]:
        # A mounted app's own lifespan is not run by Starlette.
        async with outer(app) as state, parley.router.lifespan_context(parley):
            yield state

    host.router.lifespan_context = lifespan
    host.mount(path.rstrip("/"), parley)
    return host
