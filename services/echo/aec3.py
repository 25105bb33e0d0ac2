"""Takes the agent's own voice out of the microphone: WebRTC's echo canceller (AEC3, BSD-3-Clause), in the wheel of `livekit`."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from services.base import HEARING_RATE, Pcm
from services.onnx_model import LocalService

if TYPE_CHECKING:
    from livekit.rtc import AudioProcessingModule

BLOCK = HEARING_RATE // 100  # samples in 10 ms: what the canceller works on
LOOK = HEARING_RATE // 5  # samples of what was heard last that are looked for in what was played
MEMORY = HEARING_RATE  # samples of what was played that are searched: echoes up to 0.8 s late
LOOK_EVERY = 2 * 512  # samples between looks
AUDIBLE = 1e-3  # root mean square (-60 dBFS) below which nothing is looked for
# Correlation of heard and played sound, averaged over looks. Measured: the agent's voice through a room at -6 to -20 dB gives 0.45
# to 0.9 a look, another voice over that 0.2 to 0.8, another voice alone 0.05 to 0.3 with peaks of 0.8 where both hum on one pitch.
# Those come at another delay each time; an echo stays where it is. In 60 calls of people without one, 19 were suspected
# at any delay and 1 was found so; in a room it is suspected within 0.12 s of its beginning and found after 0.17 to 0.32 s.
PRESENT, ABSENT = 0.4, 0.2
WEIGHT = 0.33  # of the newest look
SUSPICION = 0.5  # the same at any delay
STEADY = HEARING_RATE // 100  # samples by which the delay of an echo may differ from look to look


class Aec3Cancellation(LocalService["type[AudioProcessingModule]"]):
    """WebRTC's AEC3."""

    name = "echo"

    def canceller(self) -> "Aec3Canceller":
        """One for each conversation."""
        return Aec3Canceller(self)

    def _load(self) -> type["AudioProcessingModule"]:
        from livekit.rtc import AudioProcessingModule

        loaded: type[AudioProcessingModule] = AudioProcessingModule
        return loaded

    @property
    def module(self) -> type["AudioProcessingModule"]:
        """The canceller of one conversation is one of these. Raises ServiceUnavailable before `warm`."""
        return self._loaded()


class Aec3Canceller:
    """The state of one conversation. Until an echo has been found the sound passes as it is: a canceller that has nothing to
    learn from takes real speech for an echo (measured: -33 to -57 dB)."""

    def __init__(self, service: Aec3Cancellation) -> None:
        self._service = service
        self._apm: AudioProcessingModule | None = None
        self._rest: tuple[Pcm, Pcm] = (np.zeros(0, np.int16), np.zeros(0, np.int16))
        self._cleaned: Pcm = np.zeros(BLOCK, np.int16)  # 10 ms in hand, so that any length in gives the same length out
        self._heard = np.zeros(LOOK, np.int16)
        self._played = np.zeros(MEMORY, np.int16)
        self._unlooked = 0
        self._likeness = 0.0
        self._suspicion = 0.0
        self._delay = 0  # at which the last look found the most, samples
        self.present = self.suspected = False

    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        """`heard` without what of `played` comes back in it; both int16 mono at HEARING_RATE and of the same length. 10 ms late.
        For a worker's thread. Raises ServiceUnavailable before the service is warm."""
        from livekit.rtc import AudioFrame

        if self._apm is None:
            self._apm = self._service.module(echo_cancellation=True)
        self._look(heard, played)
        mic, far = (np.concatenate(pair) for pair in zip(self._rest, (heard, played), strict=True))
        whole = len(mic) // BLOCK * BLOCK
        cleaned = [self._cleaned]
        for at in range(0, whole, BLOCK):
            near = AudioFrame(mic[at : at + BLOCK].tobytes(), HEARING_RATE, 1, BLOCK)
            self._apm.process_reverse_stream(AudioFrame(far[at : at + BLOCK].tobytes(), HEARING_RATE, 1, BLOCK))
            self._apm.process_stream(near)
            cleaned.append(np.frombuffer(near.data, np.int16)[:BLOCK])
        self._rest = mic[whole:], far[whole:]
        out = np.concatenate(cleaned)
        self._cleaned = out[len(heard) :]
        return out[: len(heard)] if self.present else heard

    def _look(self, heard: Pcm, played: Pcm) -> None:
        self._heard = np.concatenate((self._heard, heard))[-LOOK:]
        self._played = np.concatenate((self._played, played))[-MEMORY:]
        self._unlooked += len(heard)
        if self._unlooked >= LOOK_EVERY and _rms(self._heard) > AUDIBLE < _rms(self._played):
            self._unlooked = 0
            likeness, delay = correlation(self._heard, self._played)
            counts = self.present or abs(delay - self._delay) <= STEADY
            self._delay = delay
            self._suspicion += SUSPICION * (likeness - self._suspicion)
            self.suspected = self._suspicion > PRESENT
            self._likeness += WEIGHT * ((likeness if counts else 0.0) - self._likeness)
            self.present = self._likeness > (ABSENT if self.present else PRESENT)


def _rms(sound: Pcm) -> float:
    return float(np.sqrt(np.mean((sound / 32768) ** 2)))


def correlation(piece: Pcm, sound: Pcm) -> tuple[float, int]:
    """The largest normalised cross-correlation (0..1) of `piece` with any stretch of `sound`, which is longer, and how many samples
    before the end of `sound` that stretch ends. By FFT."""
    size, length = len(piece), next_fast_len(len(sound) + len(piece), real=True)
    near, far = piece / 32768, sound / 32768
    across = irfft(rfft(far, length) * np.conj(rfft(near, length)), length)[: len(far) - size + 1]
    energy = np.concatenate(([0.0], np.cumsum(np.square(far))))
    local = np.sqrt(np.maximum(energy[size:] - energy[:-size], size * AUDIBLE**2))
    alike = np.abs(across) / (local * np.linalg.norm(near))
    best = int(np.argmax(alike))
    return float(alike[best]), len(sound) - size - best
