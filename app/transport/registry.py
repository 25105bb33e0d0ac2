"""Transports beside WebRTC: ours, and those that installed packages register under the entry point group `parley.transports`."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from fastapi import APIRouter

from app.sessions.registry import Sessions
from app.settings import Settings
from app.transport import websocket
from app.transport.pending import PendingConnections

GROUP = "parley.transports"

# Makes the routes of a transport, on which connections (`app.transport.connection`) come in. What it runs beside them belongs into
# the lifespan of the router.
Transport = Callable[[Sessions, Settings, PendingConnections], APIRouter]


def transports(given: Sequence[Transport] = ()) -> list[Transport]:
    """Ours, those `given` and those that are registered. Raises ValueError for one that cannot be loaded."""
    found: list[Transport] = [websocket.router, *given]
    for entry in entry_points(group=GROUP):
        try:
            found.append(entry.load())
        except Exception as error:  # somebody else's code
            raise ValueError(
                f"the transport {entry.name} cannot be loaded from {entry.value}: {type(error).__name__}: {error}"
            ) from error
    return found
