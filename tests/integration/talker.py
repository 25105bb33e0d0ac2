"""A client of `/orchestrate` written from the protocol's description alone, over a real socket."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]
LIMIT_S = 30.0  # for anything that is waited for


class Talker:
    def __init__(self, socket: ClientConnection, rate: int, binary: bool) -> None:
        self.socket, self.rate, self.binary = socket, rate, binary
        self.messages: list[Message] = []
        self.sound: list[tuple[int, int, np.ndarray]] = []  # generation, number of messages before it, samples
        self.code: int | None = None
        self._news = asyncio.Event()

    async def listen(self) -> None:
        try:
            async for data in self.socket:
                self._keep(data)
        except ConnectionClosed:
            pass
        finally:
            self.code = self.socket.close_code
            self._news.set()

    def _keep(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            generation, _ = struct.unpack_from("<II", data)
            self.sound.append((generation, len(self.messages), np.frombuffer(data, "<i2", offset=8)))
        elif (message := json.loads(data))["type"] == "audio_chunk":
            samples = np.frombuffer(base64.b64decode(message["audio"]), "<i2")
            self.sound.append((message["generation"], len(self.messages), samples))
        else:
            self.messages.append(message)
        self._news.set()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def speak(self, audio: np.ndarray) -> None:
        """float32 at 16 kHz, in real time, in 20 ms pieces."""
        sound = (soxr.resample(audio, 16000, self.rate) * 32767).clip(-32768, 32767).astype("<i2")
        size, loop = self.rate // 50, asyncio.get_running_loop()
        due = loop.time()
        for start in range(0, len(sound), size):
            piece = sound[start : start + size].tobytes()
            if self.binary:
                await self.socket.send(piece)
            else:
                await self.send("audio_chunk", data=base64.b64encode(piece).decode())
            due += 0.02
            await asyncio.sleep(due - loop.time())

    def of(self, kind: str, **fields: Any) -> list[Message]:
        return [m for m in self.messages if m["type"] == kind and all(m.get(name) == value for name, value in fields.items())]

    async def until(self, kind: str, count: int = 1, **fields: Any) -> Message:
        """Waits for the `count`-th message like this; AssertionError when the connection ends or LIMIT_S pass before."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while len(self.of(kind, **fields)) < count:
                    assert self.code is None, f"closed with {self.code} before {kind}: {self.messages[-3:]}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind} {fields} among {[m['type'] for m in self.messages]}") from None
        return self.of(kind, **fields)[count - 1]

    async def closed(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            while self.code is None:
                self._news.clear()
                await self._news.wait()
        return self.code

    def heard(self, generation: int) -> int:
        """Samples that came of this generation."""
        return sum(len(samples) for number, _, samples in self.sound if number == generation)


async def ticket(url: str) -> Message:
    async with httpx.AsyncClient(base_url=url) as http:
        response = await http.post("/sessions")
        response.raise_for_status()
        return dict(response.json())


@asynccontextmanager
async def talk(
    url: str, session: Message | None = None, rate: int = 16000, binary: bool = True, **start: Any
) -> AsyncIterator[Talker]:
    """A connection that has been sent its `start`, without a greeting unless asked for."""
    async with connect(f"ws{url.removeprefix('http')}/orchestrate", max_size=None) as socket:
        talker = Talker(socket, rate, binary)
        listening = asyncio.create_task(talker.listen())
        ids = {"session_id": session["session_id"], "token": session["token"]} if session else {}
        await talker.send("start", sample_rate=rate, binary=binary, **{"greeting": False, **ids, **start})
        try:
            yield talker
        finally:
            await socket.close()
            await listening
