"""One WebRTC connection: aiortc's side of it, and the control messages on its data channel. The sound is carried by `Handler`
(server/transport/fastrtc_handler.py)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from fastrtc import Stream

from app.protocol.codec import BadMessage
from app.protocol.messages import AudioChunk, AudioEnd, Error, Farewell, PlaybackStart, Ready, ServerMessage, Start
from app.protocol.view import Viewer
from app.settings import Settings
from server.core.limits import TokenBucket, quiet_logger
from server.sessions.live import Attachment
from server.sessions.sessions import Sessions
from server.transport.connection import Connection
from server.transport.datagrams import filter_datagrams
from server.transport.fastrtc_handler import Handler
from server.transport.offers import MAX_CANDIDATES, BadOffer, also_at, candidate_of
from server.transport.pending import PendingConnections
from server.transport.rtp import forgive, hear_at_once, overgrown
from services.base import SPEAKING_RATE

log = quiet_logger(__name__)

LAST_WORDS_S = 0.3  # for the last message to leave before the connection is closed
CANDIDATE_S = 3.0  # for the address behind a candidate's name
# Sound is 400 packets a second at most (Opus of 2.5 ms), and messages are fewer; what a stalled network held back comes at once.
PACKETS_PER_SECOND, PACKETS_AT_ONCE = 600.0, 2000.0
MAX_QUEUED = 256 * 1024  # bytes of messages that may wait for a client that does not read
HANDSHAKE = "handshake"  # FastRTC's clients say it when the channel opens


class RtcPeer:
    """aiortc's side of one call, within limits."""

    def __init__(self, call: "Call", configuration: Any) -> None:
        self.pc = RTCPeerConnection(configuration)
        self._call = call
        self._candidates = 0
        self._packets = TokenBucket(PACKETS_PER_SECOND, PACKETS_AT_ONCE, at=asyncio.get_running_loop().time())

    async def answer(self, sdp: str, handler: Handler) -> dict[str, str]:
        """Answers an offer; `handler` carries the sound. Raises whatever aiortc raises."""
        pc, call = self.pc, self._call
        pc.on("track", lambda track: handler.carry(call, pc, track, call.sounds))
        pc.on("datachannel", call.connect)
        pc.on("connectionstatechange", self._changed)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        forgive(pc, self._packet)
        hear_at_once(pc, call.admit)
        await pc.setLocalDescription(await pc.createAnswer())
        filter_datagrams(pc)
        return {"sdp": also_at(pc.localDescription.sdp, call.settings.node_address), "type": pc.localDescription.type}

    def _changed(self) -> None:
        if self.pc.connectionState in ("failed", "closed"):
            self._call.lost()

    async def add(self, said: dict[str, Any]) -> None:
        """Adds one ICE candidate of the client. Raises BadOffer."""
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

    def _packet(self, parts: int) -> bool:
        """Counts one more packet, of so many parts. False when they are too many, and the connection is being ended."""
        if not self._packets.take(self._call.now(), parts):
            message = f"more than {PACKETS_PER_SECOND:g} packets a second, or parts of them"
        elif overgrown(self.pc):
            message = "more unfinished messages or sources of sound than can be kept"
        else:
            return True
        self._call.close(Error(code="flood", message=message, fatal=True))
        return False


class Call(Connection):
    """One WebRTC connection."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        waiting: PendingConnections,
        stream: Stream,
        ends: Callable[["Call", float], None],
        offered: Start | None = None,
        page: str = "",
    ) -> None:
        """`offered` is the start that an authorized offer is for; None for a page, whose `start` message says it. `ends` is
        told that the call is to be taken apart in so many seconds."""
        super().__init__(sessions, settings, waiting)
        self.peer = RtcPeer(self, stream.server_rtc_configuration)
        self.offered = offered
        self.start = offered
        self.page = page
        self.opened_at = self.now()
        self.channel: Any = None
        self.handler: Handler = stream.event_handler.copy()
        self.handler.viewer = None if offered else Viewer()
        self._ends = ends
        self._sounds = False
        self._ending = False

    # --- the wire -----------------------------------------------------------------------------------------------------

    def connect(self, channel: Any) -> None:
        """Takes the data channel that the client has opened."""
        if self.channel is not None:
            self.guard(lambda: self._refuse(channel))
            return
        self.channel = channel
        channel.on("message", self._message)
        channel.on("close", self.lost)
        self.handler.connect(channel)

    def _refuse(self, channel: Any) -> None:
        channel.close()
        raise BadMessage("second_channel", "a connection has one data channel, and this is another")

    def _message(self, data: str | bytes) -> None:
        if self.counts() and data != HANDSHAKE:
            self.take(data)

    @property
    def connected(self) -> bool:
        """Whether the data channel is open."""
        return self._sounds

    def sounds(self) -> None:
        """Notes that the track is asked for sound: the conversation can begin."""
        self._sounds = True
        self.proceed()

    # --- the connection -----------------------------------------------------------------------------------------------

    def ask(self, start: Start) -> None:
        """Takes a `start` message. An offer for a session is its start already, and a message that names the same session adds
        nothing to it."""
        if self.offered is None or start.session_id not in (None, self.offered.session_id):
            super().ask(start)

    def begin(self, attachment: Attachment, start: Start, ready: Ready) -> None:
        """Begins to carry the conversation."""
        self.send(ready.model_copy(update={"sample_rate": SPEAKING_RATE}))
        if self.handler.viewer is not None:
            self.handler.viewer.recall(attachment.session.memory.history)
        attachment.begin(start.greeting and not (start.resume and attachment.resumed), start.eagerness)

    def sound(self, message: AudioChunk) -> None:
        """Raises BadMessage: sound comes on the track."""
        raise BadMessage("bad_message", "audio_chunk: sound travels on the audio track here", "type")

    def send(self, message: ServerMessage) -> None:
        """Sends one control message over the data channel, with an RTP timestamp where it speaks of a place in the sound."""
        if isinstance(message, PlaybackStart | AudioEnd):
            message = message.model_copy(update={"rtp": self.handler.stamp()})
        if self.handler.viewer is not None:
            self.handler.viewer.follow(message)
        self.handler.wake()
        if self.channel is None or self.channel.readyState != "open":
            return
        if self.channel.bufferedAmount > MAX_QUEUED:
            self.lost()  # an error would not be read either
            return
        with suppress(ValueError):  # longer than the client takes
            self.channel.send(message.model_dump_json(exclude_none=True))

    def end(self, last: Farewell | None) -> None:
        """Closes the connection, with `last` as its last message."""
        if last is not None:
            self.send(last)
        self._finish(LAST_WORDS_S if self.channel is not None else 0.0)

    def lost(self) -> None:
        """Ends a connection whose wire is gone, or of no use."""
        self.gone()
        self._finish(0.0)

    def _finish(self, wait_s: float) -> None:
        if not self._ending:
            self._ending = True
            self._ends(self, wait_s)

    def let_go(self) -> None:
        """Parts the conversation, and everything that runs for the connection, from it; the last step of its end."""
        self.gone()
        self.handler.cut()
