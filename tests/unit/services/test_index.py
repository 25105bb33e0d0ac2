"""Search over vectors made by hand."""

import numpy as np
import pytest

from documents.sections import Document, Section
from languages.en import LANGUAGE as ENGLISH
from services.base import Passage
from services.embedding import DIMENSIONS, TokenVectors, Vectors
from services.retrieval.answerability import WIDTH, AnswerabilityModel
from services.retrieval.index import CANDIDATES, PART_WEIGHT, WORDS_WEIGHT, Embedded, Index, build, stems, texts_of
from services.retrieval.vocabulary import vocabulary

CATS = Section("a#cats", "Cats", "Cats", ("Cats purr.", "They sleep."), ("What do cats do?",))
DOGS = Section("a#dogs", "Dogs", "Dogs", ("Dogs bark.",))


JUDGE = AnswerabilityModel.load(ENGLISH)
NO_WORDS = np.zeros((0, WIDTH), np.int8)


def towards(*shares: float) -> Vectors:
    """A vector of length 1 with these first coordinates."""
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[: len(shares)] = shares
    vector[-1] = np.sqrt(max(0.0, 1 - sum(share**2 for share in shares)))
    return vector


def index(sections: list[Section], *similarities: float) -> Index:
    """One in which the texts of all `sections` are so similar to X."""
    return build(sections, [Embedded(towards(share).astype(np.float16), NO_WORDS) for share in similarities], ENGLISH.knowledge)


def search(where: Index, text: str, limit: int) -> list[Passage]:
    states = np.ones((1, DIMENSIONS), np.float32)
    return where.search(text, TokenVectors(text, X, states, [2000], [(0, len(text))]), JUDGE, limit, lambda *_: 0.0)


X = towards(1)[None]


def test_what_is_embedded() -> None:
    assert texts_of(CATS) == ["Cats. Cats purr. They sleep.", "Cats: Cats purr.", "Cats: They sleep.", "What do cats do?"]


def test_the_score_joins_section_sentence_and_words() -> None:
    first, second = search(index([CATS, DOGS], 0.2, 0.5, 0.1, 0.3, 0.4, 0.4), "bark", 5)
    assert first.id == "a#dogs"
    assert first.score == pytest.approx(0.4 + WORDS_WEIGHT, abs=1e-3)
    assert second.score == pytest.approx((1 - PART_WEIGHT) * 0.2 + PART_WEIGHT * 0.5, abs=1e-3)
    assert second.sentences == (("Cats purr.", pytest.approx(0.5, abs=1e-3)), ("They sleep.", pytest.approx(0.1, abs=1e-3)))


def test_a_question_under_the_heading_counts_but_is_not_spoken() -> None:
    (best,) = search(index([CATS, DOGS], 0, 0, 0, 0.9, 0.3, 0.3), "zebra", 1)
    assert best.id == "a#cats"
    assert [sentence for sentence, _ in best.sentences] == ["Cats purr.", "They sleep."]


def test_among_many_sections_the_nearest_is_still_found() -> None:
    many = [Section(str(row), "T", "T", (f"S{row}.",)) for row in range(2 * CANDIDATES)]
    shares = [share for row in range(len(many)) for share in (row / len(many), row / len(many))]
    assert [passage.id for passage in search(index(many, *shares), "x", 2)] == [str(len(many) - 1), str(len(many) - 2)]


def test_sections_that_say_the_same_are_found_once() -> None:
    copies = [Section(str(row), f"T{row}", f"T{row}", ("Cats purr and they sleep.",)) for row in range(3)]
    nearly = Section("3", "T", "T", ("Cats purr, and they sleep!",))
    found = search(index([*copies, nearly, DOGS], 0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.6, 0.2, 0.2), "x", 3)
    assert [passage.id for passage in found] == ["0", "a#dogs"]


def test_words_match_by_their_stems() -> None:
    one, two, three = (stems(word, ENGLISH.knowledge) for word in ("Interrupting", "interrupted", "interrupts"))
    assert one == two == three


def test_the_vocabulary_is_rare_words_first_of_all_names_and_those_in_headings() -> None:
    section = Section("a#x", "The codec", "The codec", ("A muxer and a demuxer feed Opus.", "We use Opus.", "A muxer waits."))
    common = {"the", "we", "use", "and", "a", "feed", "wait", "waits"}
    words = vocabulary([Document("A", (section,))], ENGLISH.knowledge, lambda word: 1 if word in common else 2, 3)
    assert words == ["Opus", "codec", "muxer"]
