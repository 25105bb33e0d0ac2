"""What a client sends may cost only so much: it is told, then cut off, and another conversation does not notice."""

import asyncio
import json
import random
import re
import struct
from contextlib import suppress

import numpy as np
import pylibsrtp
import pytest
from aiortc.rtcsctptransport import DataChunk, SackChunk, serialize_packet
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket, RtpPacket
from google_crc32c import value as crc32c
from websockets.exceptions import ConnectionClosed

from tests.attack.clients import Attacker, Flood, first, noise, peer, socket_at
from tests.bench.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


async def test_a_flood_of_sound_is_cut_off(attacker: Attacker, url: str) -> None:
    async with socket_at(url) as one:
        await one.send(json.dumps({"type": "start", "sample_rate": 8000, "greeting": False}))
        await first(one, "ready")
        sound = noise(12.0, 8000).tobytes()
        with pytest.raises(ConnectionClosed):
            for _ in range(190):
                await one.send(sound)
                await asyncio.sleep(0.005)
        assert one.close_code == 1008


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


async def test_more_texts_than_anybody_types_are_refused(attacker: Attacker) -> None:
    async with peer() as one:
        await attacker.call(one)
        for n in range(60):
            if one.channel is not None and one.channel.readyState == "open":
                one.send("text", text=f"{n} " + "word " * 390)
        await one.ended()
        assert one.codes()[-1] == "too_many_errors" and "too_fast" in one.codes()


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


async def test_sound_from_ever_new_sources_is_cut_off(attacker: Attacker) -> None:
    async with peer() as one:
        await attacker.call(one)
        dtls = one.sender.transport
        while not one.closed.is_set():
            for _ in range(100):
                packet = RtpPacket(payload_type=96, sequence_number=1, ssrc=random.getrandbits(32), payload=b"\xf8\xff\xfe")
                with suppress(ConnectionError):
                    await dtls._send_rtp(packet.serialize())
            await asyncio.sleep(0.1)
        assert one.codes()[-1] in ("flood", "sound_dropped")


async def test_packets_that_bring_no_sound_are_cut_off(attacker: Attacker) -> None:
    """They are empty: no second of sound is counted for them."""
    number = 0
    async with peer() as one:
        await attacker.call(one)
        while not one.closed.is_set():
            for _ in range(200):
                number += 1
                packet = RtpPacket(payload_type=96, sequence_number=number % 65536, ssrc=5)
                with suppress(ConnectionError):
                    await one.sender.transport._send_rtp(packet.serialize())
            await asyncio.sleep(0.01)
        assert one.codes()[-1] == "flood"


async def test_sound_is_not_sent_again(attacker: Attacker) -> None:
    """Packets of RTCP that say that all others were lost."""
    async with peer() as one:
        await attacker.call(one)
        dtls, before = one.sender.transport, 0
        [sent] = re.findall(r"a=ssrc:(\d+)", one.pc.remoteDescription.sdp)[:1]
        for turn in range(20):
            before = before or dtls._RTCDtlsTransport__rx_packets
            for start in range(0, 65536, 5100):
                lost = list(range(start, min(start + 5100, 65536)))
                packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=turn, media_ssrc=int(sent), lost=lost)
                with suppress(ConnectionError):
                    await dtls._send_rtp(bytes(packet))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert dtls._RTCDtlsTransport__rx_packets - before < 500  # 128 each time without: as many as are kept


async def test_an_acknowledgement_of_everything_costs_nothing(attacker: Attacker) -> None:
    """Ranges of 65,536 numbers, as many as fit: of seventeen millions of which nothing was sent."""
    async with peer() as one:
        await attacker.call(one)
        sctp = one.pc.sctp
        assert sctp is not None
        for ranges in ([(0, 65535)] * 270, [(n, 65535) for n in range(1, 271)], [(65535, 0)] * 270):
            sack = SackChunk()
            sack.cumulative_tsn, sack.advertised_rwnd, sack.gaps = sctp._last_received_tsn, 100_000, ranges  # type: ignore[assignment]
            await sctp._send_chunk(sack)
        one.send("ping")
        await one.until("pong")


@pytest.mark.parametrize("apart", [1, 2])
async def test_packets_of_many_parts_are_cut_off(attacker: Attacker, apart: int) -> None:
    """Messages of one byte, as many as fit; where they are `apart` others are missing, for which they would wait."""
    async with peer() as one:
        await attacker.call(one)
        sctp = one.pc.sctp
        assert sctp is not None
        number = sctp._local_tsn + 5
        for _ in range(300):
            parts = b""
            for _ in range(55):
                chunk = DataChunk()
                chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = number % 2**32, 1, 0, 51, b"x"
                parts += bytes(chunk)
                number += apart
            head = serialize_packet(sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, chunk)[:8]
            whole = head + bytes(4) + parts
            with suppress(ConnectionError):
                await sctp.transport._send_data(head + struct.pack("<L", crc32c(whole)) + whole[12:])
            await asyncio.sleep(0.001)
            if one.closed.is_set():
                break
        await one.ended()
        assert one.codes()[-1:] in (["flood"], [])  # it may come too late to be told


async def test_packets_that_make_no_sense_are_left_out(attacker: Attacker) -> None:
    """Encrypted as they should be: whatever is inside reaches the parsers of RTP, RTCP and SCTP."""
    dice = random.Random(11)
    async with peer() as one:
        await attacker.call(one)
        dtls, sctp = one.sender.transport, one.pc.sctp
        assert sctp is not None
        tag = sctp._remote_verification_tag
        for _ in range(300):
            body = dice.randbytes(dice.randrange(1, 60))
            rtp = bytes([0x80 | dice.randrange(32), dice.randrange(128)]) + dice.randbytes(10) + body
            rtcp = bytes([0x80 | dice.randrange(32), dice.randrange(200, 208)]) + struct.pack("!H", len(body) // 4) + body
            chunk = struct.pack("!BBH", dice.randrange(16), dice.randrange(8), 4 + len(body)) + body + bytes(-len(body) % 4)
            data = struct.pack("!HHLL", 5000, 5000, tag, 0) + chunk
            data = data[:8] + struct.pack("<L", crc32c(data)) + data[12:]
            for send, what in ((dtls._send_rtp, rtp), (dtls._send_rtp, rtcp), (dtls._send_data, data)):
                with suppress(ConnectionError, pylibsrtp.Error):
                    await send(what)
            await asyncio.sleep(0.001)
    async with peer() as other:
        await attacker.call(other)


async def test_messages_of_many_parts_are_not_read(attacker: Attacker, url: str) -> None:
    """Each would be a hundred thousand lists, for which the sound of others waits 20 ms."""
    great = '{"type": "ping", "more": [' + ",".join(["[[[[]]]]"] * 25_000) + "]}"
    for begun in (False, True):
        async with socket_at(url) as one:
            if begun:
                await one.send(json.dumps({"type": "start", "sample_rate": 16000, "greeting": False}))
                await first(one, "ready")
            with pytest.raises(ConnectionClosed):
                for _ in range(100):
                    await one.send(great)
                    await one.recv()
            assert one.close_code == 1008


async def test_what_is_sent_is_not_unpacked(url: str) -> None:
    async with socket_at(url) as one:
        assert one.response is not None and "Sec-WebSocket-Extensions" not in one.response.headers


async def test_a_connection_has_views_a_few_times_only(attacker: Attacker) -> None:
    async with peer() as one:
        await attacker.page(one, "apage")
        answers = []
        for number in range(30):
            body = {"data": [{"webrtc_id": "apage"}], "session_hash": f"page{number}"}
            answers.append((await attacker.http.post("/gradio_api/queue/join", json=body)).status_code)
        assert answers[:2] == [200, 200] and answers.count(429) > 20
