"""Real Chromium on the running app, with a microphone that plays a file over and over."""

import asyncio
import subprocess
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from shutil import which

import httpx
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from playwright.async_api import Page, async_playwright

from tests.bench.clips import RATE, load
from tests.bench.server import Server, free_port, serve

SESSIONS = 2
MOUNTED = """
import sys, uvicorn
from fastapi import FastAPI
from app import mount
uvicorn.run(mount(FastAPI(), "/voice"), host="127.0.0.1", port=int(sys.argv[-1]), log_level="warning")
"""
# Starts the app again whenever it has ended.
REVIVED = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    app = subprocess.Popen([sys.executable, "app.py", *sys.argv[1:]])
    try:
        app.wait()
    finally:
        app.terminate()
        app.wait()
"""
# Strips a prefix from every path and hands the rest on to another server, as a reverse proxy does that Parley knows nothing of.
PROXY = """
import sys
import httpx, uvicorn
from starlette.responses import Response, StreamingResponse
from starlette.requests import Request

PREFIX, (upstream, port) = "/tools/voice", sys.argv[1:]
client = httpx.AsyncClient(base_url=upstream, timeout=None)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    if not scope["path"].startswith(PREFIX + "/"):
        return await Response("not of this app", 404)(scope, receive, send)
    path = scope["path"].removeprefix(PREFIX) + ("?" + request.url.query if request.url.query else "")
    headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
    asked = client.build_request(request.method, path, headers=headers, content=await request.body())
    given = await client.send(asked, stream=True)
    await StreamingResponse(given.aiter_raw(), given.status_code, dict(given.headers))(scope, receive, send)
    await given.aclose()

uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", lifespan="off")
"""
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
# Notes what reaches the ear every 20 ms, as [ms, level]: the sound of the agent's track times what the page's player lets out.
LISTEN = """() => {
  const player = document.querySelector("#parley-device audio");
  const context = new AudioContext();
  const meter = context.createAnalyser();
  meter.fftSize = 1024;
  context.createMediaStreamSource(player.srcObject).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  window.heard = [];
  setInterval(() => {
    meter.getFloatTimeDomainData(samples);
    const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    window.heard.push([performance.now(), player.muted ? 0 : level * player.volume]);
  }, 20);
}"""
# Notes every change of the conversation's state, as [ms, state].
WATCH = """
window.states = [];
new MutationObserver(() => window.states.push([performance.now(), document.documentElement.dataset.state]))
  .observe(document, { attributes: true, attributeFilter: ["data-state"], subtree: true });
"""

Browse = Callable[..., AbstractAsyncContextManager[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with serve(Namespace(server=""), greeting=True, max_sessions=SESSIONS) as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    return server.url


@pytest_asyncio.fixture(loop_scope="module")
async def mounted_url() -> AsyncIterator[str]:
    async with serve(Namespace(server=""), ("-c", MOUNTED), "/voice") as server:
        yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def proxied_url(server: Server) -> AsyncIterator[str]:
    port = free_port()
    proxy = await asyncio.create_subprocess_exec(sys.executable, "-c", PROXY, server.url, str(port))
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/tools/voice") as client:
            while True:
                try:
                    await client.get("/healthz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/tools/voice/"
    finally:
        proxy.terminate()
        await proxy.wait()


@pytest_asyncio.fixture(loop_scope="module")
async def revived() -> AsyncIterator[Server]:
    """A server that comes back, on the same port, when its process (the one child of `pid`) is killed."""
    async with serve(Namespace(server=""), ("-c", REVIVED)) as server:
        yield server


@pytest.fixture(scope="session")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "silence.wav"
    soundfile.write(path, np.zeros(RATE, np.int16), RATE)
    return path


@pytest.fixture(scope="session")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Someone who asks every 10 s how an interruption works: most times over the answer to the time before."""
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    words = "What happens when I start talking while you are still speaking?"
    subprocess.run(["flite", "-voice", "slt", "-t", words, "-o", path], check=True)
    speech = load(path)
    turn = np.zeros(10 * RATE, np.float32)
    turn[RATE : RATE + len(speech)] = speech
    soundfile.write(path, turn, RATE)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go; pytest keeps the folder of its last three runs."""
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture
def browse(tmp_path: Path, silence: Path) -> Browse:
    """`browse(url)` opens the page in a browser of its own. `microphone`: a file, or None for a machine without one; `consent`:
    whether the user lets the page use it; `script` runs before the page's own."""

    @asynccontextmanager
    async def browse(
        url: str, microphone: Path | None = silence, consent: bool = True, script: str = ""
    ) -> AsyncIterator[Page]:
        flags = [*FLAGS, *(["--use-fake-ui-for-media-stream"] if consent else [])]
        if microphone is not None:
            flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch_persistent_context(
                tmp_path / "profile", executable_path=which("chromium"), args=flags, viewport={"width": 1280, "height": 900}
            )
            try:
                page = browser.pages[0]
                await page.add_init_script(WATCH + script)
                await page.goto(url)
                await page.wait_for_function("() => window.parley && document.documentElement.dataset.link")
                yield page
            finally:
                for each in browser.pages:
                    await each.goto("about:blank")  # ends its call: the place of a killed page stays taken for half a minute
                await browser.close()

    return browse
