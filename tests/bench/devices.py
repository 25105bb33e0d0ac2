"""A virtual microphone and a virtual loudspeaker. Both are pure: the caller says what time it is, in seconds."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
AUDIBLE_DBFS = -50.0  # the agent speaks where its energy is above this
SLACK_S = 0.02  # a listener's jitter buffer drops silence to catch up when it is further behind than this


def audible(samples: Pcm, gain: float = 1.0) -> bool:
    """Whether these int16 samples, played at `gain`, are louder than AUDIBLE_DBFS."""
    if not len(samples) or gain <= 0:
        return False
    power = float(np.mean(np.square(samples.astype(np.float32) * (gain / 32768))))
    return power > 10 ** (AUDIBLE_DBFS / 10)


class Microphone:
    """What the user says: clips placed on an endless silence, read in real time, kept as it was sent."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.sent = 0  # samples read so far
        self._waiting: list[tuple[int, Pcm]] = []
        self._record: list[Pcm] = []

    def play(self, samples: Pcm, at: float | None = None) -> float:
        """Place int16 samples at `at` seconds, or at the next sample to be read when that is past; returns the start, s."""
        start = max(self.sent, round(at * self.rate) if at is not None else 0)
        self._waiting.append((start, samples))
        return start / self.rate

    def read(self, count: int) -> Pcm:
        """The next `count` samples."""
        out = np.zeros(count, np.int32)
        first, last = self.sent, self.sent + count
        for start, samples in self._waiting:
            a, b = max(start, first), min(start + len(samples), last)
            if a < b:
                out[a - first : b - first] += samples[a - start : b - start]
        self._waiting = [(start, samples) for start, samples in self._waiting if start + len(samples) > last]
        self.sent = last
        frame = np.clip(out, -32768, 32767).astype(np.int16)
        self._record.append(frame)
        return frame

    def record(self) -> Pcm:
        return np.concatenate(self._record) if self._record else np.zeros(0, np.int16)


@dataclass(slots=True)
class Played:
    """One agent frame: heard from `start` (s); `ms` is its place on the sender's clock, `loud` whether it can be heard."""

    start: float
    samples: Pcm
    generation: int
    ms: float
    loud: bool


class Speaker:
    """What the listener hears: each frame begins at max(arrival, end of the frame before) and is scaled by the
    gain in force then. Silence between replies that comes late is dropped, as browsers do: lag does not pile up."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.frames: list[Played] = []
        self.end = float("-inf")
        self.gains: list[tuple[float, float]] = []

    def put(self, now: float, samples: Pcm, generation: int, ms: float) -> None:
        loud = audible(samples)
        if not loud and self.end - now > SLACK_S and generation == 0:
            return
        start = max(now, self.end)
        self.frames.append(Played(start, samples, generation, ms, loud))
        self.end = start + len(samples) / self.rate

    def gain(self, now: float) -> float:
        return next((gain for at, gain in reversed(self.gains) if at <= now), 1.0)

    def set_gain(self, now: float, gain: float) -> None:
        self.gains.append((now, gain))

    def flush(self, now: float) -> None:
        """Throw away what has not been played."""
        while self.frames and self.frames[-1].start >= now:
            self.frames.pop()
        if self.frames and self.end > now:
            frame = self.frames[-1]
            frame.samples = frame.samples[: round((now - frame.start) * self.rate)]
        self.end = min(self.end, now)

    def position(self, now: float, generation: int) -> float | None:
        """The place on the sender's clock (ms) that is being played now, or was last; None before the first frame."""
        for frame in reversed(self.frames):
            if frame.generation == generation and frame.start <= now:
                return frame.ms + 1000 * min(now - frame.start, len(frame.samples) / self.rate)
        return None

    def first_loud(self, after: float) -> float | None:
        """When the first audible frame at or after `after` begins, s; frames still waiting to be played count."""
        found = None
        for frame in reversed(self.frames):
            if frame.start < after:
                break
            if frame.loud and self.gain(frame.start) > 0:
                found = frame.start
        return found

    def last_loud(self) -> float:
        """When the last audible frame ends, s; minus infinity when there was none."""
        for frame in reversed(self.frames):
            if frame.loud and self.gain(frame.start) > 0:
                return frame.start + len(frame.samples) / self.rate
        return float("-inf")

    def render(self, seconds: float) -> Pcm:
        """The agent's side as it was heard from 0 to `seconds`, int16 at `rate`."""
        out = np.zeros(round(seconds * self.rate), np.float32)
        for frame in self.frames:
            a = round(frame.start * self.rate)
            piece = frame.samples[max(0, -a) : max(0, len(out) - a)]
            out[max(a, 0) : max(a, 0) + len(piece)] = piece
        edges = [*self.gains, (seconds, 1.0)]
        for (at, gain), (until, _) in pairwise(edges):
            out[max(0, round(at * self.rate)) : max(0, round(until * self.rate))] *= gain
        return np.clip(out, -32768, 32767).astype(np.int16)
