"""The server under test: one of our own, started with a fresh data folder, or one that runs already."""

import asyncio
import ipaddress
import math
import os
import socket
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
READY_S = 120.0  # a first start may have to fetch weights


@dataclass
class Server:
    """`url` has no slash at its end. `pid` is None for a server of another machine: its CPU and memory are NaN."""

    url: str
    pid: int | None = None
    page_s: float = float("nan")  # start of the process to the first page
    ready_s: float = float("nan")  # ... and to /readyz with 200
    log: Path | None = None
    _cpu: dict[int, float] = field(default_factory=dict)

    def _family(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds used so far by the server and its children."""
        return _total(t.user + t.system for t in (p.cpu_times() for p in self._family()))

    def memory_mb(self) -> float:
        """Resident memory of the server and its children, MB."""
        return _total(p.memory_info().rss / 1e6 for p in self._family())

    def handles(self) -> float:
        """Files and sockets that the server itself has open."""
        return _total(p.num_fds() for p in self._family()[:1])

    def threads(self) -> float:
        """Threads of the server itself, those of the models' runtimes too."""
        return _total(p.num_threads() for p in self._family()[:1])


def _total(values: Iterable[float]) -> float:
    found = list(values)
    return float(sum(found)) if found else math.nan


def _listener(url: str) -> int | None:
    """The process that listens at `url`; None on another machine, or where it may not be seen."""
    parts = urlsplit(url)
    host = ipaddress.ip_address(socket.gethostbyname(parts.hostname or ""))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not host.is_loopback:
        return None
    connections = psutil.net_connections("tcp")
    return next((c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.port == port), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(http: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await http.get(path)).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def serve(
    args: Namespace, command: Sequence[str] = ("app.py",), path: str = "", **settings: object
) -> AsyncIterator[Server]:
    """The server that `args.server` names, or a new one with these settings (`max_sessions=16` sets PARLEY_MAX_SESSIONS), run by
    `command` (Python's arguments; `--port N` is added, a free one without `port`) and found under `path`. RuntimeError with its log
    if it does not start."""
    if args.server:
        yield Server(url := args.server.rstrip("/"), _listener(url))
        return
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        port, log = settings.pop("port", None) or free_port(), Path(folder) / "server.log"
        chosen = {"greeting": False, "data_dir": folder, "log_level": "WARNING", **settings}
        environment = {**os.environ, **{f"PARLEY_{key.upper()}": str(value) for key, value in chosen.items()}}
        with log.open("wb") as out:
            begun = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command, "--port", str(port)), cwd=ROOT, env=environment, stdout=out, stderr=out
            )
        server = Server(f"http://127.0.0.1:{port}{path}", process.pid, log=log)
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=5) as http:
                while not await _answers(http, "/readyz"):
                    if server.page_s != server.page_s and await _answers(http, "/"):
                        server.page_s = time.perf_counter() - begun
                    if process.returncode is not None or time.perf_counter() - begun > READY_S:
                        raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")
                    await asyncio.sleep(0.05)  # asked more often, a server that starts would be slower for it
            server.ready_s = time.perf_counter() - begun
            yield server
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 15)
                except TimeoutError:
                    process.kill()
                    await process.wait()
