"""Runs app.py and writes down every address that its Python code connects or sends to: `python -m tests.integration.watched`."""

import os
import runpy
import sys
from pathlib import Path

WATCHED = ("socket.connect", "socket.sendto", "socket.getaddrinfo")


def watch(path: Path) -> None:
    out = path.open("a", buffering=1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in WATCHED:
            address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
            host = address[0] if isinstance(address, tuple) else address
            out.write(f"{event} {host!r}\n")

    sys.addaudithook(hook)


if __name__ == "__main__":
    watch(Path(os.environ["WATCHED_ADDRESSES"]))
    runpy.run_path("app.py", run_name="__main__")
