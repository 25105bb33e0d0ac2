"""What a client sends may cost only so much: it is told, then cut off, and another conversation does not notice."""

import asyncio
import json
import time
from fractions import Fraction

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from av import AudioFrame, Packet
from websockets.exceptions import ConnectionClosed

from app.rtp import speech_encoder
from tests.attack.clients import Attacker, noise, peer
from tests.attack.test_places import first, socket_at
from tests.bench.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def healthz(attacker: Attacker) -> float:
    """Seconds that the event loop lets a request wait."""
    begun = time.perf_counter()
    assert (await attacker.http.get("/healthz")).status_code == 200
    return time.perf_counter() - begun


async def test_sixteen_seconds_at_once_are_heard_in_part_and_that_is_said(attacker: Attacker, url: str) -> None:
    async with socket_at(url) as one:
        await one.send(json.dumps({"type": "start", "sample_rate": 16000, "greeting": False}))
        await first(one, "ready")
        sound = np.zeros(16000, "<i2").tobytes()
        for _ in range(16):
            await one.send(sound)
        assert (await first(one, "error"))["code"] == "sound_dropped"
        await one.send(json.dumps({"type": "ping"}))
        assert (await first(one, "error", "pong"))["type"] == "pong", "it is said once, and the connection stays"


async def test_a_flood_of_sound_is_cut_off(attacker: Attacker, url: str, server: Server) -> None:
    begun, worst = server.cpu_s(), 0.0
    async with socket_at(url) as one:
        await one.send(json.dumps({"type": "start", "sample_rate": 8000, "greeting": False}))
        await first(one, "ready")
        sound = noise(12.0, 8000).tobytes()
        with pytest.raises(ConnectionClosed):
            for _ in range(190):
                await one.send(sound)
                await asyncio.sleep(0.005)
                worst = max(worst, await healthz(attacker))
        assert one.close_code == 1008
    assert server.cpu_s() - begun < 10
    assert worst < 0.5


class Flood(MediaStreamTrack):
    """120 ms of Opus in each packet, 500 packets a second."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.wanted = asyncio.Event()
        codec = speech_encoder(16_000)
        frame = AudioFrame.from_ndarray(noise(0.02, 48_000)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        packet = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
        # Code 3 with six frames of one length (RFC 6716, section 3.2.5).
        self.packet = bytes([packet[0] | 3, 6]) + packet[1:60] * 6

    async def recv(self) -> Packet:
        await self.wanted.wait()
        await asyncio.sleep(0.002)
        packet = Packet(self.packet)
        packet.pts, packet.time_base = self.sent * 5760, Fraction(1, 48_000)
        self.sent += 1
        return packet


async def test_a_flood_of_packets_is_cut_off(attacker: Attacker, server: Server) -> None:
    track, before = Flood(), server.memory_mb()
    async with peer(track) as one:
        await attacker.call(one)
        track.wanted.set()
        await one.ended()
        assert set(one.codes()) == {"sound_dropped", "flood"}
    assert server.memory_mb() < before + 100


async def test_a_second_channel_takes_nothing_from_the_first(attacker: Attacker) -> None:
    async with peer() as one:
        await attacker.call(one)
        other = one.pc.createDataChannel("text")
        closed = asyncio.Event()
        other.on("close", closed.set)
        await one.until("error")
        assert one.codes() == ["second_channel"]
        one.send("ping")
        await one.until("pong")
        async with asyncio.timeout(10):
            await closed.wait()


async def test_who_does_not_read_is_cut_off(attacker: Attacker, server: Server) -> None:
    before = server.memory_mb()
    async with peer() as one:
        await attacker.call(one)

        async def never() -> None:
            pass

        one.pc.sctp._send_sack = never  # type: ignore[union-attr,method-assign]
        while not one.closed.is_set() and await attacker.figure("parley_calls"):
            for n in range(20):
                one.send("text", text=f"{n} " + "word " * 390)
            await asyncio.sleep(0.2)
    assert server.memory_mb() < before + 100


async def test_messages_that_are_never_finished_are_not_kept(attacker: Attacker, server: Server) -> None:
    """Pieces of a message of which the last never comes, past what the server says that it can take."""
    before = server.memory_mb()
    async with peer() as one:
        await attacker.call(one)
        sctp = one.pc.sctp
        assert sctp is not None
        transmit = sctp._send_chunk

        async def unfinished(chunk: object) -> None:
            if hasattr(chunk, "flags") and hasattr(chunk, "user_data"):
                chunk.flags &= ~1  # the last piece says so
            await transmit(chunk)

        sctp._send_chunk = unfinished  # type: ignore[method-assign,assignment]
        async with asyncio.timeout(20):
            while not one.closed.is_set() and await attacker.figure("parley_calls"):
                sctp._remote_max_message_size = 0
                for _ in range(20):
                    one.channel.send("x" * 60_000)  # type: ignore[union-attr]
                await asyncio.sleep(0.1)
    assert server.memory_mb() < before + 100


@pytest.mark.parametrize("data", ["{", "x" * 3000, '{"type": "text"}', '{"type": "audio_chunk", "data": ""}', b"\xff\xfe"])
async def test_bad_messages_are_answered_and_then_end_it(attacker: Attacker, data: str | bytes) -> None:
    async with peer() as one:
        await attacker.call(one)
        assert one.channel is not None
        for _ in range(30):
            if one.channel.readyState == "open":
                one.channel.send(data)
        await one.ended()
        assert one.codes()[-1] == "too_many_errors"
