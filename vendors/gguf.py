"""A language model on this machine: llama.cpp's own server in this process, on loopback, and the same client as for any other."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.base import Question, ServiceUnavailable
from services.endpoint import Endpoint
from services.health import Health
from services.vendors import ServiceSettings
from services.workers import CORES
from vendors.openai.llm import OpenAiAnswerer

if TYPE_CHECKING:
    from xllamacpp import Server

CONTEXT = 4096  # tokens of one conversation
CONVERSATIONS = 2  # at once; each keeps the work on its own prompt
FIRST_S = 20.0  # a long prompt is read for seconds on two cores


class GgufAnswerer:
    """Runs `model`, a GGUF file. Nothing but this object can talk to it: its key is random and never leaves the process."""

    guarded = True
    in_process = True

    def __init__(self, model: Path, health: Health) -> None:
        """Raises ValueError when the file or the package that runs it is missing."""
        if not model.is_file():
            raise ValueError(f"there is no file {model}")
        if find_spec("xllamacpp") is None:
            raise ValueError("a .gguf file needs the package xllamacpp: pip install -r requirements-llm.txt")
        self._model = model
        self._health = health
        self._server: Server | None = None
        self._client: OpenAiAnswerer | None = None

    async def warm(self) -> None:
        """Loads the model, which takes seconds. Raises ServiceUnavailable for a file that is no model."""
        key = secrets.token_urlsafe()
        try:
            server = await asyncio.to_thread(self._load, key)
        except RuntimeError as error:
            raise ServiceUnavailable("llm", f"{self._model} cannot be loaded: {error}") from error
        self._server = server
        endpoint = Endpoint(f"{server.listening_address}/v1", self._model.stem, SecretStr(key), first_s=FIRST_S)
        self._client = OpenAiAnswerer(endpoint, self._health, thinks=False)  # llama.cpp tells thinking from words
        await self._client.warm()

    async def close(self) -> None:
        """Ends its server."""
        if self._client is not None:
            await self._client.close()
        kept, self._server, self._client = [self._server], None, None
        await asyncio.to_thread(kept.clear)  # the server ends with its last reference, after the work in hand

    def answer(self, question: Question) -> AsyncIterator[str]:
        """The answer as it is made. Raises ServiceError."""
        if self._client is None:
            raise ServiceUnavailable("llm", "not loaded: call warm() first")
        return self._client.answer(question)

    def _load(self, key: str) -> "Server":
        from xllamacpp import CommonParams, Server

        params = CommonParams()
        params.model.path = str(self._model)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [key]
        params.n_parallel = CONVERSATIONS
        params.n_ctx = CONTEXT * CONVERSATIONS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = CORES
        params.use_jinja = True
        params.ui = False
        params.verbosity = 0
        return Server(params)


def vendor(settings: ServiceSettings) -> GgufAnswerer:
    """Raises ValueError as GgufAnswerer does."""
    return GgufAnswerer(Path(settings.endpoint.url).expanduser(), settings.health)
