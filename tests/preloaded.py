"""Servers for tests, each a fork of a process that has imported the app already, which is half of the work of a start. What a start
itself does is tested with processes of its own (tests/integration/test_start.py). `python -m tests.preloaded` is that process."""

import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import import_module
from pathlib import Path

import psutil

from server.bootstrap.gradio_import import import_gradio
from tests.bench.server import ROOT, Server, served

_one_at_a_time = threading.Lock()
MODULES = ("server.bootstrap.application", "server.bootstrap.service_factory", "server.bootstrap.startup", "languages.en")


def serve(command: Sequence[str] = ("app.py",), path: str = "", **settings: object) -> AbstractAsyncContextManager[Server]:
    """A new server, as `tests.bench.server.served` runs it."""
    return served(fork, command, path, **settings)


class Fork:
    """A server's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)

    @property
    def returncode(self) -> int | None:
        """None while the process lives; how it ended is not known."""
        return None if self._process.is_running() else 0

    def terminate(self) -> None:
        """Asks the process to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the process."""
        self._process.kill()

    async def wait(self) -> int:
        """Returns when the process has ended."""
        await asyncio.to_thread(self._process.wait)
        return 0


async def fork(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Fork:
    """A process that does what `python *command` does, and writes what it prints to `log`."""
    return await asyncio.to_thread(_fork, command, environment, log)


def _fork(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Fork:
    with _one_at_a_time:
        original = _original()
        assert original.stdin is not None and original.stdout is not None
        original.stdin.write(json.dumps([list(command), dict(environment), str(log)]) + "\n")
        original.stdin.flush()
        return Fork(int(original.stdout.readline()))


@cache
def _original() -> "subprocess.Popen[str]":
    """The process that is forked; it ends with this one."""
    command = [sys.executable, "-m", "tests.preloaded"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Imports the app, and forks for each line of the standard input."""
    import_gradio()  # first, as `create_app` does
    for name in MODULES:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to wait for those that have ended
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(*json.loads(line))
            return
        print(pid, flush=True)


def become(command: list[str], environment: dict[str, str], log: str) -> None:
    """Runs what `python *command` runs."""
    out, nothing = os.open(log, os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(ours, theirs)
    os.close(out)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environment)
    what, *rest = command
    sys.argv = ["-c", *rest[1:]] if what == "-c" else rest if what == "-m" else command
    if what == "-c":
        exec(rest[0], {"__name__": "__main__"})
    elif what == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    main()
