"""The server under test: one of our own, started with a fresh data folder, or one that runs already."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
READY_S = 120.0  # a first start may have to fetch weights


@dataclass
class Server:
    """`url` has no slash at its end. `pid` is None for a server we did not start: then there is no CPU or memory to read."""

    url: str
    pid: int | None = None
    page_s: float = float("nan")  # start of the process to the first page
    ready_s: float = float("nan")  # ... and to /readyz with 200
    log: Path | None = None
    _cpu: dict[int, float] = field(default_factory=dict)

    def _family(self) -> list[psutil.Process]:
        if self.pid is None:
            raise ValueError("CPU and memory can be read only of a server that the program started itself (leave out --server)")
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds used so far by the server and its children."""
        return float(sum(t.user + t.system for t in (p.cpu_times() for p in self._family())))

    def memory_mb(self) -> float:
        """Resident memory of the server and its children, MB."""
        return float(sum(p.memory_info().rss for p in self._family())) / 1e6

    def handles(self) -> int:
        """Files and sockets that the server itself has open."""
        return int(self._family()[0].num_fds())

    def threads(self) -> int:
        """Threads of the server itself, those of the models' runtimes too."""
        return int(self._family()[0].num_threads())


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
    `command` (Python's arguments; `--port N` is added) and found under `path`. RuntimeError with its log if it does not start."""
    if args.server:
        yield Server(args.server.rstrip("/"))
        return
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        port, log = free_port(), Path(folder) / "server.log"
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
