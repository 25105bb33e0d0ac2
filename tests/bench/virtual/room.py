"""What a room makes of a sound."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from tests.bench.clips import RATE, Audio

DECAY_S = 0.4  # until the reverberation has fallen by 60 dB, as in a living room
DIRECT_DB = 0.0  # the direct sound against it, for a voice some 2 m away


def level_dbfs(audio: Audio) -> float:
    """Of the root mean square."""
    return 20 * float(np.log10(np.sqrt(np.square(audio).mean()) + 1e-6))


def at_level(audio: Audio, dbfs: float) -> Audio:
    """Scaled to this root mean square."""
    return (audio * (10 ** (dbfs / 20) / max(float(np.sqrt(np.square(audio).mean())), 1e-6))).astype(np.float32)


def in_a_room(audio: Audio, whole: bool = False) -> Audio:
    """As it is heard from across a room, the reverberation after its end too where `whole`. Without the distance: the direct sound
    and the reverberation together are as strong as `audio`."""
    heard = fftconvolve(audio, response())
    return np.asarray(heard if whole else heard[: len(audio)], np.float32)


@cache
def response() -> NDArray[np.float64]:
    """Of a room to one sample, of energy 1: exponentially decaying noise (Polack 1988)."""
    decay = 10 ** (-3 * np.arange(round(DECAY_S * RATE)) / (DECAY_S * RATE))
    tail = np.random.default_rng(3).normal(size=len(decay)) * decay
    tail *= 10 ** (-DIRECT_DB / 20) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return np.asarray(tail / np.sqrt(np.square(tail).sum()))
