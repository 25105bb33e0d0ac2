"""Reads aiortc's private fields: the RTP clock of outgoing audio, and the buffer of arriving audio. Only this module,
`datagrams` and `sctp` touch them; each access is guarded, so that another version of aiortc costs precision, not the call."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.jitterbuffer import MAX_MISORDER, JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av import AudioCodecContext, AudioFrame, CodecContext, FFmpegError, Packet

from server.core.limits import quiet_logger
from server.transport import sctp

log = quiet_logger(__name__)

RTP_WRAP = 1 << 32
SAMPLES = 960  # RTP ticks in a 20 ms frame: Opus counts 48 kHz samples (RFC 7587, section 4.1)
SEQUENCE_WRAP = 1 << 16
BIT_RATE = 64_000  # bit/s of speech, mono; RFC 7587, section 3.1.1, advises 28 to 40 for it
# Frames of silence that are encoded: then the codec has nothing more to say, and its last packet stands for all others.
FADING = 10
ONE_FRAME = 0b11111100  # of a packet's first byte: what is left says that one frame follows
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
CONNECT = "_RTCPeerConnection__connect"
RETRANSMIT = "_retransmit"
MESSAGES = "_handle_data"  # of SCTP
PACKETS = ("_handle_rtp_data", "_handle_rtcp_data")  # of a transport, when they are decrypted
QUEUE = 500  # frames that may wait for a listener; one that takes none loses what comes
CLOSE_S = 3.0  # for a connection to close, and then again for each of its parts
# What a client may make a connection keep: sources of sound, and pieces of messages of which others are missing.
SOURCES = 32
PIECES = 512
STREAMS = 64  # of messages


class SenderClock:
    """Maps the number of an outgoing frame to its RTP timestamp.

    A frame counted as sent may still wait in the sender, never the other way round, so of several looks at the clock the latest
    origin is the true one.
    """

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._senders = pc.getSenders()
        self._origin: int | None = None

    def look(self, sent: int) -> None:
        """Reads the clock after `sent` frames have been taken by the track."""
        stamp = getattr(self._senders[0], "_RTCRtpSender__rtp_timestamp", None) if self._senders else None
        if not stamp or sent < 1:
            return
        origin = (stamp - (sent - 1) * SAMPLES) % RTP_WRAP
        if self._origin is None or 0 < (origin - self._origin) % RTP_WRAP < RTP_WRAP // 2:
            self._origin = origin

    def stamp(self, frame: int) -> int | None:
        """The RTP timestamp of frame number `frame` (the first is 0); None when the clock cannot be read."""
        return None if self._origin is None else (self._origin + frame * SAMPLES) % RTP_WRAP


def speech_decoder() -> AudioCodecContext:
    """A decoder from Opus to mono in int16 at 48 kHz."""
    codec = cast(AudioCodecContext, CodecContext.create("libopus", "r"))
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", 48_000
    return codec


class JitterBufferBypass(JitterBuffer):
    """Takes the place of aiortc's jitter buffer: every packet of Opus is decoded when it comes and put on the track. Nothing
    has to be smoothed, for each packet is a whole frame and the hearing counts what arrives. A packet that was overtaken, or
    cannot be decoded, is dropped.

    aiortc's own buffer waits for the packet after (82 ms with the four it holds back, 20 with none), and once a packet is lost
    it stays 300 ms behind: it waits for that packet until all of its places are taken, and then gives one frame for each that
    comes. Its decoder is on another thread: waking that thread and being woken by it costs several times what decoding does.
    """

    def __init__(self, track: asyncio.Queue[AudioFrame], admit: Callable[[float], bool]) -> None:
        """`admit` tells whether that many more seconds of sound are to be heard; a packet that is not is not even decoded."""
        super().__init__(capacity=1)
        self._track = track
        self._admit = admit
        self._codec = speech_decoder()
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Gives aiortc nothing to decode."""
        behind = 0 if self._newest is None else (self._newest - packet.sequence_number) % SEQUENCE_WRAP
        if self._newest is not None and behind < MAX_MISORDER:
            return False, None
        self._newest = packet.sequence_number
        # No bytes are the end of the stream to a decoder.
        if packet.payload and self._admit(length_s(packet.payload)) and self._track.qsize() < QUEUE:
            try:
                for frame in self._codec.decode(Packet(packet.payload)):
                    self._track.put_nowait(frame)
            except FFmpegError as error:
                log.debug("a packet cannot be decoded: %s", error)
        return False, None


def length_s(packet: bytes) -> float:
    """The seconds of sound in an Opus packet of at least a byte (RFC 6716, section 3.1, table 2)."""
    mode, code = packet[0] >> 3, packet[0] & 3
    lengths_ms = (10, 20, 40, 60) if mode < 12 else (10, 20) if mode < 16 else (2.5, 5, 10, 20)
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]
    return lengths_ms[mode % len(lengths_ms)] * frames / 1000


def hear_at_once(pc: RTCPeerConnection, admit: Callable[[float], bool]) -> None:
    """Takes the wait out of arriving audio, which must be Opus. `admit`: see `JitterBufferBypass`. To be called before any
    sound arrives."""
    for receiver in pc.getReceivers():
        track = getattr(receiver.track, "_queue", None)
        if track is None or not hasattr(receiver, JITTER_BUFFER):
            log.warning(
                "the jitter buffer of this aiortc is not known: sound arrives 80 ms later, and more when packets are lost"
            )
            return
        setattr(receiver, JITTER_BUFFER, JitterBufferBypass(track, admit))


def forgive(pc: RTCPeerConnection, counts: Callable[[int], bool]) -> None:
    """Drops a packet that aiortc trips over, which would otherwise end the connection with a traceback in the log. Nor is there
    a traceback when aiortc goes on connecting a connection that has been closed meanwhile. `counts` is told how many parts a
    packet has, and asked whether it may be looked at. To be called when the remote description is set."""
    if connect := getattr(pc, CONNECT, None):
        setattr(pc, CONNECT, _connecting(connect))
    sctp.acknowledge_what_was_sent(pc.sctp)
    if handle := getattr(pc.sctp, MESSAGES, None):
        setattr(pc.sctp, MESSAGES, _forgiving(handle, lambda packet: counts(sctp.parts_in(packet))))
    for part in transports_of(pc, "dtls"):
        sctp.lose_what_cannot_leave(part)
        for name in PACKETS:
            if handle := getattr(part, name, None):
                setattr(part, name, _forgiving(handle, lambda _: counts(1)))
    for sender in pc.getSenders():
        if hasattr(sender, RETRANSMIT):
            setattr(sender, RETRANSMIT, _never)


async def _never(sequence_number: int) -> None:
    """Sends no sound again: it would come too late, and one packet of a client asks for 5,000 packets."""


def _connecting(connect: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def connecting() -> None:
        try:
            await connect()
        except Exception as error:
            log.info("a connection was not made: %r", error)

    return connecting


def _forgiving(handle: Callable[..., Awaitable[None]], counts: Callable[[bytes], bool]) -> Callable[..., Awaitable[None]]:
    async def forgiving(packet: bytes, **about: Any) -> None:
        try:
            if counts(packet):
                await handle(packet, **about)
        except ConnectionError:
            raise  # the connection is gone
        except Exception as error:
            log.warning("a packet cannot be used: %r", error)

    return forgiving


def overgrown(pc: RTCPeerConnection) -> bool:
    """Whether the client makes aiortc keep more than a conversation needs: it ignores the flow control of its data channel, leaves
    its messages unfinished, or sends sound from ever new sources. aiortc has no bound for any of these."""
    sources = (getattr(receiver, "_RTCRtpReceiver__remote_streams", ()) for receiver in pc.getReceivers())
    if any(len(each) > SOURCES for each in sources):
        return True
    window, pieces = getattr(pc.sctp, "_advertised_rwnd", 0), len(getattr(pc.sctp, "_sack_misordered", ()))
    streams = getattr(pc.sctp, "_inbound_streams", {}).values()
    pieces += sum(len(getattr(stream, "reassembly", ())) for stream in streams)
    return window < 0 or len(streams) > STREAMS or pieces > PIECES


async def shut(pc: RTCPeerConnection) -> None:
    """Closes `pc`, in bounded time and whatever its state. Where aiortc cannot, because a task of its own has died or a
    transport was never made, its sockets, tasks and threads are let go one by one."""
    if await _ended(pc.close()):
        return
    log.warning("a connection could not be closed as a whole")
    transceivers: list[Any] = list(pc.getTransceivers())
    for part in [*transceivers, *filter(None, [pc.sctp]), *transports_of(pc, "dtls"), *transports_of(pc, "ice")]:
        await _ended(part.stop())


def transports_of(pc: RTCPeerConnection, kind: str) -> list[Any]:
    """The transports of `pc` of one `kind`: "dtls" or "ice"."""
    return list(getattr(pc, f"_RTCPeerConnection__{kind}Transports", ()))


async def _ended(closing: Awaitable[None]) -> bool:
    with suppress(Exception):  # aiortc raises whatever it trips over
        async with asyncio.timeout(CLOSE_S):
            await closing
        return True
    return False


def speech_encoder(bit_rate: int) -> AudioCodecContext:
    """An encoder from mono speech in int16 at 48 kHz to Opus, `bit_rate` in bit/s."""
    codec = cast(AudioCodecContext, CodecContext.create("libopus", "w"))
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", 48_000
    codec.bit_rate, codec.options = bit_rate, {"application": "voip"}
    return codec


class OpusTrack(MediaStreamTrack):
    """A track that sends 20 ms frames as Opus packets. aiortc would encode them in stereo on another thread, after it has read
    each sample in Python for a level that nobody uses: with silence most of the time, a third of what a connection costs."""

    kind = "audio"

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self._track = track
        self._codec = speech_encoder(BIT_RATE)
        self._silent = 0  # frames in a row
        self._packet = b""
        self._left_out = 0  # ticks of silence that were not sent
        self._resting = False  # the next frame comes after some of them

    def leave_out(self, frames: int) -> None:
        """Leaves out `frames` frames of silence: the RTP clock goes on without them, so that a listener's jitter buffer stays
        as small as it is."""
        self._left_out += frames * SAMPLES
        self._resting = frames > 0

    async def recv(self) -> Packet:
        """The next packet of speech."""
        frame = await self._track.recv()
        if not isinstance(frame, AudioFrame):
            self.stop()
            raise MediaStreamError  # FastRTC's track ends with nothing
        samples = frame.to_ndarray()[:, :: len(frame.layout.channels)]
        self._silent = 0 if samples.any() else self._silent + 1
        if self._silent <= FADING:
            mono = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
            mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
            self._packet = b"".join(map(bytes, self._codec.encode(mono)))
        # A frame of no bytes tells that silence follows, with its length alone (RFC 6716, section 3.1: TOC byte and frame count 1).
        empty = bytes([self._packet[0] & ONE_FRAME]) if self._resting and self._silent > FADING else None
        self._resting = False
        packet = Packet(empty or self._packet)
        packet.pts, packet.time_base = (frame.pts or 0) + self._left_out, frame.time_base
        return packet

    def stop(self) -> None:
        """Sends no more packets."""
        super().stop()
        self._track.stop()
