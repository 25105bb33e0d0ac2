"""`python -m tests.deploy.node --port N`: a node whose services are scripted, so that several of them fit on one machine where only
the way to them is looked at. Everything else is the app's own: settings, store, sessions, transports, page."""

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from app.settings import read_settings
from tests.unit.fakes import FakeLlm, fake_services

if TYPE_CHECKING:
    from fastapi import FastAPI

# 250 ms a word: a reply of 9 s, of which every word can be told from the others.
REPLY = tuple(f"This is sentence {name} of the reply. " for name in ("one", "two", "three", "four", "five", "six"))


def build() -> "FastAPI":
    """The app of this node, from its environment."""
    from app import create_app

    return create_app(read_settings([]), replace(fake_services(), llm=FakeLlm(pieces=REPLY)))


def main() -> None:
    from app.transport.http_server import Config, Server

    settings, app = read_settings(sys.argv[1:]), build()
    server = Server(Config(app, settings), app.state.drain, app.state.drain.hasten)
    server.config.host, server.config.port = settings.host, settings.port
    server.run()


if __name__ == "__main__":
    main()
