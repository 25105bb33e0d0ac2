"""A call over WebRTC (aiortc): Opus at 48 kHz both ways, control messages on the data channel `text`."""

import asyncio
import json
from contextlib import suppress
from fractions import Fraction
from typing import cast

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from app.transport.rtp import Packed
from tests.bench.client import Call, Message, RefusedError, post

RATE = 48_000
CYCLE = 2**32  # RTP timestamps wrap here


def _hasten(receiver: RTCRtpReceiver) -> None:
    """aiortc holds four frames back before it plays (82 ms). With none it still waits for the next packet: 20 ms, about what a
    browser adds on a quiet line. There is no public setting."""
    receiver._RTCRtpReceiver__jitter_buffer._prefetch = 0  # type: ignore[attr-defined]


def _origin(receiver: RTCRtpReceiver) -> int:
    """The RTP timestamp that aiortc counts frames from; frames themselves carry only the distance to it."""
    return int(receiver._RTCRtpReceiver__timestamp_mapper._origin or 0)  # type: ignore[attr-defined]


class _Uplink(MediaStreamTrack):
    kind = "audio"

    def __init__(self, call: "WebRtcCall") -> None:
        super().__init__()
        self._call = call

    async def recv(self) -> AudioFrame:
        if self._call.microphone.sent:
            await self._call.pace()
        pts = self._call.microphone.sent
        frame = AudioFrame.from_ndarray(self._call.frame()[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, pts, Fraction(1, RATE)
        return frame


class WebRtcCall(Call):
    def __init__(self) -> None:
        super().__init__(RATE)
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.peer.createDataChannel("text")
        self._inbox: asyncio.Queue[str] = asyncio.Queue()
        self.spawn(self._read())
        self._begins = 0.0  # where the present generation begins on the RTP clock, ms

    @classmethod
    async def open(cls, http: httpx.AsyncClient, url: str, session: Message, greeting: bool) -> "WebRtcCall":
        call = cls()
        opened = asyncio.Event()
        call.channel.on("open", opened.set)
        call.channel.on("message", call._inbox.put_nowait)
        call.peer.on("track", call._track)
        call.peer.on("connectionstatechange", call._changed)
        call.peer.addTrack(Packed(_Uplink(call)))
        await call.peer.setLocalDescription(await call.peer.createOffer())
        local = call.peer.localDescription
        who = {"session_id": session["session_id"], "token": session["token"], "greeting": greeting}
        try:
            answer = await post(http, f"{url}/webrtc/offer", {"sdp": local.sdp, "type": local.type, **who})
            await call.peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
            await asyncio.wait_for(opened.wait(), 10)
            if await call.event("ready", float("-inf")) is None:
                raise RefusedError(0, str(call.events("error") or "the server never said that it is ready"))
        except BaseException:
            await call.close()
            raise
        return call

    async def _read(self) -> None:
        while True:
            message = json.loads(await self._inbox.get())
            if "type" in message:
                await self.handle(message)

    def _track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self.peer.getTransceivers() if t.receiver.track is track)
        _hasten(receiver)
        self.spawn(self._listen(track, receiver))

    def _changed(self) -> None:
        if self.peer.connectionState in ("failed", "closed"):
            self.ended.set()

    async def _listen(self, track: MediaStreamTrack, receiver: RTCRtpReceiver) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = cast(AudioFrame, await track.recv())
                rtp = (_origin(receiver) + (frame.pts or 0)) % CYCLE
                self.heard(frame.to_ndarray()[0, :: len(frame.layout.channels)], 0, rtp * 1000 / RATE)

    def anchor(self, start: Message) -> None:
        position = self.speaker.position(self.now(), 0) or 0.0
        rtp = start.get("rtp")
        self._begins = (position if rtp is None else rtp * 1000 / RATE) - start.get("ms", 0.0)

    def played(self, now: float) -> float:
        cycle_ms = CYCLE * 1000 / RATE
        ahead = ((self.speaker.position(now, 0) or 0.0) - self._begins + cycle_ms / 2) % cycle_ms - cycle_ms / 2
        return round(max(0.0, min(ahead, self._length.get(self.generation, ahead))), 1)

    def silence(self, now: float, generation: int) -> None:
        self.speaker.set_gain(now, 0.0)

    async def transmit(self, message: Message) -> None:
        if self.channel.readyState == "open":
            self.channel.send(json.dumps(message))

    async def close(self) -> None:
        await self.peer.close()
        await super().close()
