"""The WebRTC transport: one FastRTC stream, both directions of audio and the control messages on its data channel. The page's
component and `POST /webrtc/offer` share it. Each connection is known by an object of ours; the names that clients choose find only
what those clients may have."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from fastrtc import AdditionalOutputs, Stream, WebRTC
from gradio.components.base import server
from prometheus_client import Gauge

from app.core.client_address import caller
from app.core.limits import Allowance, Budgets, quiet_logger
from app.protocol.codec import BadMessage
from app.protocol.messages import AudioChunk, AudioEnd, Error, Farewell, PlaybackStart, Ready, ServerMessage, Start
from app.protocol.view import Newest, Viewer
from app.sessions.registry import Seat, Sessions
from app.sessions.tokens import Crowd, Full, Refused
from app.settings import Settings
from app.transport.connection import Connection
from app.transport.datagrams import guard
from app.transport.fastrtc_handler import Handler
from app.transport.offers import MAX_CANDIDATES, BadOffer, also_at, candidate_of, check_offer
from app.transport.pending import WaitingRoom
from app.transport.rtp import forgive, hear_at_once, overgrown, shut
from services.base import SPEAKING_RATE

log = quiet_logger(__name__)

LAST_WORDS_S = 0.3  # for the last message to leave before the connection is closed
OFFERS_PER_SECOND, OFFERS_AT_ONCE = 2.0, 20.0  # of one address: each is a key pair, sockets and 6 ms of work
ANSWER_S = 10.0  # for an answer: it waits for a STUN or TURN server that does not reply
CANDIDATE_S = 3.0  # for the address behind a candidate's name
# Sound is 400 packets a second at most (Opus of 2.5 ms), and messages are fewer; what a stalled network held back comes at once.
PACKETS_PER_SECOND, PACKETS_AT_ONCE = 600.0, 2000.0
MAX_QUEUED = 256 * 1024  # bytes of messages that may wait for a client that does not read
HANDSHAKE = "handshake"  # FastRTC's clients say it when the channel opens
OPEN = Gauge("parley_calls", "WebRTC connections, until the last of them is closed")
PAGE_NAME = 64  # characters of the name that a page's component gives to its connection


class Line:
    """The stream and its connections."""

    def __init__(self, sessions: Sessions, settings: Settings, waiting: WaitingRoom) -> None:
        self.sessions = sessions
        self.settings = settings
        self.waiting = waiting
        self.stream = Stream(
            Handler(),
            modality="audio",
            mode="send-receive",
            concurrency_limit=settings.max_sessions,
            rtc_configuration=settings.rtc_configuration(),
            server_rtc_configuration=settings.rtc_configuration(),
            verbose=False,
        )
        self.calls: set[Call] = set()
        self._offers = Budgets(OFFERS_PER_SECOND, OFFERS_AT_ONCE)
        self._ends: set[asyncio.Task[None]] = set()

    # --- POST /webrtc/offer -------------------------------------------------------------------------------------------

    async def offer(self, session_id: str, token: str, sdp: str, kind: str, greeting: bool = True) -> dict[str, str]:
        """Answers an offer for a session. It takes the place of an earlier one that is not yet connected, and when it is connected
        of whoever has the conversation. Raises BadOffer, Crowd when they come too fast, and Full when this machine can have no more
        connections."""
        check_offer(sdp, kind)
        earlier = self._of_session(session_id)
        answer = await self._answer(sdp, Start(session_id=session_id, token=token, greeting=greeting))
        for call in earlier:
            if call.seat is None:
                call.close()
        return answer

    async def candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        """Adds an ICE candidate of the client (RTCIceCandidate.toJSON()) to the session's newest offer. Raises BadOffer."""
        await self._add(max(self._of_session(session_id), key=lambda call: call.opened_at, default=None), candidate)

    def _of_session(self, session_id: str) -> "list[Call]":
        return [call for call in self.calls if call.guest is not None and call.guest.session_id == session_id]

    async def _add(self, call: "Call | None", candidate: dict[str, Any]) -> None:
        if call is None or call.closing:
            raise BadOffer("candidate: there is no offer that it could belong to")
        await call.add(candidate)

    async def _answer(self, sdp: str, guest: Start | None = None, page: str = "") -> dict[str, str]:
        if not self._offers.take(caller.get(), asyncio.get_running_loop().time()):
            raise Crowd("too many offers come from your address; please try again in a moment")
        call = Call(self, guest, page)
        self.calls.add(call)
        OPEN.set(len(self.calls))
        answered = False
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await call.answer(sdp)
            answered = not call.closing
        except OSError as error:  # no socket left, or no time
            log.warning("an offer could not be answered: %s", error)
            raise Full("no more connections can be made now; please try again in a moment") from error
        except Exception as error:  # as in `check_offer`: aiortc trips over what it cannot use
            log.warning("an offer was refused: %s", error)
            raise BadOffer("sdp: cannot be used") from error
        finally:
            if not answered:
                call.close()
        if not answered:
            raise Full("too many connections wait to be opened; please try again in a moment")
        return answer

    # --- the page's component -----------------------------------------------------------------------------------------

    def serve(self, component: WebRTC) -> None:
        """The component asks us instead of its own registry, which takes the name that a page chose for who is there."""
        component.offer = self.page_offer
        component.quit_output_stream = self.page_quits
        component.output_stream = self.page_views

    def has_page(self, name: str) -> bool:
        """Whether a page has a connection of this name."""
        return self._of_page(name) is not None

    def _of_page(self, name: Any) -> "Call | None":
        return next((call for call in self.calls if call.page == name and not call.closing), None)

    @server  # type: ignore[untyped-decorator]
    async def page_offer(self, body: Any) -> dict[str, Any]:
        """What the component sends: an offer, or a candidate. Raises nothing."""
        try:
            if not isinstance(body, dict) or not isinstance(name := body.get("webrtc_id"), str) or len(name) > PAGE_NAME:
                raise BadOffer(f"webrtc_id: must be text of at most {PAGE_NAME} characters")
            call = self._of_page(name)
            if body.get("type") == "ice-candidate":
                await self._add(call, body.get("candidate") or {})
                return {"status": "success"}
            check_offer(body.get("sdp"), body.get("type"))
            if call is not None:
                raise BadOffer("webrtc_id: this connection exists")
            return await self._answer(body["sdp"], page=name)
        except (BadOffer, Refused) as error:
            return {"status": "failed", "meta": {"error": str(error)}}

    @server  # type: ignore[untyped-decorator]
    async def page_quits(self, body: Any) -> dict[str, bool]:
        """The page looks no longer. Its connection ends by itself: this could be said by anybody who has its name."""
        return {"success": True}

    async def page_views(self, name: str) -> AsyncIterator[AdditionalOutputs]:
        """What the page shows, while its connection lasts; nothing where there is none of this name."""
        if call := self._of_page(name):
            async for view in call.views.follow():
                yield view

    # --- the end ------------------------------------------------------------------------------------------------------

    def ends(self, call: "Call", wait_s: float) -> None:
        """Takes `call` apart after so many seconds."""
        task = asyncio.create_task(self._end(call, wait_s))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end(self, call: "Call", wait_s: float) -> None:
        try:
            await asyncio.sleep(wait_s)
        finally:
            call.let_go()
            await shut(call.pc)
            self.calls.discard(call)
            OPEN.set(len(self.calls))

    async def close(self) -> None:
        """Ends every connection."""
        for call in list(self.calls):
            call.close()
        await asyncio.gather(*self._ends, return_exceptions=True)


class Call(Connection):
    """One WebRTC connection."""

    def __init__(self, line: Line, guest: Start | None = None, page: str = "") -> None:
        """`guest`: whom an authorized offer is for; None for a page, whose `start` message says it."""
        self.pc = RTCPeerConnection(line.stream.server_rtc_configuration)
        super().__init__(line.sessions, line.settings, line.waiting)
        self.id = secrets.token_hex(8)
        self.guest = guest
        self.start = guest
        self.page = page
        self.viewer = None if guest else Viewer()
        self.views: Newest[AdditionalOutputs] = Newest()
        self.opened_at = self.now()
        self.channel: Any = None
        self._line = line
        self._handler: Handler = line.stream.event_handler.copy()
        self._candidates = 0
        self._packets = Allowance(PACKETS_PER_SECOND, PACKETS_AT_ONCE, at=self.opened_at)
        self._sounds = False
        self._ending = False

    async def answer(self, sdp: str) -> dict[str, str]:
        """Raises whatever aiortc trips over."""
        pc = self.pc
        pc.on("track", lambda track: self._handler.carry(self, pc, track))
        pc.on("datachannel", self._connect)
        pc.on("connectionstatechange", self._changed)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        forgive(pc, self._packet)
        hear_at_once(pc, self.admit)
        await pc.setLocalDescription(await pc.createAnswer())
        guard(pc)
        return {"sdp": also_at(pc.localDescription.sdp, self.settings.node_address), "type": pc.localDescription.type}

    async def add(self, said: dict[str, Any]) -> None:
        """One ICE candidate of the client. Raises BadOffer."""
        candidate = candidate_of(said)
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            raise BadOffer(f"candidate: there are {MAX_CANDIDATES} already")
        if candidate is None:
            return
        try:
            async with asyncio.timeout(CANDIDATE_S):
                await self.pc.addIceCandidate(candidate)
        except Exception as error:
            raise BadOffer("this ICE candidate cannot be used") from error

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _connect(self, channel: Any) -> None:
        if self.channel is not None:
            self.guard(lambda: self._refuse(channel))
            return
        self.channel = channel
        channel.on("message", self._message)
        channel.on("close", self.lost)
        self._handler.connect(channel)

    def _refuse(self, channel: Any) -> None:
        channel.close()
        raise BadMessage("second_channel", "a connection has one data channel, and this is another")

    def _message(self, data: str | bytes) -> None:
        if self.counts() and data != HANDSHAKE:
            self.take(data)

    def _changed(self) -> None:
        if self.pc.connectionState in ("failed", "closed"):
            self.lost()

    def _packet(self, parts: int) -> bool:
        """One more packet has come, of so many parts. False when they are too many, and the connection is being ended."""
        if not self._packets.take(self.now(), parts):
            message = f"more than {PACKETS_PER_SECOND:g} packets a second, or parts of them"
        elif overgrown(self.pc):
            message = "more unfinished messages or sources of sound than can be kept"
        else:
            return True
        self.close(Error(code="flood", message=message, fatal=True))
        return False

    @property
    def connected(self) -> bool:
        """Its data channel is open."""
        return self._sounds

    def sounds(self) -> None:
        """The track is asked for sound: the conversation can begin."""
        self._sounds = True
        self.proceed()

    # --- the connection -----------------------------------------------------------------------------------------------

    def ask(self, start: Start) -> None:
        """An offer for a session is its start already; a message that names the same session adds nothing to it."""
        if self.guest is None or start.session_id not in (None, self.guest.session_id):
            super().ask(start)

    def begin(self, seat: Seat, start: Start, ready: Ready) -> None:
        """The conversation is there."""
        self.send(ready.model_copy(update={"sample_rate": SPEAKING_RATE}))
        if self.viewer is not None:
            self.viewer.recall(seat.session.memory.history)
        seat.begin(start.greeting and not (start.resume and seat.resumed), start.eagerness)

    def sound(self, message: AudioChunk) -> None:
        """Raises BadMessage: sound comes on the track."""
        raise BadMessage("bad_message", "audio_chunk: sound travels on the audio track here", "type")

    def send(self, message: ServerMessage) -> None:
        """One control message over the data channel; where it speaks of a place in the sound, with its RTP timestamp."""
        if isinstance(message, PlaybackStart | AudioEnd):
            message = message.model_copy(update={"rtp": self._handler.stamp()})
        if self.viewer is not None:
            self.viewer.follow(message)
        self._handler.wake()
        if self.channel is None or self.channel.readyState != "open":
            return
        if self.channel.bufferedAmount > MAX_QUEUED:
            self.lost()  # an error would not be read either
            return
        with suppress(ValueError):  # longer than the client takes
            self.channel.send(message.model_dump_json(exclude_none=True))

    def end(self, last: Farewell | None) -> None:
        """Hangs up, with `last` as its last message."""
        if last is not None:
            self.send(last)
        self._finish(LAST_WORDS_S if self.channel is not None else 0.0)

    def lost(self) -> None:
        """The wire is gone, or of no use."""
        self.gone()
        self._finish(0.0)

    def _finish(self, wait_s: float) -> None:
        if not self._ending:
            self._ending = True
            self._line.ends(self, wait_s)

    def let_go(self) -> None:
        """The last that is done: the conversation and all that runs for the connection are parted from it."""
        self.gone()
        self._handler.cut()
        self.views.end()
