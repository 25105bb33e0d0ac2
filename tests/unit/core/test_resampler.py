from pathlib import Path

import numpy as np
import pytest

from app.core.resampler import Resampler


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("source", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("target", [8000, 16000, 24000, 48000])
def test_a_stream_keeps_its_length_and_its_sound(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    sound = tone(source)
    pieces = [resampler.feed(sound[start : start + source // 50]) for start in range(0, source, source // 50)]
    heard = np.concatenate([*pieces, resampler.flush()])
    assert len(heard) == target
    expected, middle = tone(target).astype(float), slice(target // 10, -target // 10)
    assert np.abs(heard[middle] - expected[middle]).max() < 80, "more than 1 % away from the same tone made at that rate"


@pytest.mark.parametrize(("source", "target"), [(48000, 16000), (8000, 16000), (48000, 8000), (48000, 24000)])
def test_little_is_held_back(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    ready_ms = [len(resampler.feed(tone(source, 0.02))) / target * 1000 for _ in range(10)]
    assert ready_ms[0] >= 18
    assert ready_ms[1:] == [20.0] * 9


def test_what_is_above_the_new_band_is_gone() -> None:
    resampler = Resampler(48000, 16000)
    heard = resampler.feed(tone(48000, hertz=11000.0))
    assert np.abs(heard[800:-800]).max() < 20


def test_after_a_flush_a_new_stream_begins() -> None:
    resampler = Resampler(48000, 8000)
    first = len(resampler.feed(tone(48000, 0.1))) + len(resampler.flush())
    second = len(resampler.feed(tone(48000, 0.1))) + len(resampler.flush())
    assert first == second == 800


def test_nothing_in_is_nothing_out() -> None:
    assert len(Resampler(48000, 8000).feed(np.zeros(0, np.int16))) == 0
    assert len(Resampler(48000, 8000).flush()) == 0


def test_it_keeps_no_thread() -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    resamplers = [Resampler(48000, 16000) for _ in range(4)]
    for resampler in resamplers:
        resampler.feed(tone(48000, 0.1))
    assert len(list(Path("/proc/self/task").iterdir())) == before


@pytest.mark.parametrize("target", [16000, 48000])
def test_two_channels_become_one(target: int) -> None:
    resampler = Resampler(48000, target, channels=2)
    left, right = tone(48000), np.zeros(48000, np.int16)
    heard = np.concatenate([resampler.feed(np.stack([left, right], axis=1).reshape(-1)), resampler.flush()])
    assert len(heard) == target
    middle = slice(target // 10, -target // 10)
    assert np.abs(heard[middle] - tone(target)[middle] / 2).max() < 80
