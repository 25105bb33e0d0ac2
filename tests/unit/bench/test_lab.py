"""What the laboratory plays, and how it counts."""

import numpy as np
import pytest

from tests.bench.clips import HERE, RATE, Clip
from tests.bench.score import Recorded, UserEvent
from tests.bench.takes import Take
from tests.bench.virtual.figures import of_turns, turns
from tests.bench.virtual.hold import Talk
from tests.bench.virtual.material import KINDS, conversations, kind_of, quiet, telephone
from tests.bench.virtual.said import scored, written, wrong


def clip(**row: object) -> Clip:
    text = str(row.pop("text", "five five"))
    return Clip("c", str(row.pop("kind", "answer")), HERE, 0.0, 1.0, text, row={"speaker": "a", "text_source": "gold", **row})


def talk(replies: list[tuple[float, float]], log: list[dict[str, object]]) -> Talk:
    event = UserEvent("turn", 1.0, 5.0, ((2.0, 2.5), (3.0, 3.2)))
    return Talk(Take(Recorded([], [], [event]), log), replies, [2.6], [])


def final(t: float, turn: int, text: str) -> dict[str, object]:
    return {"t": t, "type": "transcript", "final": True, "turn": turn, "text": text}


def test_an_answer_in_a_pause_is_a_pause_taken_and_the_texts_of_both_parts_count() -> None:
    log = [final(2.4, 1, "5"), final(5.2, 2, "five"), final(5.3, 2, "55")]
    (one,) = turns("answer", [clip(answer_type="phone")], [talk([(2.4, 2.7), (5.5, 6.0)], log)])
    assert (one.taken, one.repaired, one.reopened, one.latency_ms, one.heard) == ((True,), 1, 1, 500.0, "5 55")
    assert (one.wrong, one.characters) == (1, 2)
    assert of_turns([one])["pause_takeover_rate"] == 1.0


def test_a_turn_without_text_and_answer_is_lost_and_so_is_one_of_a_call_that_broke() -> None:
    silent, broken = turns("answer", [clip(), clip()], [talk([], [])])
    assert silent.lost
    assert broken.lost
    assert of_turns([silent, broken])["lost"] == 2


def test_an_end_that_is_not_sure_gives_no_latency() -> None:
    (one,) = turns("statement", [clip(turn_end_sure=False)], [talk([(5.4, 6.0)], [])])
    assert one.answered
    assert one.latency_ms is None


def test_numbers_are_written_one_way_and_machine_texts_are_not_scored() -> None:
    assert written("five one four, two oh 9", spaces=False) == "514209"
    assert written("Twenty-five dollars", spaces=True) == "25 dollars"
    assert wrong({}, "statement", "hello there", "") == (11, 11)
    assert not scored({"text_source": "machine, corrected"}, "hello")
    assert scored({"text_source": "gold"}, "hello")


def test_a_word_or_two_is_a_short_answer_unless_it_dictates() -> None:
    assert kind_of(clip(text="two people")) == "short_answer"
    assert kind_of(clip(text="N-I-K", answer_type="spelled")) == "answer"
    assert kind_of(clip(kind="bg_speech")) == "background"


def test_a_telephone_has_no_sound_beside_its_band_and_a_quiet_microphone_peaks_at_30_db_below() -> None:
    time = np.arange(RATE) / RATE
    low, high, voice = (np.sin(2 * np.pi * hz * time).astype(np.float32) * 0.3 for hz in (100, 6000, 1000))
    heard = np.abs(np.fft.rfft(telephone(low + high + voice)))
    assert heard[1000] > 20 * max(heard[100], heard[6000])
    assert 20 * np.log10(np.abs(quiet(voice)).max()) == pytest.approx(-30, abs=0.1)


def test_the_same_conversations_are_planned_each_time_and_all_kinds_have_some() -> None:
    first, again = (conversations(HERE, KINDS, True, 0, False) for _ in range(2))
    assert first == again
    assert {"command", "question", "noise", "telephone", "quiet", "overlap"} <= {each.kind for each in first}
