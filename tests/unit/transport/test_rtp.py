"""The order of arriving packets, and what leaves as packets."""

import asyncio
import gc
from fractions import Fraction
from typing import cast

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av import AudioFrame, Packet

from server.transport.rtp import FADING, QUEUE, SAMPLES, JitterBufferBypass, OpusTrack, forgive, length_s, shut


def received(payloads: dict[int, bytes], sequence: list[int]) -> list[AudioFrame]:
    """What is on the track when packets of these numbers came in this order."""
    track: asyncio.Queue[AudioFrame] = asyncio.Queue()
    buffer = JitterBufferBypass(track, lambda seconds: True)
    for number in sequence:
        assert buffer.add(RtpPacket(sequence_number=number, payload=payloads[number])) == (False, None), "aiortc decodes it too"
    return [track.get_nowait() for _ in range(track.qsize())]


def loudness(frame: AudioFrame) -> float:
    """Of the loudest sample, 0..1."""
    return float(np.abs(frame.to_ndarray().astype(float)).max()) / 32768


@pytest.mark.parametrize(
    ("sequence", "heard"),
    [
        ([7, 8, 9], 3),
        ([7, 9, 10], 3),  # one is lost
        ([7, 9, 8, 10], 3),  # one is overtaken
        ([7, 7, 8], 2),  # one comes twice
        ([65534, 65535, 0, 1], 4),
        ([65535, 1, 0, 2], 3),
        ([5000, 1200, 1201], 3),  # the sender began anew
    ],
)
async def test_packets_are_heard_as_they_come(sequence: list[int], heard: int) -> None:
    payload = bytes((await packets(1.0))[0])
    frames = received(dict.fromkeys(sequence, payload), sequence)
    assert [(frame.sample_rate, frame.to_ndarray().shape) for frame in frames] == [(48_000, (1, SAMPLES))] * heard


async def test_what_cannot_be_decoded_is_left_out_and_what_comes_after_is_heard() -> None:
    sound = [bytes(packet) for packet in await packets(*[1.0] * 10)]
    broken = [b"", b"\xff" * 3, b"\x03", bytes(1500)]
    payloads = dict(enumerate([*sound[:3], *broken, *sound[3:]]))
    heard = received(payloads, list(payloads))
    assert 10 <= len(heard) <= 14
    assert loudness(heard[-1]) == pytest.approx(0.61, abs=0.1)


@pytest.mark.parametrize(
    ("packet", "ms"),
    [
        (bytes([0 << 3]), 10),  # the modes and lengths of RFC 6716, table 2
        (bytes([3 << 3]), 60),
        (bytes([12 << 3]), 10),
        (bytes([13 << 3 | 1]), 40),
        (bytes([16 << 3]), 2.5),
        (bytes([31 << 3 | 2]), 40),
        (bytes([31 << 3 | 3, 6]), 120),
        (bytes([31 << 3 | 3, 0x80 | 63]), 1260),  # more than a packet may have
        (bytes([31 << 3 | 3]), 0),
    ],
)
def test_a_packet_tells_how_long_it_sounds(packet: bytes, ms: float) -> None:
    assert length_s(packet) * 1000 == pytest.approx(ms)


async def test_the_length_is_that_of_what_is_decoded() -> None:
    for packet in await packets(1.0, 0.5):
        assert length_s(bytes(packet)) == pytest.approx(SAMPLES / 48_000)


async def test_what_is_not_admitted_is_not_decoded_and_what_is_not_taken_is_not_kept() -> None:
    payload = bytes((await packets(1.0))[0])
    track: asyncio.Queue[AudioFrame] = asyncio.Queue()
    lengths: list[float] = []
    closed = JitterBufferBypass(track, lambda seconds: lengths.append(seconds) is not None)
    for number in range(10):
        closed.add(RtpPacket(sequence_number=number, payload=payload))
    assert track.empty() and lengths == [pytest.approx(0.02)] * 10
    opened = JitterBufferBypass(track, lambda seconds: True)
    for number in range(QUEUE + 100):
        opened.add(RtpPacket(sequence_number=number, payload=payload))
    assert track.qsize() == QUEUE


async def test_stereo_is_heard_in_mono() -> None:
    encoder = OpusEncoder()
    track = Frames(*[1.0] * 10)
    sound = [encoder.encode(await track.recv())[0][0] for _ in range(10)]
    heard = received(dict(enumerate(sound)), list(range(10)))
    assert heard[-1].to_ndarray().shape == (1, SAMPLES)
    assert loudness(heard[-1]) == pytest.approx(0.61, abs=0.1)


class Frames(MediaStreamTrack):
    """20 ms frames in stereo, as FastRTC gives them: one for each loudness (0..1) of a tone, then nothing."""

    kind = "audio"

    def __init__(self, *loudness: float) -> None:
        super().__init__()
        self._loudness = list(loudness)
        self._given = 0

    async def recv(self) -> AudioFrame:
        if self._given == len(self._loudness):
            return cast(AudioFrame, None)
        at = self._given * SAMPLES
        tone = 20_000 * self._loudness[self._given] * np.sin(2 * np.pi * 440 / 48_000 * np.arange(at, at + SAMPLES))
        frame = AudioFrame.from_ndarray(np.repeat(tone.astype(np.int16), 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        self._given += 1
        return frame


async def packets(*loudness: float) -> list[Packet]:
    track = OpusTrack(Frames(*loudness))
    return [await track.recv() for _ in loudness]


async def test_a_frame_is_a_packet_of_its_time_and_decodes_to_its_sound() -> None:
    sent = await packets(*[1.0] * 20)
    assert [(packet.pts, packet.time_base) for packet in sent] == [(n * SAMPLES, Fraction(1, 48_000)) for n in range(20)]
    decoder = OpusDecoder()
    heard = [decoder.decode(JitterFrame(bytes(packet), cast(int, packet.pts)))[0].to_ndarray() for packet in sent]
    sound = np.concatenate(heard[5:], axis=1)[0, ::2].astype(float)
    assert np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() == pytest.approx(440 * len(sound) / 48_000, abs=1)
    assert np.abs(sound).max() == pytest.approx(20_000, rel=0.2)


async def test_silence_that_lasts_is_one_small_packet_and_sound_comes_back() -> None:
    sent = [bytes(packet) for packet in await packets(*[1.0] * 5, *[0.0] * 40, *[1.0] * 5)]
    silence = set(sent[5 + FADING : 45])
    assert len(silence) == 1
    assert len(silence.pop()) <= 10
    assert all(len(packet) > 40 for packet in sent[46:])


async def test_silence_that_is_left_out_counts_and_what_comes_in_it_is_empty() -> None:
    track = OpusTrack(Frames(*[1.0] * 3, *[0.0] * 20, *[1.0] * 3))
    sent = [await track.recv() for _ in range(20)]
    track.leave_out(20)
    sent += [await track.recv() for _ in range(6)]
    assert [cast(int, packet.pts) // SAMPLES for packet in sent] == [*range(20), *range(40, 46)]
    assert [len(bytes(packet)) for packet in sent[20:22]] == [1, len(bytes(sent[19]))], "only the one that comes after a gap"
    decoder = OpusDecoder()
    heard = [decoder.decode(JitterFrame(bytes(packet), cast(int, packet.pts)))[0].to_ndarray() for packet in sent]
    assert {frame.shape for frame in heard} == {(1, 2 * SAMPLES)}
    assert np.abs(heard[20]).max() < 10
    assert np.abs(heard[-1]).max() > 10_000


async def test_when_the_track_has_nothing_more_it_ends() -> None:
    frames = Frames(0.5)
    track = OpusTrack(frames)
    await track.recv()
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert (track.readyState, frames.readyState) == ("ended", "ended")


async def test_a_connection_that_is_closed_while_it_connects_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    theirs.createDataChannel("text")
    await theirs.setLocalDescription(await theirs.createOffer())
    await ours.setRemoteDescription(theirs.localDescription)
    forgive(ours, lambda parts: True)
    await ours.setLocalDescription(await ours.createAnswer())
    assert ours.sctp is not None
    await ours.sctp.transport.transport.stop()
    await asyncio.sleep(0.05)
    for pc in (ours, theirs):
        await shut(pc)
    gc.collect()
    assert "RTCIceTransport is closed" not in caplog.text


async def test_a_packet_for_which_there_is_no_connection_any_more_is_lost() -> None:
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    theirs.createDataChannel("text")
    await theirs.setLocalDescription(await theirs.createOffer())
    await ours.setRemoteDescription(theirs.localDescription)
    assert ours.sctp is not None
    below = ours.sctp.transport
    with pytest.raises(ConnectionError):
        await below._send_data(b"words")
    forgive(ours, lambda parts: True)
    await below._send_data(b"words")
    for pc in (ours, theirs):
        await shut(pc)
