"""What strangers can do to a server that is mounted in another app, under a prefix."""

import json
from argparse import Namespace
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.attack.clients import Attacker, first, log_of, peer, socket_at
from tests.bench.server import Server, serve

MOUNTED = """
import sys, uvicorn
from fastapi import FastAPI
from app import Settings, mount
from server.transport.http_server import Config

host = FastAPI()

@host.get("/secret")
def secret() -> str:
    return "of the host"

settings = Settings()
uvicorn.Server(Config(mount(host, "/deep/voice", settings), settings, port=int(sys.argv[-1]))).run()
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with serve(Namespace(server=""), ("-c", MOUNTED), "/deep/voice", start_timeout_s=2.0) as server:
        yield server


@pytest.mark.parametrize(
    "path",
    [
        "/config",
        "/gradio_api/info",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/upload",
        "/deep/voice/config",
        "/deep/voice/deep/voice/config",
        "/../secret",
        "/%2e%2e/secret",
        "//gradio_api/info",
        "/assets/../config",
        "/assets/..%2f..%2fapp.py",
    ],
)
async def test_nothing_else_is_there_below_the_prefix(server: Server, path: str) -> None:
    root = server.url.removesuffix("/deep/voice")
    async with httpx.AsyncClient(timeout=30) as http:
        for method in ("GET", "POST"):
            response = await http.request(method, httpx.URL(server.url).copy_with(raw_path=f"/deep/voice{path}".encode()))
            assert response.status_code in (404, 405), (path, response.text)
            assert "Traceback" not in response.text and "of the host" not in response.text
        assert (await http.get(f"{root}/secret")).text == '"of the host"'
        assert (await http.get(f"{root}/config")).status_code == 404
        assert (await http.get(f"{root}/gradio_api/info")).status_code == 404


async def test_the_page_and_both_transports_work_below_it(server: Server) -> None:
    """... and what is said of one name there gives nothing of another."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        attacker = Attacker(http)
        page = await http.get("/")
        assert page.status_code == 200 and "<html" in page.text
        assert (await http.post("/sessions", headers={"Origin": "https://evil.example"})).status_code == 403
        async with peer() as one:
            await attacker.page(one, "below")
            async with socket_at(server.url) as other:
                assert other.response is not None and "Sec-WebSocket-Extensions" not in other.response.headers
                await other.send(json.dumps({"type": "start", "session_id": "below", "token": "x"}))
                assert (await first(other, "error"))["code"] == "wrong_token"
            one.send("ping")
            await one.until("pong")
        for body in (b"[" * 60_000, b"{}", b"x" * 100_000):
            response = await http.post("/gradio_api/component_server", content=body)
            assert response.status_code in (400, 413), response.text
    assert "Traceback" not in log_of(server)
