"""The constant offset of a faulty microphone."""

import numpy as np
import pytest

from app.turn_taking.audio_buffer import FIRST_WINDOWS, Offset
from services.base import HEARING_RATE, VAD_WINDOW, Pcm

SOON = FIRST_WINDOWS * VAD_WINDOW


def heard(samples: Pcm) -> Pcm:
    offset = Offset()
    return np.concatenate([offset.taken_from(part) for part in samples.reshape(-1, VAD_WINDOW)])


def voice(peak: float, windows: int = 250) -> Pcm:
    at = np.arange(windows * VAD_WINDOW) / HEARING_RATE
    return np.round(peak * np.sin(2 * np.pi * 130 * at) * (np.sin(2 * np.pi * 3 * at) > 0)).astype(np.int16)


@pytest.mark.parametrize("peak", [30.0, 3_000.0, 30_000.0])
def test_sound_without_an_offset_stays_as_it_is(peak: float) -> None:
    assert np.array_equal(heard(voice(peak)), voice(peak))


@pytest.mark.parametrize("offset", [-6000, 1200, 3000, 16_000])
def test_an_offset_is_taken_out(offset: int) -> None:
    clean = heard(voice(300) + np.int16(offset))
    assert np.abs(clean - voice(300))[SOON:].max() <= 100


def test_an_offset_that_comes_with_the_end_of_a_mute_is_taken_out_soon() -> None:
    muted = np.zeros(100 * VAD_WINDOW, np.int16)
    clean = heard(np.concatenate([muted, voice(300) + np.int16(3000)]))
    assert np.abs(clean[len(muted) :] - voice(300))[SOON:].max() <= 100


def test_the_loudest_sample_does_not_wrap_around() -> None:
    window = np.full(VAD_WINDOW, -3000, np.int16)
    window[0] = 32767
    assert heard(np.tile(window, 2 * FIRST_WINDOWS))[-VAD_WINDOW] == 32767
