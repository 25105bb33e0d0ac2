"""`python -m tests.deploy.node --port N`: a node whose services are scripted, so that several of them fit on one machine where only
the way to them is looked at. Everything else is the app's own: settings, store, sessions, transports, page.

PARLEY_TEST_CLOCK_S: its clock is so much ahead of the others'. PARLEY_TEST_BEHIND: a file; the node that makes it first has models
that are always behind."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from app.settings import read_settings
from tests.unit.fakes import FakeLlm, fake_services

if TYPE_CHECKING:
    from fastapi import FastAPI

AHEAD_S = float(os.environ.pop("PARLEY_TEST_CLOCK_S", 0))
BEHIND = os.environ.pop("PARLEY_TEST_BEHIND", "")
# 250 ms a word: a reply of 9 s, of which every word can be told from the others.
REPLY = tuple(f"This is sentence {name} of the reply. " for name in ("one", "two", "three", "four", "five", "six"))


def build() -> "FastAPI":
    """The app of this node, from its environment."""
    from app import create_app

    if AHEAD_S:
        right = time.time
        time.time = lambda: right() + AHEAD_S
    services = replace(fake_services(), llm=FakeLlm(pieces=REPLY))
    if _is_behind():
        services = replace(services, waited_s=lambda: 1.0)
    return create_app(read_settings([]), services)


def _is_behind() -> bool:
    try:
        if BEHIND:
            Path(BEHIND).touch(exist_ok=False)
        return bool(BEHIND)
    except FileExistsError:
        return False


def main() -> None:
    from server.transport.http_server import Config, Server

    settings, app = read_settings(sys.argv[1:]), build()
    server = Server(Config(app, settings), app.state.drain, app.state.drain.hasten)
    server.config.host, server.config.port = settings.host, settings.port
    server.run()


if __name__ == "__main__":
    main()
