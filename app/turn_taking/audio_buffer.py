"""The sound of a conversation: the last seconds of what was heard, and the agent's own voice, which is taken out where the
microphone hears it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from app.core.resampler import Resampler
from services.base import HEARING_RATE, SPEAKING_RATE, VAD_WINDOW, Audio, EchoCanceller, Pcm

BUFFER_S = 45  # seconds of audio kept: the longest turn, its pre-roll and a pause
ECHO_MS = 1000.0  # the agent's voice may come back for so long after it was sent


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
