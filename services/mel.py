"""Sound as Whisper's family of networks sees it: the log-mel spectrogram, 80 bands, a frame every 10 ms.

The scale is Slaney's (Auditory Toolbox, 1998): linear up to 1 kHz, logarithmic above, each band of the same area. Windows, floor
and range as in openai/whisper, whisper/audio.py.
"""

from functools import cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.base import HEARING_RATE, Audio

HOP = 160  # samples from frame to frame
WINDOW = 400  # samples of a frame
BANDS = 80
LINEAR_HZ, BREAK_HZ = 200 / 3, 1000.0  # a mel is so wide up to the break
STEP = np.log(6.4) / 27  # and grows by so much above it
FLOOR = 1e-10
RANGE = 8.0  # in powers of ten below the loudest


def log_mel(audio: Audio) -> NDArray[np.float32]:
    """Shape (BANDS, len(audio) // HOP), about -1..1, of `audio` at HEARING_RATE (WINDOW samples at least)."""
    padded = np.pad(audio.astype(np.float32), WINDOW // 2, mode="reflect")
    frames = sliding_window_view(padded, WINDOW)[: len(audio) // HOP * HOP : HOP]
    power: NDArray[np.float32] = np.square(np.abs(scipy.fft.rfft(frames * _hann())))
    levels = np.log10(np.maximum(power @ _bands(), FLOOR))
    return np.ascontiguousarray((np.maximum(levels, levels.max() - RANGE) / 4 + 1).T, np.float32)


def power_mel(audio: Audio, bands: int) -> NDArray[np.float32]:
    """Shape (1 + len(audio) // HOP, bands): the power in each band, as librosa's `melspectrogram` gives it."""
    frames = sliding_window_view(np.pad(audio, WINDOW // 2), WINDOW)[::HOP]
    return np.asarray(np.square(np.abs(scipy.fft.rfft(frames * _hann()))) @ _bands(bands), np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@cache
def _bands(count: int = BANDS) -> NDArray[np.float32]:
    """Triangles over the frequencies of a frame, shape (WINDOW // 2 + 1, count)."""
    top = BREAK_HZ / LINEAR_HZ + np.log(HEARING_RATE / 2 / BREAK_HZ) / STEP
    mels = np.linspace(0, top, count + 2)
    edges = np.where(mels < BREAK_HZ / LINEAR_HZ, mels * LINEAR_HZ, BREAK_HZ * np.exp(STEP * (mels - BREAK_HZ / LINEAR_HZ)))
    hz = np.fft.rfftfreq(WINDOW, 1 / HEARING_RATE)[:, None]
    rise = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2]), np.float32)
