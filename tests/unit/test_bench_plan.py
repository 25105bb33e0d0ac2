"""What the duplex program plans to say, and the pauses it puts into recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.settings import Settings
from tests.bench.clips import RATE, Clip, clips, paused_turns, scenarios, sentences, with_pause
from tests.bench.duplex import plan
from tests.bench.endings import Look, counted, quietest
from tests.bench.score import Recorded, UserEvent
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


def test_an_end_is_late_and_a_pause_is_taken_by_the_silence_that_is_waited_for() -> None:
    sure = Look("a", True, "What is the capital of India?", 0.98, 0.97)
    unsure = Look("a", True, "I told him so.", 0.1, 0.8)
    pauses = [sure._replace(ended=False), unsure._replace(ended=False)]
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert counted("x", [sure, unsure, *pauses], settings) == {
        "x_ends": 2,
        "x_ends_late": 0.5,
        "x_pauses": 2,
        "x_pauses_taken": 0.5,
    }
