"""Mounted in somebody else's app: under its prefix, behind its proxy, and where nobody starts it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import Settings, mount
from tests.unit.fakes import fake_services


def mounted(host: FastAPI, folder: Path, path: str = "/voice", **chosen: Any) -> FastAPI:
    return mount(host, path, Settings(**{"_env_file": None, "data_dir": folder, **chosen}), services=fake_services())


@pytest.mark.parametrize("prefix", ["", "/api/v1"], ids=["no prefix", "prefix"])
@pytest.mark.parametrize("told_by", ["the app", "the server"])
def test_a_proxy_may_take_the_prefix_of_the_host_away(tmp_path: Path, prefix: str, told_by: str) -> None:
    host = mounted(FastAPI(root_path=prefix if told_by == "the app" else ""), tmp_path)
    with TestClient(host, root_path=prefix if told_by == "the server" else "") as client:
        for path in {"/voice", f"{prefix}/voice"}:
            assert "parley-start" in client.get(f"{path}/").text
            assert client.post(f"{path}/sessions").status_code == 201
            assert client.get(f"{path}/theme.css").status_code == 200
            assert client.get(f"{path}/config").status_code == 404
            with client.websocket_connect(f"{path}/orchestrate") as socket:
                socket.send_json({"type": "start"})
                assert socket.receive_json()["type"] == "ready"
                socket.send_json({"type": "stop"})
                with pytest.raises(WebSocketDisconnect):
                    while True:
                        socket.receive_json()


def test_an_app_that_nobody_starts_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Starlette runs the lifespan of the outermost app alone."""
    inner, outer = FastAPI(), FastAPI()
    mounted(inner, tmp_path)
    outer.mount("/inner", inner)
    with TestClient(outer) as client:
        for answer in (client.get("/inner/voice/"), client.post("/inner/voice/sessions"), client.get("/inner/voice/readyz")):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_started")
    assert "mount it in the outermost app" in caplog.text


@pytest.mark.parametrize("path", ["", "/", "//", "voice", "//voice", "/a//b", "/a/../b", "/.", "/voice?x", "/voice#x"])
def test_a_path_that_nobody_could_reach_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="path must begin"):
        mounted(FastAPI(), tmp_path, path)


def test_a_websocket_is_refused_on_servers_that_can_give_no_answer_to_it(tmp_path: Path) -> None:
    """Not every server that runs the host knows the extension for it."""
    host = mounted(FastAPI(), tmp_path, max_sessions=1)

    def scope(query: bytes) -> dict[str, Any]:
        place = {"path": "/voice/orchestrate", "raw_path": b"/voice/orchestrate", "root_path": "", "query_string": query}
        return {"type": "websocket", "scheme": "ws", "headers": [(b"host", b"x")], "subprotocols": [], **place}

    async def play() -> list[dict[str, Any]]:
        first: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        second: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        heard: asyncio.Queue[Any] = asyncio.Queue()
        told: list[dict[str, Any]] = []

        async def tell(message: Any) -> None:
            told.append(message)

        async with host.router.lifespan_context(host):
            first.put_nowait({"type": "websocket.connect"})
            first.put_nowait({"type": "websocket.receive", "text": json.dumps({"type": "start"})})
            talking = asyncio.create_task(host(scope(b""), first.get, heard.put))
            while "ready" not in str(await heard.get()):
                pass
            second.put_nowait({"type": "websocket.connect"})
            await host(scope(b"session_id=other&token=x"), second.get, tell)
            first.put_nowait({"type": "websocket.disconnect", "code": 1001})
            await talking
        return told

    assert asyncio.run(play()) == [{"type": "websocket.close", "code": 1013, "reason": "full"}]
