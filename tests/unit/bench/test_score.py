"""The measures, on timelines whose figures are known beforehand."""

import math

import numpy as np
import pytest

from tests.bench.clips import RATE
from tests.bench.report import judge, percentile
from tests.bench.score import Recorded, UserEvent, flinched, merge, panel, paused_takeovers, segments, takeover


def turn(start: float, end: float, *pauses: tuple[float, float]) -> UserEvent:
    return UserEvent("turn", start, end, pauses)


@pytest.mark.parametrize(
    ("agent", "words", "expected"),
    [
        ([], 0, False),
        ([(1.0, 1.6)], 2, False),
        ([(1.0, 1.6)], 4, True),
        ([(1.0, 2.5)], 1, True),
        ([(1.0, 1.2), (1.9, 2.1)], 2, True),
    ],
)
def test_takeover_is_more_than_a_short_word(agent: list[tuple[float, float]], words: int, expected: bool) -> None:
    assert takeover(agent, words) is expected


def test_segments_find_sound_to_a_frame_and_bridge_short_gaps() -> None:
    audio = np.zeros(3 * RATE, np.float32)
    audio[4000:8000] = 0.1  # 0.25 to 0.5 s
    audio[12800:16000] = 0.1  # 0.8 to 1.0 s
    apart = segments(audio, gap=0.1)
    assert [end for _, end in apart] == pytest.approx([0.5, 1.0])
    assert apart[0][0] == pytest.approx(0.24) and apart[1][0] == pytest.approx(0.8)
    assert len(segments(audio)) == 1
    assert segments(np.full(RATE, 10 ** (-51 / 20), np.float32)) == []


def test_merge_joins_overlaps_in_any_order() -> None:
    assert merge([(3, 4), (0, 1), (0.5, 2)], 0.0) == [(0, 2), (3, 4)]


def test_a_response_counts_only_before_the_user_speaks_again() -> None:
    figures = panel([Recorded([(2.3, 4.0), (9.0, 9.5)], [], [turn(0, 2), turn(5, 6), turn(8, 8.5)])])
    assert figures["response_rate"] == pytest.approx(2 / 3)
    assert figures["response_latency_p50_ms"] == pytest.approx(400)
    assert figures["response_latency_mean_ms"] == pytest.approx(400)
    assert figures["agent_interruption_rate"] == 0


def test_an_agent_that_starts_inside_a_turn_interrupts_and_has_not_answered() -> None:
    figures = panel([Recorded([(1.0, 3.0)], [], [turn(0, 2)])])
    assert figures["agent_interruption_rate"] == 1
    assert figures["response_rate"] == 0
    assert math.isnan(figures["response_latency_p50_ms"])


def test_yield_is_from_onset_to_silence_within_two_seconds() -> None:
    events = [UserEvent("interruption", 6.0, 8.0), UserEvent("interruption", 20.0, 22.0), UserEvent("interruption", 40, 41)]
    figures = panel([Recorded([(2.6, 6.3), (18, 22.5)], [], events)])
    assert figures["events_interruption"] == 2  # nobody spoke at 40 s
    assert figures["yield_rate"] == 0.5
    assert figures["yield_latency_p50_ms"] == pytest.approx(300)


def test_ignoring_means_talking_on_for_a_second_or_staying_silent() -> None:
    agent = [(0.0, 10.0), (20.0, 20.6)]
    assert flinched(Recorded(agent, [], []), UserEvent("backchannel", 5.0, 5.5)) is False
    assert flinched(Recorded(agent, [], []), UserEvent("backchannel", 9.2, 9.8)) is True
    assert flinched(Recorded(agent, [10.0], []), UserEvent("backchannel", 9.2, 9.8)) is None  # it ended as planned
    assert flinched(Recorded(agent, [], []), UserEvent("noise", 18.0, 18.5)) is True  # answered a noise
    assert flinched(Recorded(agent, [], []), UserEvent("noise", 15.0, 15.5)) is False


def test_a_long_sound_must_be_borne_to_its_end_in_the_strict_reading() -> None:
    event = UserEvent("non_directed", 5.0, 11.0)
    call = Recorded([(0.0, 8.0)], [], [event])
    assert flinched(call, event) is False
    assert flinched(call, event, throughout=True) is True
    figures = panel([call])
    assert (figures["selectivity_non_directed"], figures["selectivity_non_directed_throughout"]) == (1, 0)


def test_a_pause_is_taken_when_the_agent_starts_in_it() -> None:
    events = [turn(0, 6, (2.0, 2.5), (4.0, 4.9)), turn(10, 14, (12.0, 14.0))]
    call = Recorded([(5.0, 5.3), (12.5, 13.0)], [], events)
    assert paused_takeovers(call, 0.4, 1.2) == [False, True]
    assert paused_takeovers(call, 1.3, 9.0) == [True]


def test_percentiles_and_shares_of_nothing_are_not_a_number() -> None:
    assert math.isnan(percentile([], 50))
    assert percentile([1, 2, 3, 4], 50) == 2.5


def test_judge_fails_a_missed_and_a_missing_figure(capsys: pytest.CaptureFixture[str]) -> None:
    targets = {"a": ("<=", 1.0), "b": (">=", 0.9)}
    assert judge("x", {"a": 0.5, "b": 0.95}, targets)["holds"] is True
    assert judge("x", {"a": 1.5, "b": 0.95}, targets)["holds"] is False
    assert judge("x", {"a": 0.5}, targets)["holds"] is False
    assert judge("x", {"a": math.nan, "b": 1.0}, targets)["holds"] is False
    assert "MISSED" in capsys.readouterr().out
