"""Two nodes with one Redis, and Debian's nginx in front of them as `deploy/nginx/parley.conf` has it."""

import asyncio
import shutil
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.bench.server import ROOT, Server, free_port, serve
from tests.integration.redis_servers import DebianRedis, becomes

CONF = ROOT / "deploy" / "nginx" / "parley.conf"
SECRET = "891f8eadac3d8d681b1096f77fe0477a"
AROUND = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    {temporary}
    include {folder}/parley.conf;
}}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass
class Nodes:
    url: str  # of nginx
    nodes: dict[str, Server]  # by what the cookie calls them


@asynccontextmanager
async def nginx(folder: Path, nodes: dict[str, Server]) -> AsyncIterator[str]:
    """Debian's nginx with our configuration, in which addresses alone are others. Its URL."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    conf = CONF.read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{port};")
    for last, node in zip(("11", "12"), nodes.values(), strict=True):
        conf = conf.replace(f"10.77.0.{last}:7860", node.url.removeprefix("http://"))
        conf = conf.replace(rf"10\.77\.0\.{last}:7860", node.url.removeprefix("http://").replace(".", r"\."))
    (folder / "parley.conf").write_text(conf, "utf-8")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in KINDS)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, temporary=temporary), "utf-8")
    process = await asyncio.create_subprocess_exec(program, "-p", str(folder), "-c", str(folder / "nginx.conf"))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def answers() -> bool:
                assert process.returncode is None, (folder / "error.log").read_text()
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await becomes(answers)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def behind_nginx(folder: Path, **settings: Any) -> AsyncIterator[Nodes]:
    """Two nodes of scripted services, a and b, behind nginx."""
    async with AsyncExitStack() as stack:
        redis = DebianRedis(folder / "redis")
        await redis.start()
        stack.push_async_callback(redis.close)
        shared = {
            "redis_url": redis.url,
            "secret": SECRET,
            "address_header": "X-Forwarded-For",
            "silence_prompt_s": 0,
            **settings,
        }
        starting = [stack.enter_async_context(serve(Namespace(server=""), ("-m", "tests.deploy.node"), **shared)) for _ in "ab"]
        nodes = dict(zip("ab", await asyncio.gather(*starting), strict=True))
        yield Nodes(await stack.enter_async_context(nginx(folder, nodes)), nodes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nodes]:
    async with behind_nginx(tmp_path_factory.mktemp("nginx"), max_sessions=1) as nodes:
        yield nodes
