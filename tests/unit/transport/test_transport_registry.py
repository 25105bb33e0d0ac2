"""Transports of somebody else: given to the app, or registered by an installed package."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from app import Settings, create_app
from app.sessions.registry import Sessions
from app.transport import registry, websocket
from app.transport.pending import PendingConnections
from app.transport.registry import transports
from tests.unit.fakes import fake_services

SECRET = "a secret that is for tests and long enough"


def beacon(sessions: Sessions, settings: Settings, waiting: PendingConnections) -> APIRouter:
    routes = APIRouter()

    @routes.get("/beacon")
    def shine() -> int:
        return settings.max_sessions

    return routes


def test_registered_ones_are_found_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("beacon", f"{__name__}:beacon", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [good])
    assert transports() == [websocket.router, beacon]
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("gone", "no_such_package:router", group)])
    with pytest.raises(ValueError, match="transport gone cannot be loaded from no_such_package:router: ModuleNotFoundError"):
        transports()


def test_the_app_serves_what_it_is_given(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, secret=SECRET, data_dir=tmp_path)  # type: ignore[call-arg]
    app = create_app(settings, fake_services(), transports=[beacon])
    client = TestClient(app)
    assert client.get("/beacon").json() == settings.max_sessions
    assert client.get("/healthz").json() == {"status": "ok"}
