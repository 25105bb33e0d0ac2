"""Cuts the sounds of one reply into frames for the listener, and writes them down in its ledger."""

import asyncio
import contextlib
from dataclasses import dataclass

import numpy as np

from app.reply.generation import Reply
from app.reply.ledger import Ledger
from app.reply.voice import Sound
from services.base import SPEAKING_RATE, Pcm

FRAME_MS = 20.0
FRAME = int(SPEAKING_RATE * FRAME_MS / 1000)  # samples
HOLD_FRAMES = 8  # 160 ms: a shorter silence is still heard as the same speech (merged at 200 ms by the published scorers)
FADE = np.linspace(1, 0, FRAME, dtype=np.float32)  # into a short pause, back out of it, and out of a filler
INAUDIBLE = 10 ** (-50 / 20) * 32768  # RMS of a hop below which nothing is heard (-50 dBFS)
HOP = FRAME // 2  # samples: 10 ms
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


class Playout:
    """Makes the frames of one reply, and fills its ledger."""

    def __init__(self, reply: Reply, ledger: Ledger) -> None:
        self._reply = reply
        self._ledger = ledger
        self._over = False  # the reply has no more sounds
        self._left: Pcm = SILENCE[:0]  # of the sound in hand, not yet sent
        self._tail = 0  # samples of silence at the end of that sound
        self._next: list[Sound | None] = []  # fetched ahead, one at most
        self._sequence = 0
        self._held = 0  # frames that a pause still takes, the one that fades out included
        self._was_held = False  # the last frame belonged to such a pause
        self._filler = False  # what is sent is one

    def hold(self) -> None:
        """Pauses the reply for a moment; nothing of it is lost."""
        self._held = HOLD_FRAMES

    def go_on(self) -> None:
        """Ends the pause of `hold`."""
        self._held = 0

    def frame(self, now: float) -> Frame | None:
        """The next 20 ms, sent at `now` (clock ms); None when the reply is over. While the reply waits for more speech, its
        frames are silence of the same generation."""
        samples = np.zeros(FRAME, np.int16)
        if 0 < self._held < HOLD_FRAMES and not self._over:
            self._ledger.wait(FRAME_MS)
        else:
            filled = 0 if self._over else self._fill(samples)
            if not filled and self._over:
                return None
            if self._held:
                samples = (samples * FADE).astype(np.int16)
            elif self._was_held:
                samples = (samples * FADE[::-1]).astype(np.int16)
        self._was_held, self._held = self._held > 0, max(0, self._held - 1)
        frame = Frame(samples, self._reply.generation, self._sequence, self._ledger.sent_ms)
        self._sequence += 1
        self._ledger.send(FRAME_MS, now)
        return frame

    def _fill(self, samples: Pcm) -> int:
        """Fills a frame from the sounds that are ready; returns how many samples."""
        filled = 0
        while True:
            if self._filler and self._reply.answered:
                self._left = self._fade(filled)
            if len(self._left) <= self._tail and self._fetched() and self._next[0] is None:
                self._left = SILENCE[:0]  # the reply ends with its last sound, not with the breath after it
            take = min(FRAME - filled, len(self._left))
            samples[filled : filled + take] = self._left[:take]
            self._left = self._left[take:]
            filled += take
            if len(self._left):
                return filled
            if not self._fetched():
                return filled
            sound = self._next.pop()
            if sound is None:
                self._over = True
                return filled
            if sound.filler and self._reply.answered:
                if sound.clause is not None:
                    self._ledger.skip_clause()
                continue
            self._filler = sound.filler
            start, length = self._ledger.sent_ms + filled * 1000 / SPEAKING_RATE, len(sound.samples) * 1000 / SPEAKING_RATE
            if sound.clause is not None:
                self._ledger.begin_clause(sound.clause, start, length, sound.words)
            else:
                self._ledger.extend_clause(start, length, sound.words)
            self._left = sound.samples
            self._tail = silence_after(sound.samples)

    def _fetched(self) -> bool:
        """Whether it is known what follows the current sound."""
        with contextlib.suppress(asyncio.QueueEmpty):
            if not self._next:
                self._next.append(self._reply.sounds.get_nowait())
        return bool(self._next)

    def _fade(self, filled: int) -> Pcm:
        """The rest of a filler, faded out so that nothing clicks, because the answer is ready. Words of the filler behind that
        are not said."""
        self._filler = False
        rest = self._left[: len(FADE)]
        self._ledger.cut_clause(self._ledger.sent_ms + (filled + len(rest)) * 1000 / SPEAKING_RATE)
        return (rest * FADE).astype(np.int16) if len(rest) == len(FADE) else rest  # so short a rest ends by itself


def silence_after(samples: Pcm) -> int:
    """How many samples follow the last audible hop."""
    hops = samples[: len(samples) // HOP * HOP].reshape(-1, HOP).astype(np.float32)
    loud = np.flatnonzero(np.square(hops).mean(axis=1) > INAUDIBLE**2)
    return len(samples) - HOP * (int(loud[-1]) + 1 if len(loud) else 0)
