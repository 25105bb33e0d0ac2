"""Where guests are: nodes as plain processes, or replicas of Ray Serve on a local cluster of several nodes, with a real Redis."""

import asyncio
import contextlib
import functools
import json
import sys
import tempfile
from argparse import Namespace
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import httpx
import psutil

from tests.bench.server import ROOT, Server, free_port, serve
from tests.integration.redis_servers import DebianRedis, becomes

SECRET = "562b1f6990883b53b3a8e5f29dcd2fbf"
NODES = 3


class Cluster(Protocol):
    urls: list[str]

    async def kill(self) -> None:
        """A machine that holds conversations is gone, from one moment to the next."""
        ...

    async def heal(self) -> None:
        """There are as many again as before."""
        ...

    async def roll(self) -> None:
        """All are replaced, one after the other."""
        ...


class Plain:
    """Processes that each have their own address."""

    def __init__(self, redis: DebianRedis, shared: dict[str, Any], stack: contextlib.AsyncExitStack) -> None:
        self.urls: list[str] = []
        self.redis = redis
        self._shared = shared
        self._stack = stack
        self._nodes: list[tuple[Server, contextlib.AsyncExitStack]] = []

    async def start(self, *nodes: dict[str, Any]) -> None:
        """As many as there are settings: what each of them has besides those that all share."""
        self._nodes = list(await asyncio.gather(*(self._node(own) for own in nodes)))
        self.urls[:] = [server.url for server, _ in self._nodes]

    async def _node(self, settings: dict[str, Any] | None = None) -> tuple[Server, contextlib.AsyncExitStack]:
        own = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        command, chosen = ("-m", "tests.deploy.node"), {"port": free_port(), **self._shared, **(settings or {})}
        return await own.enter_async_context(serve(Namespace(server=""), command, **chosen)), own

    def cpu_s(self) -> float:
        """CPU seconds that all have used."""
        return sum(server.cpu_s() for server, _ in self._nodes)

    async def fullest(self) -> psutil.Process:
        """The node with most conversations."""
        counts = await self.held()
        server, _ = self._nodes[counts.index(max(counts))]
        return psutil.Process(server.pid)

    async def kill(self) -> None:
        (await self.fullest()).kill()

    async def heal(self) -> None:
        for at, (server, own) in enumerate(self._nodes):
            if not psutil.pid_exists(server.pid or 0) or psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE:
                await own.aclose()
                self._nodes[at] = await self._node()
                self.urls[at] = self._nodes[at][0].url

    async def roll(self) -> None:
        """A new one is there before the old one is told to go."""
        for at, (server, own) in enumerate(self._nodes):
            new = await self._node()
            process = psutil.Process(server.pid)
            process.terminate()
            self._nodes[at] = new
            self.urls[at] = new[0].url
            await becomes(functools.partial(_ended, process), 60)
            await own.aclose()

    async def held(self) -> list[int]:
        async with httpx.AsyncClient(timeout=10) as http:
            return [await _gauge(http, url, "parley_sessions") for url in self.urls]


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def _gauge(http: httpx.AsyncClient, url: str, name: str) -> int:
    try:
        text = (await http.get(f"{url}/metrics")).text
    except httpx.TransportError:
        return 0
    return next((int(float(line.split()[1])) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


class OnRay:
    """Serve on a cluster whose nodes are processes of this machine: one port for all proxies, of which the kernel chooses."""

    def __init__(self, driver: asyncio.subprocess.Process) -> None:
        self.port = free_port()
        self.urls = [f"http://127.0.0.1:{self.port}"]
        self._driver = driver
        self._one = asyncio.Lock()

    async def tell(self, do: str, **more: Any) -> Any:
        """What the driver answers. Raises RuntimeError for what it could not do."""
        assert self._driver.stdin is not None and self._driver.stdout is not None
        async with self._one:
            self._driver.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            answer = json.loads(await self._driver.stdout.readline() or b'{"error": "the driver has ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["found"]

    async def kill(self) -> None:
        await self.tell("kill")

    async def heal(self) -> None:
        await self.tell("heal")

    async def roll(self) -> None:
        await self.tell("deploy")
        await self.settled()

    async def settled(self) -> None:
        """Returns when no replica is coming or going."""

        async def none_moves() -> bool:
            return set(await self.tell("replicas")) <= {"RUNNING"}

        await becomes(none_moves, 300)


@contextlib.asynccontextmanager
async def redis_for_all() -> AsyncIterator[DebianRedis]:
    with tempfile.TemporaryDirectory(prefix="parley-cluster-") as folder:
        redis = DebianRedis(Path(folder) / "redis")
        await redis.start()
        try:
            yield redis
        finally:
            await redis.close()


@contextlib.asynccontextmanager
async def plain(count: int = NODES, **settings: Any) -> AsyncIterator[Plain]:
    async with redis_for_all() as redis, contextlib.AsyncExitStack() as stack:
        cluster = Plain(redis, {"redis_url": redis.url, "secret": SECRET, "silence_prompt_s": 0, **settings}, stack)
        await cluster.start(*([{}] * count))
        yield cluster


@contextlib.asynccontextmanager
async def on_ray(
    application: str, nodes: int = NODES, more: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> AsyncIterator[OnRay]:
    """`more` variables of the replicas, and `options` of the deployment. What Ray and the replicas say goes to this process's own
    standard error."""
    async with redis_for_all() as redis:
        command = (sys.executable, "-m", "tests.bench.ray_driver")
        driver = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
        cluster = OnRay(driver)
        try:
            variables = {
                "REDIS_URL": redis.url,
                "PARLEY_SECRET": SECRET,
                "PARLEY_GREETING": "0",
                "PARLEY_SILENCE_PROMPT_S": "0",
            }
            variables |= {"PARLEY_MAX_SESSIONS": "24", **more}
            await cluster.tell("start", port=cluster.port, application=application, variables=variables, nodes=nodes, **options)
            yield cluster
        finally:
            with contextlib.suppress(RuntimeError):
                await cluster.tell("stop")
            assert driver.stdin is not None
            driver.stdin.close()
            await driver.wait()
