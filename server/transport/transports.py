"""The transports beside WebRTC: ours, and those that installed packages register under the entry point group
`parley.transports`."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from fastapi import APIRouter

from app.settings import Settings
from server.sessions.sessions import Sessions
from server.transport import websocket
from server.transport.pending import PendingConnections

GROUP = "parley.transports"

# Makes the routes of a transport, on which connections (`server.transport.connection`) come in. What it runs beside them belongs
# into the lifespan of the router.
Transport = Callable[[Sessions, Settings, PendingConnections], APIRouter]
FORM = "it takes (sessions, settings, waiting) and returns an APIRouter"


def transports(given: Sequence[Transport] = ()) -> list[tuple[str, Transport]]:
    """Our transports, the `given` ones and the registered ones, with their names. Raises ValueError for one that cannot be
    loaded."""
    found = [(getattr(transport, "__qualname__", repr(transport)), transport) for transport in (websocket.router, *given)]
    for entry in entry_points(group=GROUP):
        name = f"{entry.name} ({entry.value})"
        try:
            found.append((name, entry.load()))
        except Exception as error:  # somebody else's code
            raise ValueError(f"transports: {name} cannot be loaded: {type(error).__name__}: {error}") from error
    return found


def routers(
    sessions: Sessions, settings: Settings, waiting: PendingConnections, given: Sequence[Transport] = ()
) -> list[APIRouter]:
    """The routes of all transports. Raises ValueError for a transport that cannot be loaded, or makes no routes."""
    made = []
    for name, transport in transports(given):
        try:
            routes = transport(sessions, settings, waiting)
        except Exception as error:  # somebody else's code
            raise ValueError(f"transports: {name} cannot be made: {type(error).__name__}: {error}; {FORM}") from error
        if not isinstance(routes, APIRouter):
            raise ValueError(f"transports: {name} makes {type(routes).__name__}; {FORM}")
        made.append(routes)
    return made
