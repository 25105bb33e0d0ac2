"""The mouth of one conversation: the reply that is being spoken, the draft that may become the next one, the frames that leave,
and the ledger of what was heard. A generation number marks everything; what carries an old one is dropped."""

import asyncio
from collections.abc import Callable

from app.core.latency import Spans
from app.core.telemetry import PREPARED
from app.dialogue.context import AgentContext
from app.protocol.messages import (
    AudioEnd,
    Duck,
    FirstAudioReady,
    Happening,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStart,
    PlaybackStop,
    PlaybackStopped,
    ReplyEmpty,
    ServerMessage,
    Unduck,
)
from app.reply.answer import Request
from app.reply.generation import Reply
from app.reply.ledger import Ledger
from app.reply.playout import IDLE_FRAME, Frame, Playout

PATH_DELAY_MS = 120.0  # from a frame's sending to the ear, where the listener says nothing: network and jitter buffer


class Speaker:
    def __init__(
        self,
        context: AgentContext,
        send: Callable[[ServerMessage], None],
        dispatch: Callable[[Happening], None],
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._clock = context.clock
        self._send = send
        self._dispatch = dispatch
        self._draft: Reply | None = None
        self._released = False
        self._playout: Playout | None = None  # of the reply
        self._timer: asyncio.TimerHandle | None = None
        self._ducked = False
        self.reply: Reply | None = None  # committed
        self.ledger: Ledger | None = None

    # --- making -------------------------------------------------------------------------------------------------------

    def draft(self, request: Request, spans: Spans) -> None:
        """Prepares a reply that is told to nobody until `commit`."""
        self.drop_draft()
        PREPARED.inc()
        self._draft = self._new(request, spans)

    def drop_draft(self) -> None:
        if self._draft is not None:
            self._draft.cancel()
            self._draft = None

    def commit(self, request: Request, spans: Spans) -> None:
        """The turn has ended: its draft becomes the reply; without one of this text a reply is started."""
        draft, self._draft = self._draft, None
        if draft is not None and draft.request != request:
            draft.cancel()
            draft = None
        self.withdraw()
        self.reply = draft or self._new(request, spans)
        self.ledger = Ledger(self.reply.generation)
        self._playout = Playout(self.reply, self.ledger)
        self.reply.commit()

    def _new(self, request: Request, spans: Spans) -> Reply:
        memory = self._context.memory
        memory.generation += 1
        reply = Reply(memory.generation, request, spans, self._context, self._send, self._on_ready)
        reply.start()
        return reply

    def _on_ready(self, reply: Reply) -> None:
        if reply is self.reply:
            event = ReplyEmpty if reply.empty else FirstAudioReady
            self._dispatch(event(generation=reply.generation))

    def withdraw(self) -> None:
        """Gives up draft and reply; what was not released is never heard."""
        self.drop_draft()
        if self.reply is not None:
            self.reply.cancel()
        self._quiet()

    def _quiet(self) -> None:
        self._released = False
        self._playout = None
        self._ducked = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """The reply has been recorded."""
        self.withdraw()
        self.reply = None

    # --- speaking -----------------------------------------------------------------------------------------------------

    @property
    def audible_ms(self) -> float:
        """How much of the released reply has been sent."""
        return self.ledger.sent_ms if self._released and self.ledger is not None else 0.0

    def release(self) -> None:
        self._released = True

    def duck(self) -> None:
        if self.reply is not None:
            self._ducked = True
            self._send(Duck(generation=self.reply.generation, gain=self._settings.duck_gain))

    def hold(self) -> None:
        """A breath's pause in the reply, until somebody decides: nothing of it is lost."""
        if self._playout is not None:
            self._playout.hold()

    def unduck(self) -> None:
        if self._playout is not None:
            self._playout.go_on()
        if self.reply is not None and self._ducked:
            self._ducked = False
            self._send(Unduck(generation=self.reply.generation))

    def stop(self) -> None:
        """Silence now: nothing of this generation leaves any more; the listener is asked what was played."""
        if self.reply is None:
            return
        self.drop_draft()
        self.reply.cancel()
        self._quiet()
        if self.ledger is not None:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._send(PlaybackStop(generation=self.reply.generation))
        self._timer = asyncio.get_running_loop().call_later(self._settings.stop_ack_ms / 1000, self._estimate, PlaybackStopped)

    def _estimate(self, kind: type[PlaybackStopped] | type[PlaybackDone]) -> None:
        """Nobody said what was played: the pacing model does, and says so."""
        if self.ledger is None:
            return
        if kind is PlaybackDone:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._dispatch(kind(generation=self.ledger.generation, played_ms=self.ledger.heard_ms, estimated=True))

    def note(self, event: PlaybackProgress | PlaybackDone | PlaybackStopped) -> None:
        """The listener says what was played."""
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
        delay = (PATH_DELAY_MS + self._settings.done_ack_ms) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, self._estimate, PlaybackDone)
