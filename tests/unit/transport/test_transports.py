"""Transports of somebody else: given to the app, or registered by an installed package."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from app import Settings, create_app, mount
from server.sessions.sessions import Sessions
from server.transport import transports as module
from server.transport import websocket
from server.transport.pending import PendingConnections
from server.transport.transports import routers, transports
from tests.unit.doubles import Desk
from tests.unit.fakes import fake_services

SECRET = "a secret that is for tests and long enough"


def beacon(sessions: Sessions, settings: Settings, waiting: PendingConnections) -> APIRouter:
    routes = APIRouter()

    @routes.get("/beacon")
    def shine() -> int:
        return settings.max_sessions

    return routes


def test_registered_ones_are_found_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("beacon", f"{__name__}:beacon", module.GROUP)
    monkeypatch.setattr(module, "entry_points", lambda group: [good])
    assert transports() == [("router", websocket.router), (f"beacon ({__name__}:beacon)", beacon)]
    monkeypatch.setattr(module, "entry_points", lambda group: [EntryPoint("gone", "no_such_package:router", group)])
    with pytest.raises(ValueError, match=r"transports: gone \(no_such_package:router\) cannot be loaded: ModuleNotFoundError"):
        transports()


def short(sessions: Sessions) -> APIRouter:
    return APIRouter()


def empty(sessions: Sessions, settings: Settings, waiting: PendingConnections) -> None: ...


async def late(sessions: Sessions, settings: Settings, waiting: PendingConnections) -> APIRouter:
    return APIRouter()


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("short", r"cannot be made: TypeError: short\(\) takes 1 positional argument but 3 were given"),
        ("empty", "makes NoneType"),
        ("late", "makes coroutine"),
        ("SECRET", "cannot be made: TypeError: 'str' object is not callable"),
    ],
)
@pytest.mark.parametrize("way", ["given", "registered"])
def test_one_that_makes_no_routes_is_named(monkeypatch: pytest.MonkeyPatch, way: str, name: str, words: str) -> None:
    entry = EntryPoint("sound", f"{__name__}:{name}", module.GROUP)
    monkeypatch.setattr(module, "entry_points", lambda group: [entry] if way == "registered" else [])
    desk = Desk()
    given = [globals()[name]] if way == "given" else []
    called = rf"sound \({__name__}:{name}\)" if way == "registered" else repr(SECRET) if name == "SECRET" else name
    with pytest.raises(
        ValueError, match=rf"^transports: {called} {words}.*; it takes \(sessions, settings, waiting\) and returns"
    ):
        routers(desk.sessions, desk.settings, PendingConnections(8), given)


def test_the_app_serves_what_it_is_given(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, secret=SECRET, data_dir=tmp_path)  # type: ignore[call-arg]
    app = create_app(settings, fake_services(), transports=[beacon])
    with TestClient(app) as client:
        assert client.get("/beacon").json() == settings.max_sessions
        assert client.get("/healthz").json() == {"status": "ok"}
    with TestClient(mount(FastAPI(), "/voice", settings, fake_services(), transports=[beacon])) as host:
        assert host.get("/voice/beacon").json() == settings.max_sessions
