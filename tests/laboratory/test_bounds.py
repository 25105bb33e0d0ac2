"""The short run of the laboratory: whole conversations in virtual time, which give the same figures on a busy machine as on an idle
one. So a bound on a figure is a test; each is a little worse than what was measured when it was written, on the worse of two kinds
of processor: the models' arithmetic in int8 is not the same on all, and one recording or two are heard otherwise."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("lab") / "figures.json"
    command = [sys.executable, "-m", "tests.bench", "lab", "--fast", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert path.exists(), done.stdout + done.stderr
    print(done.stdout)
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_every_call_of_a_model_has_its_place_in_the_table_of_costs(figures: dict[str, Any]) -> None:
    assert figures["missing_costs"] == [], "run `python -m tests.bench calibrate`"


@pytest.mark.parametrize(
    ("kind", "lost", "p50_ms", "p95_ms", "characters_wrong"),
    [
        ("answer", 0, 900, 920, 0.12),
        ("short_answer", 0, 680, 1120, 0.5),
        ("statement", 0, 430, 600, 0.16),
        ("request", 0, 640, 1130, 0.06),
        ("question", 0, 360, 420, 0.13),
        ("open_question", 0, 620, 820, 0.03),
        ("command", 0, 260, 660, 0.04),
        ("turn", 0, 710, 1050, 1.0),
        ("utt", 0, 740, 990, 0.04),
        ("telephone", 0, 510, 840, 0.10),
        ("quiet", 0, 810, 1470, 0.10),
    ],
)
def test_turns_are_answered(
    figures: dict[str, Any], kind: str, lost: int, p50_ms: float, p95_ms: float, characters_wrong: float
) -> None:
    mine = figures["kinds"][kind]
    assert mine["lost"] <= lost
    assert mine["response_latency_p50_ms"] <= p50_ms
    assert mine["response_latency_p95_ms"] <= p95_ms
    if mine["characters"]:
        assert mine["characters_wrong"] <= characters_wrong


def test_pauses_are_not_taken_for_the_end(figures: dict[str, Any]) -> None:
    said = [mine for mine in figures["kinds"].values() if "pauses" in mine]
    assert sum(mine["pauses"] for mine in said) >= 10
    assert sum(mine["pause_takeovers"] for mine in said) <= 2


def test_no_words_are_invented_on_noise_and_music(figures: dict[str, Any]) -> None:
    sounds = [figures["kinds"][kind] for kind in ("noise", "music")]
    assert sum(mine["clips"] for mine in sounds) >= 8
    assert sum(mine["invented"] for mine in sounds) <= 1


def test_the_agent_yields_to_words_and_to_nothing_else(figures: dict[str, Any]) -> None:
    assert figures["events_interruption"] >= 5
    assert figures["yield_rate"] == 1.0
    assert figures["yield_latency_p95_ms"] <= 430
    assert figures["onset_to_duck_p95_ms"] <= 80
    for sound in ("backchannel", "vocal_tic", "non_directed", "noise"):
        assert figures[f"selectivity_{sound}"] >= 0.8, sound
