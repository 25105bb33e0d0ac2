"""The virtual microphone and loudspeaker, in the time the test says it is."""

import numpy as np
import pytest

from tests.bench.devices import Microphone, Pcm, Speaker, audible

LOUD = np.full(960, 8000, np.int16)
QUIET = np.zeros(960, np.int16)


def speaker(*frames: tuple[float, Pcm, int, float]) -> Speaker:
    made = Speaker(48_000)
    for frame in frames:
        made.put(*frame)
    return made


def test_clips_are_mixed_at_their_sample() -> None:
    microphone = Microphone(1000)
    assert microphone.play(np.full(30, 100, np.int16), at=0.01) == 0.01
    microphone.read(20)
    assert microphone.play(np.full(5, 1, np.int16), at=0.0) == 0.02  # the past is over
    microphone.read(30)
    record = microphone.record()
    assert list(record[8:12]) == [0, 0, 100, 100]
    assert list(record[20:26]) == [101] * 5 + [100]
    assert list(record[38:42]) == [100, 100, 0, 0]


def test_overlapping_clips_clip_and_do_not_wrap() -> None:
    microphone = Microphone(1000)
    microphone.play(np.full(5, 30000, np.int16))
    microphone.play(np.full(5, 30000, np.int16))
    assert microphone.read(5).max() == 32767


def test_frames_follow_each_other_however_early_they_arrive() -> None:
    heard = speaker((1.0, LOUD, 1, 0), (1.001, LOUD, 1, 20), (1.5, LOUD, 1, 40))
    assert [frame.start for frame in heard.frames] == pytest.approx([1.0, 1.02, 1.5])
    assert heard.position(1.03, 1) == pytest.approx(30)
    assert heard.position(1.2, 1) == pytest.approx(40)
    assert heard.position(0.9, 1) is None
    assert heard.first_loud(1.01) == pytest.approx(1.02)
    assert heard.last_loud() == pytest.approx(1.52)


def test_late_silence_between_replies_does_not_delay_the_next_one() -> None:
    heard = speaker(*((1.0, QUIET, 0, 20.0 * i) for i in range(5)), (1.0, LOUD, 0, 100))
    assert heard.frames[-1].start == pytest.approx(1.02)


def test_flush_cuts_the_frame_that_plays_and_drops_the_rest() -> None:
    heard = speaker((1.0, LOUD, 1, 0), (1.0, LOUD, 1, 20), (1.0, LOUD, 1, 40))
    heard.flush(1.03)
    assert heard.position(9.0, 1) == pytest.approx(30)
    sound = heard.render(2.0)
    assert np.flatnonzero(sound)[[0, -1]] == pytest.approx([48000, 48000 + 1439])


def test_gain_holds_from_its_time_on_and_mute_is_inaudible() -> None:
    heard = speaker((0.0, LOUD, 1, 0), (0.02, LOUD, 1, 20))
    heard.set_gain(0.01, 0.25)
    heard.set_gain(0.02, 0.0)
    sound = heard.render(0.04)
    assert list(sound[[0, 479, 480, 959, 960, 1919]]) == [8000, 8000, 2000, 2000, 0, 0]
    assert heard.last_loud() == pytest.approx(0.02)


def test_audible_is_above_minus_fifty_dbfs() -> None:
    assert audible(np.full(960, 110, np.int16))
    assert not audible(np.full(960, 100, np.int16))
    assert not audible(LOUD, gain=0.0)
