"""A call over WebRTC (aiortc): Opus at 48 kHz both ways, control messages on the data channel `text`."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import cast

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from server.transport.rtp import OpusTrack
from tests.bench.client import ASK_LOOKS, LOOK_S, Call, Message, RefusedError, post

RATE = 48_000
CYCLE = 2**32  # RTP timestamps wrap here
GONE_LOOKS = 17  # without a sign of the server, after which it has gone: it sends every 0.4 s, or answers


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
    peer: RTCPeerConnection
    channel: RTCDataChannel

    def __init__(self, session: Message, addresses: Sequence[str]) -> None:
        super().__init__(RATE, session, addresses)
        self._inbox: asyncio.Queue[str] = asyncio.Queue()
        self.spawn(self._read())
        self._begins = 0.0  # where the present generation begins on the RTP clock, ms
        self._closing: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, url: str, session: Message, greeting: bool, addresses: Sequence[str]) -> "WebRtcCall":
        call = cls(session, addresses)
        try:
            await call._connect(url, greeting)
        except BaseException:
            await call.close()
            raise
        call.spawn(call._watch())
        return call

    async def reopen(self, url: str) -> None:
        old = self.peer
        old.remove_all_listeners()
        closing = asyncio.create_task(old.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        missed = round(self.now() * RATE) - self.microphone.sent
        self.microphone.read(max(0, missed))  # nobody hears what was said meanwhile
        await self._connect(url, greeting=False)

    async def _connect(self, url: str, greeting: bool) -> None:
        """Raises RefusedError, TimeoutError and httpx.HTTPError."""
        self.url, peer = url, RTCPeerConnection(RTCConfiguration(iceServers=[]))
        since = self.now() if self.microphone.sent else float("-inf")  # the first frame sets the clock
        self.peer, self.channel = peer, peer.createDataChannel("text")
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        self.channel.on("message", self._inbox.put_nowait)
        peer.on("track", self._track)
        peer.addTrack(OpusTrack(_Uplink(self)))
        await peer.setLocalDescription(await peer.createOffer())
        who = {"session_id": self.session["session_id"], "token": self.session["token"], "greeting": greeting}
        who |= {"played": self.last} if self.last else {}
        local = peer.localDescription
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await post(http, f"{url}/webrtc/offer", {"sdp": local.sdp, "type": local.type, **who})
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await asyncio.wait_for(opened.wait(), 10)
        if await self.event("ready", since) is None:
            raise RefusedError(0, str(self.events("error") or "the server never said that it is ready"))

    async def _asked(self) -> bool:
        """Asks for a sign of the server. False when it is known to have gone: its own address refuses a connection."""
        await self.transmit({"type": "ping"})
        try:
            async with httpx.AsyncClient(timeout=LOOK_S * (GONE_LOOKS - ASK_LOOKS)) as http:
                await http.get(f"{self.url}/healthz")
        except httpx.ConnectError:
            return False
        except httpx.HTTPError:
            pass  # it says nothing
        return True

    async def _watch(self) -> None:
        """Of a server that has gone nobody tells: it is asked when nothing comes, and has gone when it does not answer either."""
        while True:
            silent = 0
            while silent < GONE_LOOKS and self.peer.connectionState not in ("failed", "closed"):
                await asyncio.sleep(LOOK_S)
                silent = 0 if self.alive.is_set() else silent + 1
                self.alive.clear()
                if silent == ASK_LOOKS and not await self._asked():
                    break
                if self.channel.readyState == "closed":
                    break
            self.silent = silent >= GONE_LOOKS
            if not await self.again():
                return

    async def _read(self) -> None:
        while True:
            message = json.loads(await self._inbox.get())
            self.alive.set()
            if "type" in message:
                await self.handle(message)

    def _track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self.peer.getTransceivers() if t.receiver.track is track)
        _hasten(receiver)
        listening = asyncio.create_task(self._listen(track, receiver))
        self._closing.add(listening)
        listening.add_done_callback(self._closing.discard)

    async def _listen(self, track: MediaStreamTrack, receiver: RTCRtpReceiver) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = cast(AudioFrame, await track.recv())
                self.alive.set()
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
