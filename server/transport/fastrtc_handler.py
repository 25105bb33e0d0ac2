"""The sound of a WebRTC connection, both ways: FastRTC's handler, which takes each frame that arrives and is asked for each
frame that leaves. 48 kHz and 20 ms both ways."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection
from av import AudioFrame
from fastrtc import AdditionalOutputs, AsyncStreamHandler
from fastrtc.tracks import AudioCallback
from fastrtc.utils import Context
from numpy.typing import NDArray

from app.core.resampler import Resampler
from app.protocol.view import Newest, Viewer
from app.reply.playout import FRAME_MS, IDLE_FRAME
from server.core.limits import quiet_logger
from server.transport.connection import Connection
from server.transport.rtp import OpusTrack, SenderClock
from services.base import HEARING_RATE, SPEAKING_RATE

log = quiet_logger(__name__)

VIEW_FRAMES = 5  # the page gets a new view at most every so many frames
QUIET_FRAMES = 50  # of silence in a row, after which only one in a while is sent
REST_S = 0.4  # the while: what Opus takes in a silence (RFC 6716, section 2.1.9)
LATE_S = 0.2  # a frame later than this starts the pace afresh instead of being caught up


class WhileOpen:
    """A data channel for FastRTC, which sends a notice over it with each view, and would log a traceback where the client has
    hung up meanwhile."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def send(self, text: str) -> None:
        """Sends while the channel is open, and does nothing afterwards."""
        if self._channel.readyState == "open":
            self._channel.send(text)


class Handler(AsyncStreamHandler):  # type: ignore[misc]
    """Carries the sound of one connection; FastRTC copies the handler that it is given for each connection."""

    def __init__(self) -> None:
        super().__init__("mono", output_sample_rate=SPEAKING_RATE, input_sample_rate=SPEAKING_RATE)
        self._connection: Connection | None = None
        self.viewer: Viewer | None = None  # of the page, where one looks
        self.views: Newest[AdditionalOutputs] = Newest()
        self._ready: Callable[[], None] = lambda: None
        self._track: AudioCallback | None = None
        self._to_hearing_rate: Resampler | None = None
        self._form = (0, 0)  # Hz and channels of what arrives
        self._rtp: SenderClock | None = None
        self._opus: OpusTrack | None = None
        self._viewed = 0  # the frame with which the last view left
        self._frames = 0  # given to the track so far, and silence left out
        self._silent = 0  # frames in a row
        self._news = asyncio.Event()  # a message was sent: the agent may be about to speak
        self._due = 0.0  # seconds, loop time, of the next frame

    def copy(self) -> "Handler":
        """A new handler; FastRTC asks for one for each connection."""
        return Handler()

    def carry(self, connection: Connection, pc: RTCPeerConnection, track: Any, ready: Callable[[], None]) -> None:
        """Carries the sound of `connection`: it arrives on `track`, and leaves on another track of `pc`. `ready` is called when
        sound can be carried."""
        self._connection = connection
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        context = Context(webrtc_id=secrets.token_hex(8))
        self._track = AudioCallback(track, event_handler=self, context=context, set_additional_outputs=self.views.put)
        self._opus = OpusTrack(self._track)
        pc.addTrack(self._opus)
        self._rtp = SenderClock(pc)

    def connect(self, channel: Any) -> None:
        """Takes the data channel, which is open: from now on there is sound."""
        if self._track is not None:
            self._track.set_channel(WhileOpen(channel))

    def cut(self) -> None:
        """Ends the sound, as the connection is over."""
        if self._opus is not None:
            self._opus.stop()
        for name in ("start_up_task", "process_input_task", "decode_task"):
            if task := getattr(self._track, name, None):
                task.cancel()
        self._connection = None
        self.views.end()

    async def start_up(self) -> None:
        """Is called once by FastRTC when the channel is open and the track is asked for its first frame."""
        self._due = self._loop.time()
        if self._connection is not None:
            self._ready()

    def stamp(self) -> int | None:
        """The RTP timestamp of the next frame, None while it is not known."""
        return None if self._rtp is None else self._rtp.stamp(self._frames)

    def wake(self) -> None:
        """Wakes `emit`: there is something to send, or the connection is over."""
        self._news.set()

    # --- in -----------------------------------------------------------------------------------------------------------

    def resample(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Passes `frame` on as it was decoded. FastRTC would resample it here, on a thread for every core."""
        form = frame.sample_rate, len(frame.layout.channels)
        if form != self._form:
            self._form, self._to_hearing_rate = form, Resampler(form[0], HEARING_RATE, form[1])
        yield frame

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        """Takes int16 sound as it was decoded, shape (1, samples). Raises nothing: an error here would deafen the connection
        for good."""
        try:
            if self._connection is not None and self._connection.attachment is not None and self._to_hearing_rate is not None:
                self._connection.listen(self._to_hearing_rate.feed(frame[1].reshape(-1)))
        except Exception:
            log.exception("a frame of sound was lost on its way in")

    # --- out ----------------------------------------------------------------------------------------------------------

    async def emit(self) -> Any:
        """The next 20 ms when they are due, silence where there is nothing to say. Raises nothing: an error here would silence the
        connection for good."""
        resting = self._silent >= QUIET_FRAMES
        if resting:
            await self._rest()
        if resting or self._loop.time() - self._due > LATE_S:
            self._go_on(self._loop.time())
        await asyncio.sleep(max(0.0, self._due - self._loop.time()))
        self._due += FRAME_MS / 1000
        viewer = None if self._connection is None else self.viewer
        try:
            attachment = None if self._connection is None else self._connection.attachment
            frame = IDLE_FRAME if attachment is None else attachment.session.speak()
            if self._rtp is not None and self._track is not None:
                self._rtp.look(self._frames - self._track.queue.qsize())
            if frame.generation and not frame.sequence:
                self.clear_queue()  # FastRTC keeps a pace of its own, and by what it began late it would be late for good
        except Exception:
            log.exception("a frame of sound was lost on its way out")
            frame = IDLE_FRAME
        self._frames += 1
        self._silent = 0 if frame.generation else self._silent + 1
        sound = (SPEAKING_RATE, frame.samples.reshape(1, -1))
        if viewer is not None and viewer.changed and self._frames - self._viewed >= VIEW_FRAMES:
            self._viewed = self._frames
            return sound, AdditionalOutputs(viewer.look())
        return sound

    async def _rest(self) -> None:
        """Waits in a long silence until another packet is due, or there is something to say."""
        changed = self.viewer is not None and self.viewer.changed
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), VIEW_FRAMES * FRAME_MS / 1000 if changed else REST_S)
        self._news.clear()

    def _go_on(self, now: float) -> None:
        """Makes the next frame due about now, after a rest or a hitch. In a silence the clock of the sound goes on: a packet
        that seems to be late would make a browser's jitter buffer grow by as much, and the replies after it start later (400 ms
        by 400 ms). In a reply the clock stands still, for by it the listener counts what was heard."""
        missed = max(0, int((now - self._due) * 1000 / FRAME_MS))
        self._due += missed * FRAME_MS / 1000
        if self._opus is not None and self._silent:
            self._opus.leave_out(missed)
            self._frames += missed
