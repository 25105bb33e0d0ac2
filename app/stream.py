"""The WebRTC transport: one FastRTC stream, both directions of audio and the control messages on its data channel. The page's
component and `POST /webrtc/offer` share it. Nothing here decides anything; it carries sound and messages to a `Session`."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiortc import RTCRtpSender
from aiortc.sdp import SessionDescription
from av import AudioFrame
from fastrtc import AdditionalOutputs, AsyncStreamHandler, Stream
from fastrtc.tracks import AudioCallback
from fastrtc.utils import get_current_context
from fastrtc.webrtc_connection_mixin import WebRTCConnectionMixin
from numpy.typing import NDArray

from app.events import AudioChunk, AudioEnd, Error, Limits, Ping, PlaybackStart, Pong, Ready, ServerMessage, Start
from app.playout import FRAME_MS, IDLE_FRAME
from app.resample import Resampler
from app.rtp import Packed, SenderClock, hear_at_once
from app.sessions import Seat, Sessions
from app.settings import Settings
from app.tickets import Full, Refused
from app.view import Viewer
from app.wire import Allowance, BadMessage, parse
from services.base import HEARING_RATE, SPEAKING_RATE

log = logging.getLogger(__name__)

VIEW_FRAMES = 5  # the page gets a new view at most every so many frames
QUIET_FRAMES = 50  # of silence in a row, after which only one in a while is sent
REST_S = 0.4  # the while: what Opus takes in a silence (RFC 6716, section 2.1.9)
LATE_S = 0.2  # a frame later than this starts the pace afresh instead of being caught up
LAST_WORDS_S = 0.3  # for the last message to leave before the connection is closed
MAX_SDP = 64 * 1024
OPUS = "audio/opus"  # which every WebRTC endpoint can (RFC 7874, section 3)
HANDSHAKE = "handshake"  # FastRTC's clients say it when the channel opens
MISTAKES = 20  # bad messages that are answered; beyond, and faster than one a second, the client is cut off


class BadOffer(ValueError):
    """The session description cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who an offer is for: set by `POST /webrtc/offer`, None for the page, whose `start` message says it."""

    session_id: str
    token: str
    greeting: bool


class Line:
    """The stream and its connections."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self.sessions = sessions
        self.settings = settings
        self.stream = Stream(
            Handler(self),
            modality="audio",
            mode="send-receive",
            # Conversations are counted by `Sessions`; this limit only bounds connections that are not yet, or no longer, one.
            concurrency_limit=settings.max_sessions * 4,
            rtc_configuration=settings.rtc_configuration(),
            server_rtc_configuration=settings.rtc_configuration(),
            verbose=False,
        )
        self.guests: dict[str, Guest] = {}
        self._guarded: list[WebRTCConnectionMixin] = []
        self.guard(self.stream)

    def guard(self, connections: WebRTCConnectionMixin) -> None:
        """Makes the offers of `connections` (the stream, the page's component) safe: a bad one leaves nothing behind."""
        answer = connections.handle_offer

        async def handle_offer(body: dict[str, Any], set_outputs: Any) -> Any:
            if body.get("type") == "ice-candidate":
                return await answer(body, set_outputs)
            webrtc_id = str(body.get("webrtc_id", ""))
            try:
                check_sdp(body.get("sdp"), body.get("type"))
                return await answer(body, set_outputs)
            except Exception as error:
                log.warning("an offer was refused: %s", error)
                if pc := connections.pcs.get(webrtc_id):
                    await pc.close()
                connections.clean_up(webrtc_id)
                return {"status": "failed", "meta": {"error": "bad_offer", "message": str(error)}}

        connections.handle_offer = handle_offer
        self._guarded.append(connections)

    def connections_of(self, webrtc_id: str) -> WebRTCConnectionMixin | None:
        return next((connections for connections in self._guarded if webrtc_id in connections.pcs), None)

    async def offer(self, session_id: str, token: str, sdp: str, kind: str, greeting: bool = True) -> dict[str, str]:
        """Answers an offer for a session. The connection is known by the session's id until a newer one takes its place.

        Raises BadOffer, and Full when too many connections are open.
        """
        check_sdp(sdp, kind)
        if old := self.stream.pcs.get(session_id):
            await old.close()
            self.stream.clean_up(session_id)
        self.guests[session_id] = Guest(session_id, token, greeting)
        body = {"sdp": sdp, "type": kind, "webrtc_id": session_id}
        answer = await self.stream.handle_offer(body, self.stream.set_additional_outputs(session_id))
        if not isinstance(answer, dict) or "sdp" not in answer:
            self.guests.pop(session_id, None)
            if isinstance(answer, dict):
                raise BadOffer(answer["meta"]["message"])
            raise Full("too many connections are open; please try again in a moment")
        return answer

    async def candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        """Adds an ICE candidate of the client (RTCIceCandidate.toJSON()). Raises BadOffer."""
        body = {"type": "ice-candidate", "webrtc_id": session_id, "candidate": candidate}
        answer = await self.stream.handle_offer(body, None)
        if b'"failed"' in bytes(answer.body):
            raise BadOffer("this ICE candidate cannot be used")


def check_sdp(sdp: Any, kind: Any) -> None:
    """Raises BadOffer unless this is an offer with audio, Opus before what else we know, and a data channel."""
    if not isinstance(sdp, str) or len(sdp) > MAX_SDP:
        raise BadOffer(f"sdp: must be text of at most {MAX_SDP} characters")
    if kind != "offer":
        raise BadOffer('type: must be "offer"')
    try:
        offered = SessionDescription.parse(sdp).media
    except Exception as error:  # aiortc's parser raises whatever a malformed line makes it trip over
        raise BadOffer(f"sdp: cannot be parsed ({error})") from error
    if not {"audio", "application"} <= {media.kind for media in offered}:
        raise BadOffer("sdp: must offer audio and a data channel")
    known = {codec.mimeType.lower() for codec in RTCRtpSender.getCapabilities("audio").codecs}
    codecs = [codec.mimeType.lower() for media in offered if media.kind == "audio" for codec in media.rtp.codecs]
    if next((codec for codec in codecs if codec in known), None) != OPUS:
        raise BadOffer("sdp: must offer Opus before other audio")
    if not all(media.dtls and media.dtls.fingerprints for media in offered):
        raise BadOffer("sdp: lacks a=fingerprint")


class Handler(AsyncStreamHandler):  # type: ignore[misc]
    """One WebRTC connection: FastRTC's handler and, for the session, its `Peer`. 48 kHz and 20 ms both ways."""

    def __init__(self, line: Line) -> None:
        super().__init__("mono", output_sample_rate=SPEAKING_RATE, input_sample_rate=SPEAKING_RATE)
        self._line = line
        self._seat: Seat | None = None
        self._ears: Resampler | None = None
        self._form = (0, 0)  # Hz and channels of what arrives
        self._webrtc_id = ""
        self._rtp: SenderClock | None = None
        self._packed: Packed | None = None
        self._viewer: Viewer | None = None  # on the page only
        self._viewed = 0  # the frame with which the last view left
        self._frames = 0  # given to the track so far, and silence left out
        self._silent = 0  # frames in a row
        self._news = asyncio.Event()  # a message was sent: the agent may be about to speak
        self._due = 0.0  # seconds, loop time, of the next frame
        self._active_at = 0.0
        self._messages = Allowance(line.settings.messages_per_second, line.settings.messages_per_second)
        self._mistakes = Allowance(1, MISTAKES)
        self._start: Start | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def copy(self) -> "Handler":
        return Handler(self._line)

    # --- the connection -----------------------------------------------------------------------------------------------

    def set_channel(self, channel: Any) -> None:
        super().set_channel(channel)
        channel.remove_all_listeners("message")  # FastRTC's own only sends each message back
        channel.on("message", self._on_message)

    async def start_up(self) -> None:
        """Called once when the channel is open and the track is asked for its first frame."""
        self._due = self._active_at = asyncio.get_running_loop().time()
        self._webrtc_id = get_current_context().webrtc_id
        connections = self._line.connections_of(self._webrtc_id)
        if connections is None:
            return
        pc = connections.pcs[self._webrtc_id]
        hear_at_once(pc)
        for sender in pc.getSenders():
            self._packed = Packed(sender.track)
            sender.replaceTrack(self._packed)
        self._rtp = SenderClock(pc)
        if guest := self._line.guests.pop(self._webrtc_id, None):
            self._start = Start(session_id=guest.session_id, token=guest.token, greeting=guest.greeting)
        elif connections is not self._line.stream:
            self._viewer = Viewer()
        self._begin()

    def _begin(self) -> None:
        """Opens the session once the connection is up and it is known which; whichever comes last."""
        if self._opening is None and self._start is not None and self._rtp is not None:
            self._opening = asyncio.create_task(self._open(self._start))

    async def _open(self, start: Start) -> None:
        sessions = self._line.sessions
        try:
            self._seat = seat = await sessions.open(start.session_id or "", start.token or "", self)
        except Refused as error:
            self.close(error.as_event())
            return
        settings = self._line.settings
        limits = Limits(idle_timeout_s=settings.idle_timeout_s, messages_per_second=settings.messages_per_second)
        self.send(Ready(session_id=seat.session.id, resumed=seat.resumed, sample_rate=SPEAKING_RATE, limits=limits))
        if self._viewer is not None:
            self._viewer.recall(seat.session.memory.history)
        seat.begin(start.greeting and not (start.resume and seat.resumed))

    async def shutdown(self) -> None:
        """The connection is gone."""
        if self._opening is not None:
            self._opening.cancel()
        if self._seat is not None:
            self._line.sessions.release(self._seat, self)
            self._seat = None

    # --- sound --------------------------------------------------------------------------------------------------------

    def resample(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Passes `frame` on as it was decoded. FastRTC would resample it here, on a thread for every core."""
        form = frame.sample_rate, len(frame.layout.channels)
        if form != self._form:  # the first frames are aiortc's, in stereo, those after them ours
            self._form, self._ears = form, Resampler(form[0], HEARING_RATE, form[1])
        yield frame

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        """int16 as it was decoded, shape (1, samples). Raises nothing: an error here would deafen the connection for good."""
        try:
            if self._seat is not None and self._ears is not None:
                self._seat.session.hear(self._ears.feed(frame[1].reshape(-1)))
        except Exception:
            log.exception("a frame of sound was lost on its way in")

    async def emit(self) -> Any:
        """The next 20 ms when they are due, silence where there is nothing to say. Raises nothing: an error here would silence the
        connection for good."""
        loop = asyncio.get_running_loop()
        resting = self._packed is not None and self._silent >= QUIET_FRAMES
        if resting:
            await self._rest()
        if resting or loop.time() - self._due > LATE_S:
            self._go_on(loop.time())
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        self._due += FRAME_MS / 1000
        try:
            frame = IDLE_FRAME if self._seat is None else self._seat.session.speak()
            self._attend(loop.time(), speaking=frame.generation > 0)
            if frame.generation and not frame.sequence:
                self.clear_queue()  # FastRTC keeps a pace of its own, and by what it began late it would be late for good
        except Exception:
            log.exception("a frame of sound was lost on its way out")
            frame = IDLE_FRAME
        self._frames += 1
        self._silent = 0 if frame.generation else self._silent + 1
        sound = (SPEAKING_RATE, frame.samples.reshape(1, -1))
        if self._viewer is not None and self._viewer.changed and self._frames - self._viewed >= VIEW_FRAMES:
            self._viewed = self._frames
            return sound, AdditionalOutputs(self._viewer.look())
        return sound

    async def _rest(self) -> None:
        """In a long silence: returns when another packet is due, or there is news."""
        changed = self._viewer is not None and self._viewer.changed
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), VIEW_FRAMES * FRAME_MS / 1000 if changed else REST_S)
        self._news.clear()

    def _go_on(self, now: float) -> None:
        """After a rest or a hitch the next frame is due about now. The clock of the sound goes on in a silence: a packet that seems
        to be late makes a browser's jitter buffer grow by as much, and the replies after it start later (400 ms by 400 ms). In a
        reply it stands still, for by it the listener counts what was heard."""
        missed = max(0, int((now - self._due) * 1000 / FRAME_MS))
        self._due += missed * FRAME_MS / 1000
        if self._packed is not None and self._silent:
            self._packed.leave_out(missed)
            self._frames += missed

    def _attend(self, now: float, speaking: bool) -> None:
        """Between frames: reads the RTP clock, and ends a connection on which nothing happens."""
        track = getattr(self._clear_queue, "__self__", None)
        if self._rtp is not None and isinstance(track, AudioCallback):
            self._rtp.look(self._frames - track.queue.qsize())
        if speaking or (self._seat is not None and self._seat.session.hearing.last_sound_at / 1000 > self._active_at):
            self._active_at = now
        if now - self._active_at > self._line.settings.idle_timeout_s:
            self.close(Error(code="idle_timeout", message="nothing was said for a long time", fatal=True))

    # --- messages -----------------------------------------------------------------------------------------------------

    def send(self, message: ServerMessage) -> None:
        """One control message over the data channel; where it speaks of a place in the sound, with its RTP timestamp."""
        if isinstance(message, PlaybackStart | AudioEnd) and self._rtp is not None:
            message = message.model_copy(update={"rtp": self._rtp.stamp(self._frames)})
        if self._viewer is not None:
            self._viewer.follow(message)
        self._news.set()
        if self.channel is not None and self.channel.readyState == "open":
            self.channel.send(message.model_dump_json(exclude_none=True))

    def _on_message(self, data: str | bytes) -> None:
        if data == HANDSHAKE:
            return
        now = asyncio.get_running_loop().time()
        self._active_at = now
        if not self._messages.take(now):
            self.close(Error(code="flood", message="too many messages a second", fatal=True))
            return
        try:
            self._take(parse(data))
        except BadMessage as error:
            self.send(error.as_event())
            if not self._mistakes.take(now):
                self.close(Error(code="too_many_errors", message="too many messages that cannot be used", fatal=True))
        except Exception:
            log.exception("a message could not be handled")

    def _take(self, message: Any) -> None:
        if isinstance(message, Ping):
            self.send(Pong())
        elif isinstance(message, Start):
            self._start = message
            self._begin()
        elif isinstance(message, AudioChunk):
            raise BadMessage("bad_message", "audio_chunk: sound travels on the audio track here", "type")
        elif self._seat is None:
            raise BadMessage("not_started", f"{message.type}: send start first", "type")
        else:
            self._seat.session.receive(message)

    def close(self, error: Error | None = None) -> None:
        """Ends the connection, with `error` as its last message. Returns at once; only the first call counts."""
        if self._closing is None:
            if error is not None:
                self.send(error)
            self._closing = asyncio.create_task(self._hang_up())

    async def _hang_up(self) -> None:
        await asyncio.sleep(LAST_WORDS_S)
        connections = self._line.connections_of(self._webrtc_id)
        if connections is not None:
            await connections.pcs[self._webrtc_id].close()
