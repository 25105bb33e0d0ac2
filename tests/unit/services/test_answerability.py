"""What speaks for an answer, with word vectors made by hand."""

from dataclasses import replace

import numpy as np

from documents.sections import Section
from languages.en import LANGUAGE as ENGLISH
from services.llm.extractive import HOLDS
from services.retrieval.answerability import WIDTH, AnswerabilityModel, Asked, features

TOWER = Section("a#tower", "Tower", "Tower", ("The tower is 112 metres high.", "Ilse Branck painted it."))
SIMILARITY = np.array([0.5, 0.4], np.float32)
(SCORE, RANK, ALIKE, TELLS, COUNTS, MET, COVERED, MISSING, NUMBERS, NAMES) = (0, 1, 2, 8, 10, 12, 15, 20, 35, 36)


def pointing(*axes: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int8]]":
    """Words each along an axis of its own."""
    words = np.zeros((len(axes), WIDTH), np.int8)
    words[np.arange(len(axes)), axes] = 127
    return words


def ask(text: str, words: list[str], axes: list[int]) -> Asked:
    share = np.full(len(words), 1 / len(words), np.float32)
    return Asked(
        ENGLISH.knowledge,
        text,
        [ENGLISH.knowledge.stem(word) for word in words],
        pointing(*axes) / np.float32(127),
        np.ones(len(words), np.float32),
        share,
    )


def look(asked: Asked) -> list[float]:
    return features(asked, TOWER, [pointing(0, 1, 2), pointing(3, 4)], SIMILARITY, 0.1, 1)


def test_a_question_whose_words_are_all_met() -> None:
    found = look(ask("how high is the tower", ["high", "tower"], [2, 0]))
    assert (found[SCORE], found[RANK], found[MET], found[COVERED], found[MISSING]) == (0.1, 1, 1.0, 1.0, 0.0)
    assert found[TELLS]


def test_a_word_that_the_passage_lacks() -> None:
    found = look(ask("how old is the tower", ["old", "tower"], [9, 0]))
    assert (found[MET], found[COVERED], found[MISSING]) == (0.5, 0.5, 1.0)


def test_the_kind_of_answer() -> None:
    assert look(ask("who painted it", ["painted"], [4]))[TELLS]
    assert not look(ask("when was it painted", ["painted"], [4]))[TELLS]
    assert not look(ask("how many painters were there", ["painters"], [4]))[TELLS]


def test_how_many_of_a_thing_are_told_by_a_number_before_it() -> None:
    assert look(ask("how many metres high is the tower", ["metres"], [2]))[COUNTS] == 1
    assert look(ask("how many bells has the tower", ["bells"], [7]))[COUNTS] == -1
    assert look(ask("how high is the tower", ["high"], [2]))[COUNTS] == 0


def test_a_section_that_says_what_it_answers_is_judged_by_weights_of_its_own() -> None:
    plain, declared = look(ask("how high is it", ["high"], [2])), replace(TOWER, asked=("How high is the tower?",))
    asked = ask("how high is it", ["high"], [2])
    parts = [pointing(0, 1, 2), pointing(3, 4), pointing(2, 0)]
    found = features(asked, declared, parts, np.array([0.5, 0.4, 0.9], np.float32), 0.1, 0)
    half = len(found) // 2
    assert not any(plain[half:]) and found[half:] == found[:half]


def test_names_and_numbers_that_are_not_there() -> None:
    found = look(ask("did Anna paint 3 towers", ["anna", "paint", "towers"], [8, 4, 0]))
    assert (found[NUMBERS], found[NAMES]) == (1.0, 1.0)


def test_what_is_met_is_believed_more_than_what_is_not() -> None:
    judge = AnswerabilityModel.load(ENGLISH)
    met, unmet = (
        look(ask("how high is the tower", ["high", "tower"], [2, 0])),
        look(ask("who sold the bell", ["sold", "bell"], [8, 9])),
    )
    beliefs = judge.probabilities(np.array([met, unmet], np.float32))
    assert beliefs[0] > beliefs[1]


def test_a_passage_in_doubt_is_believed_by_what_was_read_in_it() -> None:
    judge = AnswerabilityModel.load(ENGLISH)
    assert [judge.doubts(first) for first in (0.0, 0.5, 1.0)] == [False, True, False]
    for tells in (False, True):
        beliefs = [judge.after_reading(0.5, read, tells) for read in (-5.0, 0.0, 5.0)]
        assert beliefs == sorted(beliefs) and beliefs[0] < HOLDS < beliefs[-1]
