"""A stand-in for the server whose delay is known: it answers the end of a sound with a tone. What the client measures against it
is the client's own error."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from typing import Any, cast

import numpy as np
import uvicorn
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from fastapi import FastAPI, WebSocket

from tests.bench.devices import Pcm, audible
from tests.bench.webrtc import _hasten
from tests.bench.websocket import HEADER

RATE, FRAME = 48_000, 960
TONE = (8000 * np.sin(np.arange(FRAME) * 2 * np.pi * 500 / RATE)).astype(np.int16)
AHEAD = 10  # frames sent ahead of the listener on the WebSocket: 200 ms


class Talker:
    """One conversation: `length` frames of tone, `delay` s after the first quiet frame that follows a loud one."""

    def __init__(self, delay: float, length: int) -> None:
        self.delay, self.length = delay, length
        self.received: list[dict[str, Any]] = []
        self.generation = 0
        self.left = 0  # frames of the reply still to be sent
        self.loud = False
        self.due = float("inf")
        self.heard_at: list[float] = []  # loop time of the first quiet frame after a sound
        self.spoke_at: list[float] = []  # ... and of the first frame of each answer, as it is handed to the transport

    def hear(self, samples: Pcm) -> None:
        loud = audible(samples)
        if self.loud and not loud:
            self.heard_at.append(asyncio.get_running_loop().time())
            self.due = self.heard_at[-1] + self.delay
        self.loud = loud

    def next(self) -> list[dict[str, Any]]:
        """Call once a frame: messages to send before it; `left` says whether the frame is tone."""
        if (now := asyncio.get_running_loop().time()) >= self.due:
            self.spoke_at.append(now)
            self.due, self.left, self.generation = float("inf"), self.length, self.generation + 1
            return [{"type": "playback_start", "generation": self.generation, "ms": 0.0}]
        return []

    def end(self) -> dict[str, Any]:
        return {"type": "audio_end", "generation": self.generation, "ms": 20.0 * self.length}

    def control(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        self.received.append(message)
        if message["type"] == "interrupt":
            self.left = 0
            return [{"type": "playback_stop", "generation": self.generation}]
        return []


async def _speak(wire: WebSocket, talker: Talker) -> None:
    loop, sent = asyncio.get_running_loop(), 0
    while True:
        for message in talker.next():
            begun, sent = loop.time(), 0
            await wire.send_json(message)
        if talker.left and loop.time() >= begun + 0.02 * (sent - AHEAD):
            await wire.send_bytes(HEADER.pack(talker.generation, sent) + TONE.tobytes())
            sent, talker.left = sent + 1, talker.left - 1
            if not talker.left:
                await wire.send_json(talker.end())
        else:
            await asyncio.sleep(0.002)


class _Downlink(MediaStreamTrack):
    """The tone, or silence, a frame every 20 ms."""

    kind = "audio"

    def __init__(self, talker: Talker, send: Any) -> None:
        super().__init__()
        self.talker, self.send, self.pts, self.begun = talker, send, 0, 0.0

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self.begun = self.begun or loop.time()
        await asyncio.sleep(self.begun + self.pts / RATE - loop.time())
        for message in self.talker.next():
            self.send(message)
        tone = self.talker.left > 0
        frame = AudioFrame.from_ndarray((TONE if tone else np.zeros_like(TONE))[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.pts, Fraction(1, RATE)
        self.pts += FRAME
        if tone:
            self.talker.left -= 1
            if not self.talker.left:
                self.send(self.talker.end())
        return frame


async def _listen(track: MediaStreamTrack, talker: Talker) -> None:
    with suppress(MediaStreamError):
        while True:
            talker.hear(cast(AudioFrame, await track.recv()).to_ndarray()[0, ::2])


def create(delay: float, length: int = 50) -> FastAPI:
    """The server; `app.state.talkers` keeps every conversation's Talker."""
    app = FastAPI()
    app.state.talkers, app.state.peers = [], []

    def talker() -> Talker:
        mine = Talker(delay, length)
        app.state.talkers.append(mine)
        return mine

    @app.post("/sessions", status_code=201)
    async def sessions() -> dict[str, str]:
        return {"session_id": secrets.token_hex(4), "token": "t"}

    @app.websocket("/orchestrate")
    async def orchestrate(wire: WebSocket) -> None:
        await wire.accept()
        mine = talker()
        mine.control(await wire.receive_json())
        await wire.send_json({"type": "ready", "session_id": "x", "resumed": False, "sample_rate": RATE})
        speaking = asyncio.create_task(_speak(wire, mine))
        try:
            while True:
                data = await wire.receive()
                if data["type"] == "websocket.disconnect":
                    return
                if data.get("bytes"):
                    mine.hear(np.frombuffer(data["bytes"], np.int16))
                else:
                    for reply in mine.control(json.loads(data["text"])):
                        await wire.send_json(reply)
        finally:
            speaking.cancel()

    @app.post("/webrtc/offer")
    async def offer(body: dict[str, Any]) -> dict[str, str]:
        peer, mine = RTCPeerConnection(), talker()
        app.state.peers.append(peer)
        channels: list[Any] = []

        @peer.on("datachannel")
        def opened(channel: Any) -> None:
            channels.append(channel)
            channel.send(json.dumps({"type": "ready"}))
            channel.send(json.dumps({"type": "log", "data": "a message of the transport's own"}))
            channel.on("message", receive)

        def receive(data: str) -> None:
            for reply in mine.control(json.loads(data)):
                send(reply)

        def send(message: dict[str, Any]) -> None:
            ahead = {"playback_start": FRAME, "audio_end": 2 * FRAME}.get(message["type"])
            if ahead is not None:  # from the frame that was sent last
                sender: Any = peer.getSenders()[0]
                message["rtp"] = (sender._RTCRtpSender__rtp_timestamp + ahead) % 2**32
            channels[0].send(json.dumps(message))

        @peer.on("track")
        def listen(track: MediaStreamTrack) -> None:
            peer.addTrack(_Downlink(mine, send))
            _hasten(peer.getTransceivers()[0].receiver)
            app.state.listening = asyncio.create_task(_listen(track, mine))

        await peer.setRemoteDescription(RTCSessionDescription(body["sdp"], body["type"]))
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}

    return app


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[str]:
    """Serve `app` on this event loop; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))  # takes connections from now on: nothing to wait for
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for peer in app.state.peers:
            await peer.close()
        server.should_exit = True
        await serving
