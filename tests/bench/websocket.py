"""A call over the raw WebSocket, `/orchestrate`: binary audio at 16 kHz up, frames with a generation down."""

import json
import struct
from contextlib import suppress

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.bench.client import Call, Message, RefusedError
from tests.bench.clips import RATE
from tests.bench.devices import Pcm

HEADER = struct.Struct("<II")  # generation, sequence


class WebSocketCall(Call):
    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(RATE)
        self.socket = socket
        self._silenced = 0  # the newest generation that was stopped: what still arrives of it is not played
        self._ms: dict[int, float] = {}  # generation -> the place of its next frame

    @classmethod
    async def open(cls, url: str, session: Message, greeting: bool) -> "WebSocketCall":
        address = f"ws{url.removeprefix('http')}/orchestrate?session_id={session['session_id']}&token={session['token']}"
        call = cls(await connect(address, max_size=None, compression=None))
        await call.send({"type": "start", "sample_rate": RATE, "format": "pcm16", "binary": True, "greeting": greeting})
        try:
            ready = json.loads(await call.socket.recv())
        except ConnectionClosed as error:
            raise RefusedError(call.socket.close_code or 0, call.socket.close_reason or str(error)) from error
        if ready["type"] != "ready":
            await call.close()
            raise RefusedError(0, ready.get("message", str(ready)))
        call.speaker.rate = ready["sample_rate"]
        await call.handle(ready)
        call.spawn(call._listen())
        call.spawn(call._talk())
        return call

    async def transmit(self, message: Message) -> None:
        await self.socket.send(json.dumps(message))

    async def _talk(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self.socket.send(self.frame().tobytes())
                await self.pace()

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            async for data in self.socket:
                if isinstance(data, bytes):
                    generation, _ = HEADER.unpack_from(data)
                    self._audio(generation, np.frombuffer(data, np.int16, offset=HEADER.size))
                else:
                    await self.handle(json.loads(data))

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
