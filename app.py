"""Parley's way in: `python app.py` reads the settings, makes sure the models are there, and serves page and API on one port."""

import gc
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

# Before NumPy is imported: its matrix library would start a spinning thread per core beside the models.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import uvicorn

from app.settings import read_settings
from services.base import ServiceError
from services.weights import fetch_all

if TYPE_CHECKING:
    from fastapi import FastAPI


def main() -> int:
    """Returns the exit status: 0 after a clean stop, 2 when a setting or the machine prevents the start."""
    try:
        settings = read_settings(sys.argv[1:])
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for chatty in ("aioice", "aiortc", "httpx"):
            logging.getLogger(chatty).setLevel("WARNING")
        listener = _listen(settings.host, settings.port)
        fetch_all(settings.weights_dir)

        # These take a second to import: mistakes above are told without waiting for them.
        from app.dialogue import Phrasebook
        from app.front import Front
        from app.outfit import outfit

        services, phrasebook = outfit(settings), Phrasebook()
    except (OSError, ValueError, ServiceError) as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    if "SPACE_ID" in os.environ and not settings.turn_url:
        print("parley: no TURN server is set, so callers from elsewhere will hear nothing. Set PARLEY_TURN_URL,")
        print("parley: PARLEY_TURN_USERNAME and PARLEY_TURN_CREDENTIAL; see the README on Hugging Face Spaces.")
    print(f"parley: open http://{settings.host}:{listener.getsockname()[1]}", flush=True)
    gc.disable()  # of what a start makes nearly all stays: collecting took it a second. `Front` ends this.
    errors: list[Exception] = []

    def make() -> "FastAPI":
        from app import create_app

        return create_app(settings, services, phrasebook)

    def failed(error: Exception) -> None:
        errors.append(error)
        server.should_exit = True

    level = settings.log_level.lower()
    warming = [service.warm for service in services.all().values()]
    front = Front(make, [*warming, lambda: phrasebook.speak_ahead(services.tts, settings.speed)], failed)
    server = uvicorn.Server(
        uvicorn.Config(front, log_level=level, access_log=False, timeout_graceful_shutdown=3, ws_max_size=1 << 20)
    )
    server.run([listener])
    for error in errors:
        print(f"parley: {error}", file=sys.stderr)
    return 2 if errors else 0


def _listen(host: str, port: int) -> socket.socket:
    """Takes the port before anything slow happens. Raises OSError that names it when it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: asyncio turns Nagle's delay (45 ms a small message) off only for sockets that say so.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}, port {port}: {error.strerror}. Choose another with --port.") from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
