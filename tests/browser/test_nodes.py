"""The page and two servers behind one address: it stays with the one that took it, and goes on at the other when that is gone.
Behind a balancer that knows nothing of it the servers have addresses of their own; behind nginx as deploy/nginx has it, none."""

import asyncio
import contextlib
import os
import signal
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.bench.server import Server, free_port, serve
from tests.browser.conftest import Browse
from tests.browser.test_page import WAIT_MS, back, start, type_in
from tests.deploy.conftest import behind_nginx
from tests.integration.redis_servers import DebianRedis

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = ("-m", "tests.deploy.node")


class Entry:
    """The common address: hands each connection on to the first server that takes it, as a balancer does."""

    def __init__(self) -> None:
        self.port = free_port()
        self.ports: list[int] = []

    async def __aenter__(self) -> "Entry":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self.ports:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
                return
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest_asyncio.fixture(loop_scope="module")
async def entry() -> AsyncIterator[Entry]:
    async with Entry() as entry:
        yield entry


@pytest_asyncio.fixture(loop_scope="module")
async def nodes(tmp_path_factory: Any, entry: Entry) -> AsyncIterator[list[Server]]:
    redis, entry.ports = DebianRedis(tmp_path_factory.mktemp("redis")), [free_port(), free_port()]
    await redis.start()
    common: dict[str, Any] = {
        "redis_url": redis.url,
        "secret": "3d50a38963984d87c6ff3c0bb2f13781",
        "cors_origins": f"http://127.0.0.1:{entry.port}",
    }
    async with AsyncExitStack() as stack:
        starting = [serve(Namespace(server=""), NODE, port=p, node_url=f"http://127.0.0.1:{p}", **common) for p in entry.ports]
        yield await asyncio.gather(*(stack.enter_async_context(server) for server in starting))
    await redis.close()


async def test_the_page_goes_on_at_another_server(entry: Entry, nodes: list[Server], browse: Browse) -> None:
    async with browse(f"http://127.0.0.1:{entry.port}") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        def offered() -> list[str]:
            return [url.partition("/gradio_api")[0] for url in asked if "component_server" in url]

        await start(page)
        here = await page.evaluate("JSON.parse(sessionStorage['parley-session']).url")
        [gone], [other] = ([node for node in nodes if (node.url == here) is mine] for mine in (True, False))
        assert set(offered()) == {gone.url}, "and not the address that the page has"
        await type_in(page, "how does it work?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("sentence one", timeout=WAIT_MS)
        os.kill(gone.pid or 0, signal.SIGKILL)
        await page.wait_for_function("() => document.documentElement.dataset.link === 'lost'", timeout=WAIT_MS)
        await back(page)
        assert offered()[-1] == other.url
        await expect(page.locator("#parley-transcript .user").first).to_contain_text("how does it work?", timeout=WAIT_MS)
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")


async def test_the_page_goes_on_at_another_node_behind_nginx(tmp_path: Path, browse: Browse) -> None:
    async with behind_nginx(tmp_path) as behind, browse(behind.url) as page:

        async def node() -> str:
            return next(str(cookie["value"]) for cookie in await page.context.cookies() if cookie["name"] == "parley_node")

        await start(page)
        await type_in(page, "how does it work?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("sentence two", timeout=WAIT_MS)
        own = await node()
        os.kill(behind.nodes[own].pid or 0, signal.SIGKILL)
        await page.wait_for_function("() => document.documentElement.dataset.link === 'lost'", timeout=WAIT_MS)
        await back(page)
        assert await node() != own, "the cookie leads to a node that is gone"
        await expect(page.locator("#parley-transcript .agent").first).to_contain_text("This is sentence one", timeout=WAIT_MS)
        await type_in(page, "and then?")
        await expect(page.locator("#parley-transcript .user").last).to_contain_text("and then?", timeout=WAIT_MS)
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("sentence one", timeout=WAIT_MS)
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")
