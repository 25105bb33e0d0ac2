"""What a recording sounds like elsewhere: over a telephone, and from a microphone that is turned down."""

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from tests.bench.clips import RATE, Audio

TELEPHONE_RATE = 8_000
BAND_HZ = (300, 3400)  # that a telephone passes
MU = 255  # ITU-T G.711, North America and Japan
QUIET_DBFS = -30.0


def telephone(audio: Audio) -> Audio:
    """8 kHz, the band of a telephone, 8 bits by the mu-law, and back."""
    band = butter(4, BAND_HZ, "bandpass", fs=TELEPHONE_RATE, output="sos")
    narrow = np.clip(sosfilt(band, soxr.resample(audio, RATE, TELEPHONE_RATE)), -1, 1)
    code = np.round(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * 127) / 127
    sent = np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU
    return np.asarray(soxr.resample(sent, TELEPHONE_RATE, RATE), np.float32)


def quiet(audio: Audio) -> Audio:
    """At QUIET_DBFS (RMS) in 16 bits, where it is louder."""
    gain = min(1.0, 10 ** (QUIET_DBFS / 20) / float(np.sqrt(np.square(audio).mean()) + 1e-9))
    return np.asarray(np.round(np.clip(audio * gain, -1, 1) * 32767) / 32768, np.float32)


def plain(audio: Audio) -> Audio:
    return audio


FORMS = {"plain": plain, "telephone": telephone, "quiet": quiet}
