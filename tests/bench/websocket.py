"""A call over the raw WebSocket, `/orchestrate`: binary audio at 16 kHz up, frames with a generation down."""

import asyncio
import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.bench.client import ASK_LOOKS, LOOK_S, Call, Message, RefusedError
from tests.bench.clips import RATE
from tests.bench.devices import Pcm

GONE_LOOKS = (
    20  # without a sign of the server: it stands still, or the line is cut, of which nobody tells; the page waits for 17
)

HEADER = struct.Struct("<II")  # generation, sequence


class WebSocketCall(Call):
    socket: ClientConnection

    def __init__(self, session: Message, addresses: Sequence[str]) -> None:
        super().__init__(RATE, session, addresses)
        self._up = asyncio.Event()
        self._silenced = 0  # the newest generation that was stopped: what still arrives of it is not played
        self._ms: dict[int, float] = {}  # generation -> the place of its next frame

    @classmethod
    async def open(cls, url: str, session: Message, greeting: bool, addresses: Sequence[str]) -> "WebSocketCall":
        call = cls(session, addresses)
        try:
            await call._connect(url, greeting=greeting)
        except BaseException:
            await Call.close(call)
            raise
        call.spawn(call._listen())
        call.spawn(call._talk())
        call.spawn(call._watch())
        return call

    async def reopen(self, url: str) -> None:
        async with asyncio.timeout(self.patience_s):
            await self._connect(url, greeting=False, resume=True, **{"played": self.last} if self.last else {})

    async def _connect(self, url: str, **start: Any) -> None:
        who = f"session_id={self.session['session_id']}&token={self.session['token']}"
        try:
            socket = await connect(f"ws{url.removeprefix('http')}/orchestrate?{who}", max_size=None, compression=None)
        except InvalidStatus as error:
            raise RefusedError(error.response.status_code, error.response.body.decode()) from error
        except InvalidHandshake as error:  # it goes down while it is asked
            raise RefusedError(0, str(error)) from error
        try:
            await socket.send(json.dumps({"type": "start", "sample_rate": RATE, "format": "pcm16", "binary": True, **start}))
            ready = json.loads(await socket.recv())
        except ConnectionClosed as error:
            raise RefusedError(socket.close_code or 0, socket.close_reason or str(error)) from error
        except BaseException:  # too late: whoever answers now must not take the conversation from whom it goes on with
            socket.transport.abort()
            raise
        if ready["type"] != "ready":
            await socket.close()
            raise RefusedError(0, ready.get("message", str(ready)))
        self.socket, self.url = socket, url
        self.speaker.rate = ready["sample_rate"]
        self._ms.clear()
        await self.handle(ready)
        self._up.set()

    async def transmit(self, message: Message) -> None:
        with suppress(ConnectionClosed):
            await self.socket.send(json.dumps(message))

    async def _talk(self) -> None:
        """What is said while there is no server is kept, and sent when there is one again."""
        while True:
            frame = self.frame().tobytes()
            while True:
                try:
                    await self._up.wait()
                    await self.socket.send(frame)
                    break
                except ConnectionClosed:
                    self._up.clear()
            await self.pace()

    async def _watch(self) -> None:
        """Looks are counted, not time: a client that was held up itself has missed nothing."""
        silent = 0
        while True:
            await asyncio.sleep(LOOK_S)
            silent = 0 if self.alive.is_set() or not self._up.is_set() else silent + 1
            self.alive.clear()
            if silent == ASK_LOOKS:
                await self.transmit({"type": "ping"})
            elif silent >= GONE_LOOKS:
                self.silent = True
                self.socket.transport.abort()

    async def _listen(self) -> None:
        while True:
            with suppress(ConnectionClosed):
                async for data in self.socket:
                    self.alive.set()
                    if isinstance(data, bytes):
                        generation, _ = HEADER.unpack_from(data)
                        self._audio(generation, np.frombuffer(data, np.int16, offset=HEADER.size))
                    else:
                        await self.handle(json.loads(data))
            self._up.clear()
            if not await self.again():
                return

    def _audio(self, generation: int, samples: Pcm) -> None:
        if 0 < generation <= self._silenced:
            return
        ms = self._ms.get(generation, 0.0)
        self._ms[generation] = ms + 1000 * len(samples) / self.speaker.rate
        self.heard(samples, generation, ms)

    def silence(self, now: float, generation: int) -> None:
        self._silenced = max(self._silenced, generation)
        super().silence(now, generation)

    async def close(self) -> None:
        await self.socket.close()
        await super().close()
