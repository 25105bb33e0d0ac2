"""Greedy decoding: what may follow what, and that a draft changes nothing but the number of steps."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.stt.decoding import Decoded, Tokens, decode

WORDS, END, START, SILENCE, ZERO, SIZE = 20, 20, 21, 22, 24, 124  # of a small vocabulary; timestamps from ZERO on
TOKENS = Tokens(first_timestamp=ZERO, end=END, silence=SILENCE, marks=[8], never=[7], never_first=[3])


@dataclass
class FakeDecoder:
    """Prefers `said`, whatever was fed, and notes how often it is asked; `liked` are tokens that it would say at any time."""

    said: list[int]
    liked: dict[int, float] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)
    runs: int = 0

    def feed(self, tokens: list[int], places: list[int]) -> NDArray[np.float32]:
        self.runs += 1
        before = len(self.known)
        self.known += tokens
        rows = np.zeros((len(places), SIZE), np.float32)
        for row, place in zip(rows, places, strict=True):
            at = before + place - 1  # of the prompt's two tokens
            for token, score in self.liked.items():
                row[token] = score
            row[self.said[at] if 0 <= at < len(self.said) else END] += 20
        return rows

    def forget(self, count: int) -> None:
        del self.known[len(self.known) - count :]


def decoded(decoder: FakeDecoder, draft: list[int], most: int = 50) -> Decoded:
    return decode(decoder, TOKENS, [START, START], 0, draft, most)  # type: ignore[arg-type]


SAID = [ZERO, 1, 2, 4, 5, 6, 8, ZERO + 60]


@given(st.lists(st.integers(0, WORDS - 1), max_size=12))
def test_no_guess_changes_what_is_heard(draft: list[int]) -> None:
    plain, drafted = FakeDecoder(SAID), FakeDecoder(SAID)
    without, result = decoded(plain, []), decoded(drafted, draft)
    assert (result.ids, result.unfinished, result.no_speech) == (SAID, False, without.no_speech)
    assert result.sure == pytest.approx(without.sure)
    assert all(known == said for known, said in zip(drafted.known[2:], SAID, strict=False)), "a wrong draft is forgotten"
    assert drafted.runs <= plain.runs


def test_a_right_guess_takes_one_step_and_the_end() -> None:
    decoder = FakeDecoder(SAID)
    assert decoded(decoder, SAID[1:-1]).ids == SAID
    assert decoder.runs == 2, "the prompt with the draft, the timestamp at the end"


def test_a_right_guess_of_speech_that_begins_later_takes_one_step_more() -> None:
    later = [ZERO + 9, *SAID[1:]]
    decoder = FakeDecoder(later)
    assert decoded(decoder, SAID[1:-1]).ids == later
    assert decoder.runs == 3


@pytest.mark.parametrize(
    ("draft", "runs"),
    [
        ([9, 2, 4, 5, 6, 8], 3),  # another word
        ([1, 2, 9, 10, 4, 5, 6, 8], 3),  # two words too many
        ([1, 2, 6, 8], 5),  # two are missing
        ([1, 2, 4, 5, 8], 3),  # one, before the mark
        ([1, 2, 9, 8], 5),  # the end was not heard: its mark is kept until it comes
    ],
)
def test_after_a_wrong_word_the_guess_goes_on(draft: list[int], runs: int) -> None:
    decoder = FakeDecoder(SAID)
    assert decoded(decoder, draft).ids == SAID
    assert decoder.runs == runs


def test_how_surely_the_text_ends_like_a_sentence() -> None:
    assert decoded(FakeDecoder(SAID), []).sentence_end > 0.99
    assert decoded(FakeDecoder(SAID, liked={9: 19.0}), []).sentence_end == pytest.approx(0.73, abs=0.01), (
        "another word is likely too"
    )
    assert decoded(FakeDecoder([ZERO, 1, 8, 2, ZERO + 60]), []).sentence_end < 0.01, (
        "a mark before the last word is none at the end"
    )
    assert decoded(FakeDecoder([ZERO, 8, 1]), [8, 1]).sentence_end < 0.01


def test_decoding_stops_where_it_is_told_to() -> None:
    for draft in ([], SAID[1:]):
        result = decoded(FakeDecoder(SAID), draft, most=4)
        assert (result.ids, result.unfinished) == (SAID[:4], True)
    assert not decoded(FakeDecoder(SAID), [], most=len(SAID)).unfinished


def test_some_tokens_are_never_said_or_never_first() -> None:
    result = decoded(FakeDecoder([ZERO, 1, 2], liked={7: 50.0}), [])
    assert result.ids == [ZERO, 1, 2]
    assert decoded(FakeDecoder([3, 3]), []).ids == [ZERO, 3], "speech begins with a timestamp"


def test_timestamps_come_in_pairs_and_never_go_back() -> None:
    assert decoded(FakeDecoder([ZERO, 1, ZERO + 30, 2]), []).ids[2:] == [ZERO + 30] * 2, "no word follows half a pair"
    back = decoded(FakeDecoder([ZERO + 10, 1, ZERO + 5, 2], liked={ZERO + 40: 1.0}), []).ids
    assert back[:2] == [ZERO + 10, 1]
    assert all(token > ZERO + 10 for token in back[2:] if token >= ZERO)
    assert decoded(FakeDecoder([ZERO + 70]), []).ids[0] <= ZERO + 50, "the speech begins in the first second"


def test_many_timestamps_together_outweigh_a_word() -> None:
    """Each timestamp is less likely than the word, all together are not."""
    likely = {ZERO + at: 18.0 for at in range(2, 99)}
    assert decoded(FakeDecoder([ZERO, 1, 2], liked=likely), [], most=4).ids[2] >= ZERO
