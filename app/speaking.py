"""The mouth of one conversation: the reply that is being spoken, the draft that may become the next one, the frames that leave,
and the ledger of what was heard. A generation number marks everything; what carries an old one is dropped."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.answering import Request
from app.clock import Clock
from app.dialogue import Dialogue, Memory
from app.events import (
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
from app.latency import Spans
from app.playback import Ledger
from app.reply import Reply
from app.settings import Settings
from app.telemetry import PREPARED
from services.base import SPEAKING_RATE, Pcm, Services

FRAME_MS = 20.0
FRAME = int(SPEAKING_RATE * FRAME_MS / 1000)  # samples
HOLD_FRAMES = 8  # 160 ms: a shorter silence is still heard as the same speech (merged at 200 ms by the published scorers)
PATH_DELAY_MS = 120.0  # from a frame's sending to the ear, where the listener says nothing: network and jitter buffer
FADE = np.linspace(1, 0, FRAME, dtype=np.float32)  # into a breath's pause, back out of it, and out of a filler
SILENCE: Pcm = np.zeros(FRAME, np.int16)
SILENCE.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms of speech or silence: int16 mono, 960 samples at 48 kHz. Generation 0 is silence that belongs to no reply; `ms` is
    the place of its first sample in the generation."""

    samples: Pcm
    generation: int
    sequence: int
    ms: float


IDLE_FRAME = Frame(SILENCE, 0, 0, 0.0)


class Speaking:
    def __init__(
        self,
        services: Services,
        settings: Settings,
        clock: Clock,
        dialogue: Dialogue,
        memory: Memory,
        tell: Callable[[ServerMessage], None],
        happened: Callable[[Happening], None],
    ) -> None:
        self._services = services
        self._settings = settings
        self._clock = clock
        self._dialogue = dialogue
        self._memory = memory
        self._tell = tell
        self._happened = happened
        self._draft: Reply | None = None
        self._released = False
        self._over = False  # the reply has no more sounds
        self._left: Pcm = SILENCE[:0]  # of the sound in hand, not yet sent
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ducked = False
        self._held = 0  # frames that a breath's pause still takes, the one that fades out included
        self._breathed = False  # the last frame belonged to such a pause
        self._filler = False  # what is sent is one
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
        self._sequence = 0
        self.reply.commit()

    def _new(self, request: Request, spans: Spans) -> Reply:
        self._memory.generation += 1
        reply = Reply(
            self._memory.generation,
            request,
            spans,
            self._services,
            self._dialogue,
            self._memory,
            self._settings,
            self._clock,
            self._tell,
            self._on_ready,
        )
        reply.start()
        return reply

    def _on_ready(self, reply: Reply) -> None:
        if reply is self.reply:
            event = ReplyEmpty if reply.empty else FirstAudioReady
            self._happened(event(generation=reply.generation))

    def withdraw(self) -> None:
        """Gives up draft and reply; what was not released is never heard."""
        self.drop_draft()
        if self.reply is not None:
            self.reply.cancel()
        self._quiet()

    def _quiet(self) -> None:
        self._released = False
        self._over = False
        self._left = SILENCE[:0]
        self._ducked = False
        self._filler = False
        self._held = 0
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
            self._tell(Duck(generation=self.reply.generation, gain=self._settings.duck_gain))

    def hold(self) -> None:
        """A breath's pause in the reply, until somebody decides: nothing of it is lost."""
        self._held = HOLD_FRAMES

    def unduck(self) -> None:
        self._held = 0
        if self.reply is not None and self._ducked:
            self._ducked = False
            self._tell(Unduck(generation=self.reply.generation))

    def stop(self) -> None:
        """Silence now: nothing of this generation leaves any more; the listener is asked what was played."""
        if self.reply is None:
            return
        self.drop_draft()
        self.reply.cancel()
        self._quiet()
        if self.ledger is not None:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._tell(PlaybackStop(generation=self.reply.generation))
        self._timer = asyncio.get_running_loop().call_later(self._settings.stop_ack_ms / 1000, self._estimate, PlaybackStopped)

    def _estimate(self, kind: type[PlaybackStopped] | type[PlaybackDone]) -> None:
        """Nobody said what was played: the pacing model does, and says so."""
        if self.ledger is None:
            return
        if kind is PlaybackDone:
            self.ledger.estimate(self._clock.ms(), PATH_DELAY_MS)
        self._happened(kind(generation=self.ledger.generation, played_ms=self.ledger.heard_ms, estimated=True))

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
        if not self._released or self.reply is None or self.ledger is None or self.ledger.ended:
            return IDLE_FRAME
        reply, ledger = self.reply, self.ledger
        samples = np.zeros(FRAME, np.int16)
        if 0 < self._held < HOLD_FRAMES and not self._over:
            ledger.wait(FRAME_MS)
        else:
            filled = 0 if self._over else self._fill(samples, reply, ledger)
            if not filled and self._over:
                self._finish(reply, ledger)
                return IDLE_FRAME
            if self._held:
                samples = (samples * FADE).astype(np.int16)
            elif self._breathed:
                samples = (samples * FADE[::-1]).astype(np.int16)
        self._breathed, self._held = self._held > 0, max(0, self._held - 1)
        if not self._sequence:
            reply.spans.mark("first_audio_sent", self._clock.ms())
            self._tell(PlaybackStart(generation=reply.generation))
        frame = Frame(samples, reply.generation, self._sequence, ledger.sent_ms)
        self._sequence += 1
        ledger.send(FRAME_MS, self._clock.ms())
        return frame

    def _fill(self, samples: Pcm, reply: Reply, ledger: Ledger) -> int:
        """Fills a frame from the sounds that are ready; returns how many samples."""
        filled = 0
        while True:
            if self._filler and reply.answered:
                self._left = self._fade(ledger, filled)
            take = min(FRAME - filled, len(self._left))
            samples[filled : filled + take] = self._left[:take]
            self._left = self._left[take:]
            filled += take
            if len(self._left):
                return filled
            try:
                sound = reply.sounds.get_nowait()
            except asyncio.QueueEmpty:
                return filled
            if sound is None:
                self._over = True
                return filled
            if sound.filler and reply.answered:
                if sound.clause is not None:
                    ledger.skip_clause()
                continue
            self._filler = sound.filler
            start, length = ledger.sent_ms + filled * 1000 / SPEAKING_RATE, len(sound.samples) * 1000 / SPEAKING_RATE
            if sound.clause is not None:
                ledger.begin_clause(sound.clause, start, length, sound.words)
            else:
                ledger.extend_clause(start, length, sound.words)
            self._left = sound.samples

    def _fade(self, ledger: Ledger, filled: int) -> Pcm:
        """The answer is there: the rest of a filler, faded out so that nothing clicks. Words beyond it are not said."""
        self._filler = False
        rest = self._left[: len(FADE)]
        ledger.cut_clause(ledger.sent_ms + (filled + len(rest)) * 1000 / SPEAKING_RATE)
        return (rest * FADE).astype(np.int16) if len(rest) == len(FADE) else rest  # so short a rest ends by itself

    def _finish(self, reply: Reply, ledger: Ledger) -> None:
        ledger.finish()
        self._tell(AudioEnd(generation=reply.generation, ms=ledger.sent_ms))
        delay = (PATH_DELAY_MS + self._settings.done_ack_ms) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, self._estimate, PlaybackDone)
