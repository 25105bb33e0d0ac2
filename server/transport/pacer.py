"""Sends a session's sound over a transport that has no clock of its own: at the listener's rate, and never far ahead of the
listener, so that little is lost when the agent is interrupted."""

from collections.abc import Callable
from dataclasses import dataclass

from app.core.resampler import Resampler
from app.protocol.messages import AudioEnd
from app.reply.playout import FRAME_MS, Frame
from services.base import SPEAKING_RATE, Pcm

FRAME_S = FRAME_MS / 1000
LEAD_S = 0.200  # how far the listener's buffer may be ahead of the listener
WARY_LEAD_S = 0.040  # the same while somebody speaks over the agent: what was sent cannot be held back


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one generation at the listener's rate; `ms` is the place of its first sample in the generation."""

    samples: Pcm
    generation: int
    sequence: int
    ms: float


class Pacer:
    """Takes frames from `speak` and gives chunks to `emit`, in step with a listener who plays the sound without a break.

    `_dry_at` is the time at which that listener runs out of sound. It moves on by exactly one frame a frame, so that delays of
    the event loop never add up, and starts afresh after a silence. A reply that waits for its next words fills the time with
    frames of zeros: after one of those the lead is used up before the next is asked for, as running ahead would put a gap into
    the reply where the listener need not hear one.
    """

    def __init__(self, speak: Callable[[], Frame], rate: int, emit: Callable[[Chunk | AudioEnd], None]) -> None:
        self._speak = speak
        self._rate = rate
        self._emit = emit
        self._dry_at = 0.0
        self._most = LEAD_S
        self._lead = LEAD_S
        self._tick = 0.0  # when silence is next asked whether it is over
        self._generation = 0
        self._stopped = 0
        self._resampler = Resampler(SPEAKING_RATE, rate)
        self._start_ms = 0.0
        self._said_ms = 0.0  # place in the generation after the last frame
        self._sent = 0  # samples of this generation, at the listener's rate
        self._sequence = 0
        self._end: AudioEnd | None = None

    def step(self, now: float) -> float:
        """Emits every frame that is due at `now` (seconds, monotonic) and returns when to call again."""
        self._dry_at = max(self._dry_at, now)
        while self._dry_at + FRAME_S - now <= self._lead + 1e-9:
            frame = self._speak()
            if frame.generation <= self._stopped:
                self._finish()
                tick = self._tick + FRAME_S
                self._tick = tick if tick > now else now + FRAME_S
                return self._tick
            self._say(frame)
            self._lead = self._most if frame.samples.any() else WARY_LEAD_S
            self._dry_at += FRAME_S
        return self._dry_at + FRAME_S - self._lead

    def end(self, message: AudioEnd) -> None:
        """Notes that no more frames come in this generation: `message` is emitted behind its last sample, wherever that still
        is."""
        if message.generation > self._stopped:
            self._end = message
            if message.generation == self._generation and self._said_ms >= message.ms:
                self._finish()

    def wary(self, wary: bool) -> None:
        """Notes whether somebody speaks over the agent."""
        self._most = WARY_LEAD_S if wary else LEAD_S
        self._lead = min(self._lead, self._most)

    def stop(self, generation: int) -> None:
        """Emits nothing of this generation or of an earlier one any more, as the listener falls silent."""
        self._stopped = max(self._stopped, generation)
        self._end = None
        self._dry_at = 0.0
        self._most = LEAD_S

    def _say(self, frame: Frame) -> None:
        if frame.generation != self._generation:
            if self._end and self._end.generation != frame.generation:
                self._finish()
            self._generation, self._start_ms, self._sequence, self._sent = frame.generation, frame.ms, frame.sequence, 0
            self._resampler = Resampler(SPEAKING_RATE, self._rate)
        self._give(self._resampler.feed(frame.samples))
        self._said_ms = frame.ms + FRAME_MS
        if self._end and self._said_ms >= self._end.ms:
            self._finish()

    def _finish(self) -> None:
        if self._end is None:
            return
        end, self._end = self._end, None
        if end.generation == self._generation:
            self._give(self._resampler.flush())
        self._emit(end)

    def _give(self, samples: Pcm) -> None:
        if not len(samples):
            return
        ms = self._start_ms + self._sent * 1000 / self._rate
        self._emit(Chunk(samples, self._generation, self._sequence, ms))
        self._sequence += 1
        self._sent += len(samples)
