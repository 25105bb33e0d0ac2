"""Real servers to test against: the embedded one, and Debian's `redis-server`, each with ways to fail."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.settings import Settings
from server.store.embedded_server import EmbeddedServer

# It writes each answer to the disk before it gives it: beside parts of the test run that fill the disk that took more than 2 s.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def settings(data_dir: Path, redis_url: str = "", **others: Any) -> Settings:
    return Settings(_env_file=None, data_dir=data_dir, redis_url=redis_url, **others)  # type: ignore[call-arg]


async def becomes(condition: Callable[[], bool | Awaitable[bool]], limit_s: float = 15.0) -> None:
    """Waits until it holds; TimeoutError after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


async def answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False


class DebianRedis:
    """`redis-server` as Debian packages it, append-only, on a Unix socket."""

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: apt-get install redis-server"
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = [program, "--unixsocket", str(self.socket), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
        self._command += ["--appendfsync", "always", "--logfile", str(folder / "redis.log"), *(options or ("--port", "0"))]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command)
        async with self.admin() as client:
            await becomes(lambda: answers(client))

    def admin(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), socket_timeout=20)

    def settings(self, data_dir: Path, **others: Any) -> Settings:
        return settings(data_dir, self.url, **others)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        await self._process.wait()

    async def end(self) -> None:
        """As an orderly restart begins."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        await self._process.wait()

    async def restore(self) -> None:
        """Running again after `kill` or `end`."""
        await self.start()

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Embedded:
    """The store's own server, which the store starts; `kill` needs nobody to restore it."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedServer(folder / "store")
        self.folder = folder

    async def start(self) -> None: ...

    def admin(self) -> Redis:
        return Redis(unix_socket_path=str(self._server.socket), socket_timeout=20)

    def settings(self, data_dir: Path, **others: Any) -> Settings:
        return settings(self.folder, **others)

    def signal(self, number: signal.Signals) -> None:
        pid = self._server.listener()
        assert pid is not None, "the embedded server does not run"
        os.kill(pid, number)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def end(self) -> None:
        self.signal(signal.SIGTERM)

    async def restore(self) -> None:
        async with self.admin() as client:
            await becomes(lambda: answers(client))

    async def close(self) -> None: ...


Backend = DebianRedis | Embedded


@contextlib.asynccontextmanager
async def backend(kind: str, folder: Path) -> AsyncIterator[Backend]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as data:
        server: Backend = Embedded(Path(data)) if kind == "embedded" else DebianRedis(folder / "redis")
        await server.start()
        try:
            yield server
        finally:
            await server.close()


class Proxy:
    """Between a client and a server on a Unix socket: loses answers, or takes connections and never answers."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.socket = folder / "proxy.sock"
        self.url = f"unix://{self.socket}"
        self.lose_answers = 0  # so many answers from now on are lost, and their connections with them
        self.mute = False
        self._server = server
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._listener = await asyncio.start_unix_server(self._serve, self.socket)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._listener is not None
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_unix_connection(self._server)
        try:
            async with asyncio.TaskGroup() as group:
                there = group.create_task(self._copy(reader, to_writer, False))
                await self._copy(to_reader, writer, True)
                there.cancel()
        except* OSError:
            pass  # one of the two has gone, which is what this proxy is for
        finally:
            writer.close()
            to_writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        while data := await reader.read(65536):
            if answers and self.mute:
                continue
            if answers and self.lose_answers:
                self.lose_answers -= 1
                return
            writer.write(data)
            await writer.drain()
        writer.close()
