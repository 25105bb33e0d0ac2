"""Parley's way in: `python app.py` reads the settings, makes sure the models are there, and serves page and API on one port."""

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Before NumPy is imported: its matrix library would start a spinning thread per core beside the models.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# `python -I` and PYTHONSAFEPATH leave the folder of a script out.
if (here := Path(__file__).resolve().parent) not in map(Path, sys.path):
    sys.path.insert(0, str(here))

from app.settings import Settings, read_settings
from configuration.environment import drop_unusable
from configuration.redaction import clean, clean_logs
from services.base import ServiceError
from services.weights import fetch_all

if TYPE_CHECKING:
    from fastapi import FastAPI


def main() -> int:
    """Returns the exit status: 0 after a clean stop, 2 when a setting or the machine prevents the start."""
    try:
        settings = read_settings(sys.argv[1:])
        start_logging(settings)
        drop_unusable()
        listener = _listen(settings.host, settings.port)
        fetch_all(settings.weights_dir)

        # These take a second to import: mistakes above are told without waiting for them.
        from app.dialogue.phrasebook import Phrasebook
        from app.tools.loading import load_tools
        from languages import find
        from server.bootstrap.service_factory import services_from
        from server.bootstrap.startup import StartupApp
        from server.transport.http_server import Config, Server

        load_tools(settings.tools)
        services, phrasebook = services_from(settings), Phrasebook(find(settings.language))
    except (OSError, ValueError, ServiceError) as error:
        print(f"parley: {clean(str(error))}", file=sys.stderr)
        return 2
    if "SPACE_ID" in os.environ and not settings.turn_url:
        _tell("no TURN server is set, so callers from elsewhere will hear nothing. Set PARLEY_TURN_URL,")
        _tell("PARLEY_TURN_USERNAME and PARLEY_TURN_CREDENTIAL; see the README on Hugging Face Spaces.")
    _tell(f"open {_address(settings.host, listener.getsockname()[1])}")
    if os.environ.get("PORT", "").strip() == str(settings.port) and settings.host in ("127.0.0.1", "localhost", "::1"):
        # Heroku, Render, Fly, Railway and Cloud Run name a port, and reach it from outside the container.
        _tell("only this machine reaches it. Where PORT was set by a hosting service, set PARLEY_HOST=0.0.0.0 too.")
    gc.disable()  # of what a start makes nearly all stays: collecting took it a second. `StartupApp` ends this.
    errors: list[Exception] = []

    def make() -> "FastAPI":
        from app import create_app

        return create_app(settings, services, phrasebook)

    def failed(error: Exception) -> None:
        errors.append(error)
        server.should_exit = True

    warming = [service.warm for service in services.all().values()]
    warming.append(lambda: phrasebook.speak_ahead(services.tts, settings.speed))
    front = StartupApp(make, warming, failed, lambda: _tell("ready"))
    server = Server(Config(front, settings), front.drain, front.hasten)
    server.run([listener])
    for error in errors:
        print(f"parley: {clean(str(error))}", file=sys.stderr)
    return 2 if errors else 0


def _tell(words: str) -> None:
    """Prints a line. A log on a full disk, or a pipe that nobody reads any more, stops no start."""
    try:
        print(f"parley: {words}", flush=True)
    except OSError:
        logging.getLogger(__name__).warning("what is printed is lost: %s", words)


def start_logging(settings: Settings) -> None:
    """Our own rooms log from `log_level` on, libraries never below INFO: at DEBUG they write down every message that they carry,
    with the token of a session and what somebody typed."""
    clean_logs()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(max(logging.INFO, logging.getLevelName(settings.log_level)))
    for name in ("app", "documents", "server", "services", "vendors"):
        logging.getLogger(name).setLevel(settings.log_level)
    for chatty in ("aioice", "aiortc", "httpx"):
        logging.getLogger(chatty).setLevel("WARNING")


def _address(host: str, port: int) -> str:
    """Where the page is, as a browser takes it."""
    name = host.strip("[]")
    return f"http://[{name.replace('%', '%25')}]:{port}" if ":" in name else f"http://{name}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """Takes the port before anything slow happens. Raises OSError that names it when it is in use."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise OSError(f"cannot listen on {host}: no such address ({error}). Choose another with --host.") from error
    # Named as TCP: asyncio turns Nagle's delay (45 ms a small message) off only for sockets that say so.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}, port {port}: {error.strerror}. Choose another with --port.") from error
    return listener


def _end(status: int) -> None:
    """Ends the process with `status`. Models may still be loading on threads of theirs: a library whose objects are taken apart
    meanwhile, as they are at an ordinary end, aborts the process, and the status is lost."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, on a full disk, or never there
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        _end(main())
    except KeyboardInterrupt:  # while it is still importing
        _end(128 + signal.SIGINT)
