"""The classifier's pure parts: reading examples, short forms, deciding."""

import logging
from pathlib import Path

import numpy as np
import pytest

from languages.en import LANGUAGE as ENGLISH
from services import cache
from services.base import ServiceUnavailable
from services.embedding import plain
from services.intent.classifier import Model, read_examples, words

MODEL = Model(
    np.array(["question", "stop"]),
    np.array([[8, 0], [0, 8], [0, 0]], np.float32),
    np.zeros(2, np.float32),
    np.array([[1, 0, 0], [0, 1, 0]], np.float32),
)


def test_near_the_examples_the_best_class_wins() -> None:
    intent = MODEL.classify(np.array([[0, 1, 0]], np.float32), asks=False)
    assert intent.name == "stop"
    assert intent.confidence > 0.99


def test_far_from_all_examples_is_out_of_scope_unless_it_asks() -> None:
    nowhere = np.array([[0, 0, 1]], np.float32)
    assert MODEL.classify(nowhere, asks=False).name == "out_of_scope"
    assert MODEL.classify(nowhere, asks=True).name == "question"


def test_small_words_around_do_not_matter() -> None:
    assert words("okay, stop please", ENGLISH.intents.padding) == "stop"
    assert words("no, thank you") == "no thank you"
    assert words("okay", ENGLISH.intents.padding) == "okay"


def test_one_spelling_for_what_sounds_the_same() -> None:
    assert plain("  What is\n VAD?! ") == "what is vad"


def test_the_shipped_examples() -> None:
    examples = read_examples(ENGLISH.folder / "intents.yaml")
    assert all(len(texts) >= 12 for texts in examples.values())
    said = [words(plain(text)) for texts in examples.values() for text in texts]
    assert len(said) == len(set(said)), "an example stands twice"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [x]", "at least two"),
        ("yes: [y]\nno: [n]", 'write "yes" and "no" in quotes'),
        ("a: [x]\nb: text", "'b' needs a list"),
        ("a: [x\nb", "cannot read"),
    ],
)
def test_what_is_wrong_with_the_examples_is_said(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "intents.yaml"
    file.write_text(content)
    with pytest.raises(ServiceUnavailable, match=says):
        read_examples(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"nothing\.yaml"):
        read_examples(tmp_path / "nothing.yaml")


def test_a_broken_cache_is_reported_and_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "x.npz"
    assert cache.load(file) is None
    cache.save(file, {"a": np.arange(3)})
    stored = cache.load(file)
    assert stored is not None
    assert stored["a"].tolist() == [0, 1, 2]
    file.write_bytes(file.read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        assert cache.load(file) is None
    assert "x.npz" in caplog.text
