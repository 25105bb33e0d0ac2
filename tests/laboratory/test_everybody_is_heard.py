"""Whole conversations with the real models in virtual time: single words of several people, and turns that are hard to hear. Nobody
goes without an answer."""

from difflib import SequenceMatcher

import numpy as np
import pytest

from app.settings import Settings
from languages.wording import words_of
from tests.bench.clips import HERE, RATE, Audio, Clip, clips, load, room_tone
from tests.bench.virtual.call import Stage
from tests.bench.virtual.costs import Costs
from tests.bench.virtual.figures import Turn
from tests.bench.virtual.material import Conversation, at_level, kind_of, toned
from tests.bench.virtual.run import held

WORDS = [clip for clip in clips(HERE, "answer") if kind_of(clip) == "short_answer"]
LINES = {clip.id: clip for clip in clips(HERE)}


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(Settings(_env_file=None, greeting=False, partial_every_ms=4000), Costs.load())  # type: ignore[call-arg]


def turn(stage: Stage, clip: Clip) -> Turn:
    [found] = held(stage, Conversation(clip.id, kind_of(clip), [toned(clip)])).turns
    return found


@pytest.mark.parametrize("clip", WORDS, ids=lambda clip: clip.id)
def test_a_single_word_is_answered(stage: Stage, clip: Clip) -> None:
    found = turn(stage, clip)
    assert words_of(found.heard) and found.answered


def longer(audio: Audio, name: str) -> Clip:
    end = int(np.flatnonzero(np.abs(audio) > 0.05 * np.abs(audio).max())[-1]) / RATE
    return Clip(name, "statement", HERE, 0.0, end, "", edited=audio)


def word(name: str) -> Audio:
    return LINES[name].audio


def spoken(*parts: Audio, gap_s: float = 0.12) -> Audio:
    tone = room_tone(parts[0], gap_s)
    return np.concatenate([part for each in parts for part in (each, tone)])


SNEEZE = load(HERE / "audio/noise/esc-person_sneeze-1-47273-A.flac")
ORDER, OTHER = LINES["cmd-582d4ff6"], LINES["bg-1034-121119-0000"]
HARD = {
    "stutter": spoken(*[word("word-stop-slt")[: RATE // 4]] * 3, word("word-stop-slt"), gap_s=0.05),
    "repeated": spoken(*[word("word-no-rms")] * 4),
    "cough inside a number": spoken(
        word("alnum-five-3g4JxW8aBdFTYoc"), at_level(SNEEZE[: RATE // 2], -35.0), word("alnum-five-3uvOS0cUzHJeF6p")
    ),
    "second voice": ORDER.audio + np.resize(at_level(OTHER.audio, -45.0), len(ORDER.audio)),
    "clipped": np.clip(ORDER.audio * 20, -1, 1),
    "very quiet": ORDER.audio * np.float32(0.03),
}


@pytest.mark.parametrize("name", HARD)
def test_what_is_hard_to_hear_is_answered(stage: Stage, name: str) -> None:
    found = turn(stage, longer(np.asarray(HARD[name], np.float32), name))
    assert words_of(found.heard) and found.answered


def test_of_a_turn_of_a_minute_everything_is_answered(stage: Stage) -> None:
    said = [clip for clip in LINES.values() if clip.kind in ("utt", "command")]
    said = [*said, *said]
    while sum(clip.seconds for clip in said) > 60:
        said.pop()
    found = turn(stage, longer(np.concatenate([clip.audio for clip in said]), "minute"))
    told = [word for clip in said for word in words_of(clip.text)]
    same = SequenceMatcher(None, told, words_of(found.heard), autojunk=False).get_matching_blocks()
    assert sum(block.size for block in same) > 0.8 * len(told)
    assert found.answered
