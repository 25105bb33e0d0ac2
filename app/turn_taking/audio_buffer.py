"""The sound of a conversation: the last seconds of what was heard, and what is taken out of it: the agent's own voice where the
microphone hears it, and the constant offset (DC) of a faulty microphone."""

from collections.abc import Callable
from functools import partial

import numpy as np

from app.core.resampler import Resampler
from services.base import HEARING_RATE, SPEAKING_RATE, VAD_WINDOW, Audio, EchoCanceller, Pcm

BUFFER_S = 45  # seconds of audio kept: the longest turn, its pre-roll and a pause
ECHO_MS = 1000.0  # the agent's voice may come back for so long after it was sent
# Mean of the samples (steps of int16; -30 dBFS) above which they have an offset that matters, and windows that it is a mean of
# (4 s), or of at least so many at first. Of 348 recordings of the development sets and the tests, after half a second of silence,
# none reaches 410; two of them have an offset, of 320.
OFFSET, OFFSET_WINDOWS, FIRST_WINDOWS = 1024.0, 125, 16


class RingBuffer:
    """The last BUFFER_S seconds of what was heard, addressed in ms since the conversation began."""

    def __init__(self) -> None:
        self._samples = np.zeros(BUFFER_S * HEARING_RATE, np.int16)
        self._written = 0

    def append(self, samples: Pcm) -> None:
        """Appends sound: int16 mono at HEARING_RATE."""
        at = self._written % len(self._samples)
        head = min(len(samples), len(self._samples) - at)
        self._samples[at : at + head] = samples[:head]
        self._samples[: len(samples) - head] = samples[head:]
        self._written += len(samples)

    def cut(self, start_ms: float) -> Audio:
        """The audio from `start_ms` to now as float32 -1..1; what the buffer no longer keeps is left out."""
        size = len(self._samples)
        start = max(int(start_ms * HEARING_RATE / 1000), self._written - size, 0)
        index = np.arange(start, self._written) % size
        return self._samples[index].astype(np.float32) / 32768.0


class Offset:
    """The constant offset of the samples of a microphone, by which silence looks loud and a weak voice goes unheard."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._windows = 0  # that it was made of, up to OFFSET_WINDOWS
        self._found = False

    def taken_from(self, window: Pcm) -> Pcm:
        """The window (int16) without it; the same one while none was found. Of a microphone that is muted nothing is learnt."""
        if not window.any():
            return window
        self._windows = min(self._windows + 1, OFFSET_WINDOWS)
        self._mean += (float(window.mean()) - self._mean) / self._windows
        self._found = self._found or (self._windows >= FIRST_WINDOWS and abs(self._mean) > OFFSET)
        if not self._found:
            return window
        return np.clip(window.astype(np.int32) - round(self._mean), -32768, 32767).astype(np.int16)


class EchoReference:
    """What the agent said last and what was not yet compared with what is heard."""

    def __init__(self, canceller: EchoCanceller) -> None:
        self._canceller = canceller
        self._resampler = Resampler(SPEAKING_RATE, HEARING_RATE)
        self._samples: Pcm = np.zeros(0, np.int16)
        self._last_ms = -ECHO_MS  # when there last was some, in ms of audio received

    @property
    def found(self) -> bool:
        """Whether the agent's voice comes back through the microphone."""
        return self._canceller.present

    @property
    def suspected(self) -> bool:
        """Whether the agent's voice may come back, while that is not yet known."""
        return self._canceller.suspected and not self._canceller.present

    def played(self, samples: Pcm) -> None:
        """Takes what the agent says: int16 mono at SPEAKING_RATE."""
        self._samples = np.concatenate((self._samples, self._resampler.feed(samples)))[-HEARING_RATE:]

    def taken_from(self, window: Pcm, now_ms: float) -> Callable[[], Pcm] | None:
        """A function that takes the agent's voice out of `window` (VAD_WINDOW samples that were heard at `now_ms`) and is to be
        called on another thread; None where the agent's voice cannot be in the window."""
        own, self._samples = self._samples[:VAD_WINDOW], self._samples[VAD_WINDOW:]
        if len(own):
            self._last_ms = now_ms
        if now_ms - self._last_ms > ECHO_MS:
            return None
        return partial(self._canceller.clean, window, np.pad(own, (0, VAD_WINDOW - len(own))))
