"""Search over vectors made by hand."""

import numpy as np
import pytest

from services.embedding import Vectors
from services.retrieval.documents import Document, Section
from services.retrieval.index import PART_WEIGHT, WORDS_WEIGHT, build, stems, texts_of
from services.retrieval.vocabulary import vocabulary

CATS = Section("a#cats", "Cats", "Cats", ("Cats purr.", "They sleep."), ("What do cats do?",))
DOGS = Section("a#dogs", "Dogs", "Dogs", ("Dogs bark.",))


def towards(*shares: float) -> Vectors:
    """A vector of length 1 with these first coordinates."""
    return np.array([*shares, np.sqrt(max(0.0, 1 - sum(share**2 for share in shares)))], np.float32)


X = towards(1, 0)[None]


def test_what_is_embedded() -> None:
    assert texts_of(CATS) == ["Cats. Cats purr. They sleep.", "Cats: Cats purr.", "Cats: They sleep.", "What do cats do?"]


def test_the_score_joins_section_sentence_and_words() -> None:
    vectors = np.stack([towards(0.2, 0), towards(0.5, 0), towards(0.1, 0), towards(0.3, 0), towards(0.4, 0), towards(0.4, 0)])
    first, second = build([CATS, DOGS], vectors).search("bark", X, 5)
    assert first.id == "a#dogs"
    assert first.score == pytest.approx(0.4 + WORDS_WEIGHT)
    assert second.score == pytest.approx((1 - PART_WEIGHT) * 0.2 + PART_WEIGHT * 0.5)
    assert second.sentences == (("Cats purr.", pytest.approx(0.5)), ("They sleep.", pytest.approx(0.1)))


def test_a_question_under_the_heading_counts_but_is_not_spoken() -> None:
    vectors = np.stack([towards(0, 0), towards(0, 0), towards(0, 0), towards(0.9, 0), towards(0.3, 0), towards(0.3, 0)])
    (best,) = build([CATS, DOGS], vectors).search("zebra", X, 1)
    assert best.id == "a#cats"
    assert [sentence for sentence, _ in best.sentences] == ["Cats purr.", "They sleep."]


def test_words_match_by_their_stems() -> None:
    assert stems("Interrupting") == stems("interrupted") == stems("interrupts")


def test_the_vocabulary_is_rare_words_first_of_all_names_and_those_in_headings() -> None:
    section = Section("a#x", "The codec", "The codec", ("A muxer and a demuxer feed Opus.", "We use Opus.", "A muxer waits."))
    common = {"the", "we", "use", "and", "a", "feed", "wait", "waits"}
    words = vocabulary([Document("A", (section,))], lambda word: 1 if word in common else 2, 3)
    assert words == ["Opus", "codec", "muxer"]
