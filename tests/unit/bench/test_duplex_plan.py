"""What the duplex program plans to say, and the pauses it puts into recordings."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.bench.clips import RATE, Clip, clips, paused_turns, quietest, scenarios, sentences, with_pause
from tests.bench.duplex import plan
from tests.bench.endings import Judged, held_out, of_kind
from tests.bench.score import Recorded, UserEvent
from tests.bench.silences import Silence
from tests.bench.takes import Take, answer_latencies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sounds with a dip in the middle, one scenario."""
    audio = np.full(3 * RATE, 0.2, np.float32)
    audio[: RATE // 2] = audio[-RATE // 2 :] = 0.001
    audio[round(1.4 * RATE) : round(1.5 * RATE)] = 0.001
    rows = []
    for kind, label in (("command", ""), ("backchannel", ""), ("noise", "person sneeze"), ("noise", "rain"), ("question", "")):
        name = f"{kind}{len(rows)}"
        soundfile.write(tmp_path / f"{name}.wav", audio, RATE, "FLOAT")
        speech = {"speech_start": 0.5, "speech_end": 2.5} if kind != "noise" else {}
        rows.append({"id": name, "file": f"{name}.wav", "kind": kind, "seconds": 3.0, "label": label, **speech})
    scenario = {"id": "s", "type": "noise", "context": "question4.wav", "overlap": "noise2.wav"}
    scenario |= {"onset_after_agent_start_s": 1.5, "overlap_gain_db": -6, "expect": "continue"}
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "scenarios.jsonl").write_text(json.dumps(scenario))
    return tmp_path


def test_a_pause_is_put_in_where_it_is_quiet(folder: Path) -> None:
    clip = clips(folder, "command")[0]
    paused = with_pause(clip, 0.8)
    (start, end) = paused.pauses[0]
    assert 1.4 <= start <= 1.5
    assert end - start == pytest.approx(0.8)
    assert paused.seconds == pytest.approx(3.8)
    assert paused.speech_end == pytest.approx(3.3)
    assert np.abs(paused.audio[round(start * RATE) : round(end * RATE)]).max() <= 0.0011
    assert np.array_equal(paused.audio[round(end * RATE) :], clip.audio[round(start * RATE) :])


def test_there_are_as_many_pauses_as_asked_for(folder: Path) -> None:
    assert [len(clip.pauses) for clip in paused_turns(folder, 7)] == [1] * 7


def test_sentences_repeat_until_there_are_enough(folder: Path) -> None:
    assert {clip.kind for clip in sentences(folder, 0)} == {"command", "question"}
    assert len(sentences(folder, 0)) == 30
    assert len(sentences(folder, 5)) == 5


def test_every_kind_there_is_material_for_reaches_its_count_and_a_sneeze_is_a_tic(folder: Path) -> None:
    overlaps = plan(clips(folder), scenarios(folder), 5)
    kinds = [overlap.kind for overlap in overlaps]
    assert {kind: kinds.count(kind) for kind in kinds} == {"vocal_tic": 5, "interruption": 5, "backchannel": 5, "noise": 5}
    assert isinstance(overlaps[0].context, Clip)
    assert (overlaps[0].after, overlaps[0].gain_db) == (1.5, -6)


def test_no_answer_is_an_infinite_latency() -> None:
    recorded = Recorded([(2.5, 3.0), (8.0, 9.0)], [], [UserEvent("turn", 1, 2), UserEvent("turn", 10, 11)])
    assert answer_latencies([Take(recorded, [])]) == [pytest.approx(500), float("inf")]


def test_pauses_are_put_where_it_is_quietest_and_apart(folder: Path) -> None:
    clip = clips(folder, "command")[0]
    places = [at / RATE for at in quietest(clip.audio, clip.speech_start, clip.speech_end)]
    assert 1.4 <= places[0] <= 1.5
    assert all(1.0 <= place <= 2.1 for place in places)
    assert all(abs(a - b) >= 0.3 for n, a in enumerate(places) for b in places[:n])


SILENCE = Silence(
    clip="a", kind="answer", speaker="a", measure_only=False, cut=False, ended=True, length_ms=0.0, late_ms=20.0, asked="",
    answer_type="phone", text="5", closed=0.5, complete=0.5, later=0.9, understood=False, pauses=(), sound=(0.0,),
)  # fmt: skip


def test_a_pause_is_taken_by_the_silence_that_is_waited_for() -> None:
    pauses = [replace(SILENCE, ended=False, length_ms=ms) for ms in (256.0, 320.0, 640.0)]
    found = [Judged(one, 0.5, {1000.0: 400.0}) for one in [SILENCE, *pauses, replace(SILENCE, kind="statement")]]
    for kind in ("answer", "phone"):
        assert of_kind(kind, found, 1000.0) == ([450.0], 2, 1), "a pause of 256 ms is not counted"
        assert of_kind(kind, found, 0.0) == ([280.0], 2, 2), "by Pipecat's rule"
    assert of_kind("statement", found, 1000.0) == ([450.0], 0, 0)


def test_what_ends_high_and_goes_on_low_is_told_apart_in_other_speakers() -> None:
    seen = [
        replace(
            SILENCE,
            speaker=f"{n}",
            text="It was so.",
            complete=high,
            closed=high,
            ended=high > 0.5,
            length_ms=400.0,
            sound=(high,),
        )
        for n in range(8)
        for high in (0.9, 0.1)
    ]
    for model, others in held_out(seen):
        for one in others:
            assert (model.probability(one.said()) > 0.5) is one.ended
    only = [replace(one, measure_only=True) for one in seen]
    assert [len(others) for _, others in held_out([*seen, *only])] == [2] * 8 + [16]
