"""Clients that mean no good: the page's component without a page, and WebRTC peers that can do what a browser would not."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from av import AudioFrame, Packet
from websockets.asyncio.client import ClientConnection, connect

from server.transport.rtp import speech_encoder
from tests.bench.server import Server

Message = dict[str, Any]
HELD = 'parley_loop_held_total{how="working"}'  # what `/metrics` says of an event loop that was held by its own work
LIMIT_S = 15.0  # for anything that is waited for


class Peer:
    """A real WebRTC client (aiortc) with one audio track and one data channel."""

    def __init__(self, track: MediaStreamTrack | None = None, channel: bool = True) -> None:
        self.pc = RTCPeerConnection()
        self.sender = self.pc.addTrack(track or AudioStreamTrack())
        self.messages: list[Message] = []
        self.opened = asyncio.Event()
        self.news = asyncio.Event()
        self.closed = asyncio.Event()
        self.channel = self.pc.createDataChannel("text") if channel else None
        if self.channel is not None:
            self.channel.on("open", self.opened.set)
            self.channel.on("message", self._keep)
            self.channel.on("close", self._close)
        self.pc.on("connectionstatechange", self._changed)

    def _keep(self, data: str) -> None:
        self.messages.append(json.loads(data))
        self.news.set()

    def _changed(self) -> None:
        if self.pc.connectionState in ("closed", "failed"):
            self._close()

    def _close(self) -> None:
        self.closed.set()
        self.news.set()

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def accept(self, answer: Message) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(LIMIT_S):
            await self.opened.wait()

    def send(self, kind: str, **fields: Any) -> None:
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, **fields}))

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message.get("type") == kind]

    def codes(self) -> list[str]:
        return [message["code"] for message in self.of("error")]

    async def until(self, kind: str, count: int = 1) -> Message:
        async with asyncio.timeout(LIMIT_S):
            while len(self.of(kind)) < count:
                assert not self.closed.is_set(), f"closed before {kind}: {self.messages[-3:]}"
                self.news.clear()
                await self.news.wait()
        return self.of(kind)[count - 1]

    async def ended(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.closed.wait()


@asynccontextmanager
async def peer(track: MediaStreamTrack | None = None) -> AsyncIterator[Peer]:
    one = Peer(track)
    try:
        yield one
    finally:
        await one.pc.close()


class Attacker:
    """What anybody can do who reaches the server."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ticket(self) -> Message:
        response = await self.http.post("/sessions")
        response.raise_for_status()
        return dict(response.json())

    async def guarded(self, session: Message, sdp: str, **headers: str) -> httpx.Response:
        body = {"sdp": sdp, "type": "offer", "session_id": session["session_id"], "token": session["token"], "greeting": False}
        return await self.http.post("/webrtc/offer", json=body, headers=headers)

    async def component(self, data: Any, fn: str = "offer") -> Any:
        """What the page's component would send; what it gets."""
        body = {"session_hash": secrets.token_hex(5), "component_id": 11, "fn_name": fn, "data": data}
        response = await self.http.post("/gradio_api/component_server", json=body)
        if response.status_code == 400:  # it never came to the component
            return {"status": "failed", "meta": response.json()["error"]}
        assert response.status_code == 200, response.text
        return response.json()

    async def call(self, one: Peer, session: Message | None = None) -> Message:
        """A conversation over the guarded route; its `ready`."""
        session = session or await self.ticket()
        response = await self.guarded(session, await one.offer())
        assert response.status_code == 200, response.text
        await one.accept(response.json())
        return await one.until("ready")

    async def page(self, one: Peer, name: str, session: Message | None = None) -> Message:
        """A conversation over the page's component; its `ready`."""
        session = session or await self.ticket()
        await one.accept(await self.component({"sdp": await one.offer(), "type": "offer", "webrtc_id": name}))
        one.send("start", session_id=session["session_id"], token=session["token"], greeting=False)
        return await one.until("ready")

    async def figure(self, name: str) -> float:
        lines = (await self.http.get("/metrics")).text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    async def empty(self) -> None:
        """Waits until no connection is left; AssertionError when one still is after LIMIT_S."""
        for _ in range(round(LIMIT_S / 0.1)):
            held = [await self.figure(name) for name in ("parley_waiting", "parley_calls")]
            if not any(held):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{held[0]:.0f} places are still held, {held[1]:.0f} connections still open")


def log_of(server: Server, since: int = 0) -> str:
    """What the server has logged after so many bytes."""
    assert server.log is not None
    return server.log.read_bytes()[since:].decode(errors="replace")


def noise(seconds: float, rate: int) -> np.ndarray:
    return (3000 * np.random.default_rng(7).standard_normal(round(seconds * rate))).astype("<i2")


class Flood(MediaStreamTrack):
    """Packets of Opus that say of themselves that they last 1.26 s, 500 a second."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.wanted = asyncio.Event()
        codec = speech_encoder(16_000)
        frame = AudioFrame.from_ndarray(noise(0.02, 48_000)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        packet = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
        # Code 3: as many frames of one length as can be written (RFC 6716, section 3.2.5).
        self.packet = bytes([packet[0] | 3, 63]) + packet[1:11] * 63

    async def recv(self) -> Packet:
        await self.wanted.wait()
        await asyncio.sleep(0.002)
        packet = Packet(self.packet)
        packet.pts, packet.time_base = self.sent * 5760, Fraction(1, 48_000)
        self.sent += 1
        return packet


def socket_at(url: str, address: str = "") -> Any:
    headers = {"X-Forwarded-For": address} if address else {}
    return connect(f"ws{url.removeprefix('http')}/orchestrate", max_size=None, additional_headers=headers)


async def first(socket: ClientConnection, *kinds: str) -> Message:
    async with asyncio.timeout(15):
        while True:
            message: Message = json.loads(await socket.recv())
            if message["type"] in kinds:
                return message
