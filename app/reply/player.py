"""Plays a reply to the listener: sends its frames, turns them down or holds them while somebody speaks over them, and takes in
what the listener says was played. Everything carries a generation number, and what carries an old one is dropped."""

import asyncio
from collections.abc import Callable

from app.core.clock import Clock
from app.protocol.events import Happening
from app.protocol.messages import (
    Acknowledgement,
    AudioEnd,
    Duck,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStart,
    PlaybackStop,
    PlaybackStopped,
    ServerMessage,
    Unduck,
)
from app.reply.generation import Reply
from app.reply.ledger import Ledger
from app.reply.playout import IDLE_FRAME, Frame, Playout
from app.settings import Settings

PATH_DELAY_MS = 120.0  # from a frame's sending to the ear, where the listener says nothing: network and jitter buffer


class Player:
    """Plays one reply at a time. `reply` is the one that is played or was played last, None once it is recorded; `ledger` tells
    what was heard of it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        send: Callable[[ServerMessage], None],
        dispatch: Callable[[Happening], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self._dispatch = dispatch
        self._released = False
        self._playout: Playout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ducked = False
        self.reply: Reply | None = None
        self.ledger: Ledger | None = None

    def load(self, reply: Reply) -> None:
        """Takes the next reply to play; nothing of it leaves before `release`."""
        self.reply = reply
        self.ledger = Ledger(reply.generation)
        self._playout = Playout(reply, self.ledger)

    def unload(self) -> None:
        """Stops the frames of the reply, and waits for no acknowledgement of it any more."""
        self._released = False
        self._playout = None
        self._ducked = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def audible_ms(self) -> float:
        """How much of the released reply has been sent."""
        return self.ledger.sent_ms if self._released and self.ledger is not None else 0.0

    def release(self) -> None:
        """Lets the frames of the reply out."""
        self._released = True

    def duck(self) -> None:
        """Asks the listener to play more quietly, until `unduck`."""
        if self.reply is not None:
            self._ducked = True
            self._send(Duck(generation=self.reply.generation, gain=self._settings.duck_gain))

    def hold(self) -> None:
        """Pauses the reply until it is decided what the sound over it is; nothing of it is lost."""
        if self._playout is not None:
            self._playout.hold()

    def unduck(self) -> None:
        """Ends `duck` and `hold`: the reply goes on as before."""
        if self._playout is not None:
            self._playout.go_on()
        if self.reply is not None and self._ducked:
            self._ducked = False
            self._send(Unduck(generation=self.reply.generation))

    def stop(self) -> None:
        """Silences the reply: no frame of this generation leaves any more, and the listener is asked what was played."""
        if self.reply is None:
            return
        self.reply.cancel()
        self.unload()
        if self.ledger is not None:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._send(PlaybackStop(generation=self.reply.generation))
        self._timer = asyncio.get_running_loop().call_later(self._settings.stop_ack_ms / 1000, self._estimate, PlaybackStopped)

    def _estimate(self, kind: type[PlaybackStopped] | type[PlaybackDone]) -> None:
        """Reports what was played by the pacing model, where the listener did not tell."""
        if self.ledger is None:
            return
        if kind is PlaybackDone:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._dispatch(kind(generation=self.ledger.generation, played_ms=self.ledger.heard_ms, estimated=True))

    def acknowledge(self, event: Acknowledgement) -> None:
        """Takes in what the listener says was played."""
        if self.ledger is None or event.generation != self.ledger.generation or self.reply is None:
            return
        if isinstance(event, PlaybackProgress) or not event.estimated:
            self.ledger.acknowledge(event.played_ms, self._clock.ms())
        if event.played_ms > 0:
            self.reply.spans.mark("first_audio_heard", self._clock.ms() - event.played_ms)

    def frame(self) -> Frame:
        """The next 20 ms. While a released reply waits for more speech, its frames are silence of the same generation."""
        if not self._released or self.reply is None or self.ledger is None or self.ledger.ended or self._playout is None:
            return IDLE_FRAME
        frame = self._playout.frame(self._clock.ms())
        if frame is None:
            self._finish(self.ledger)
            return IDLE_FRAME
        if not frame.sequence:
            self.reply.spans.mark("first_audio_sent", self._clock.ms())
            self._send(PlaybackStart(generation=frame.generation))
        return frame

    def _finish(self, ledger: Ledger) -> None:
        ledger.finish()
        self._send(AudioEnd(generation=ledger.generation, ms=ledger.sent_ms))
        self._await_end(ledger)

    def _await_end(self, ledger: Ledger) -> None:
        """Gives the listener time to say that it has played all; nobody who plays behind time is taken to have finished as long as
        it tells of more and more."""

        def is_due(known_ms: float) -> None:
            if not ledger.estimated and known_ms < ledger.heard_ms < ledger.sent_ms:
                self._await_end(ledger)
            else:
                self._estimate(PlaybackDone)

        delay = (PATH_DELAY_MS + self._settings.done_ack_ms) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, is_due, ledger.heard_ms)
