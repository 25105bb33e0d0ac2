"""Beam search: it finds what a greedy decoding misses, by the same rules, and ends where that ends."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from services.stt.beam import TEXTS, search
from services.stt.decoding import Decoded, Tokens, decode

END, START, SILENCE, ZERO, SIZE = 20, 21, 22, 24, 124  # of a small vocabulary; timestamps from ZERO on
TOKENS = Tokens(first_timestamp=ZERO, end=END, silence=SILENCE, marks=[8], never=[7], never_first=[3])
PROMPT = [START, START]
LAST = ZERO + 60
Follows = dict[tuple[int, ...], dict[int, float]]


@dataclass
class FakeDecoder:
    """Knows how likely each token is after each text, and that all others are unlikely; after a text that it does not know comes
    the end."""

    follows: Follows
    texts: list[list[int]] = field(default_factory=lambda: [[]])
    steps: int = 0

    def _row(self, text: list[int]) -> NDArray[np.float32]:
        row = np.full(SIZE, 1e-6)
        for token, share in self.follows.get(tuple(text), {END: 1.0}).items():
            row[token] = share
        return np.log(row).astype(np.float32)

    def feed(self, tokens: list[int], places: list[int]) -> NDArray[np.float32]:
        (text,) = self.texts
        text += tokens
        said = [text[len(PROMPT) : len(text) - len(tokens) + place + 1] for place in places]
        return np.stack([self._row(ids) for ids in said])

    def branch(self, parents: list[int], tokens: list[int]) -> NDArray[np.float32]:
        assert len(parents) == len(tokens) <= TEXTS
        self.steps += 1
        self.texts = [[*self.texts[parent], token] for parent, token in zip(parents, tokens, strict=True)]
        return np.stack([self._row(text[len(PROMPT) :]) for text in self.texts])

    def forget(self, count: int) -> None:
        assert not count, "nothing was drafted"


def searched(follows: Follows, most: int = 20) -> Decoded:
    return search(FakeDecoder(follows), TOKENS, PROMPT, 0, most)  # type: ignore[arg-type]


def greedy(follows: Follows, most: int = 20) -> Decoded:
    return decode(FakeDecoder(follows), TOKENS, PROMPT, 0, [], most)  # type: ignore[arg-type]


GARDEN_PATH: Follows = {
    (): {ZERO: 1.0},
    (ZERO,): {1: 0.55, 2: 0.45},
    (ZERO, 1): {4: 0.3, 5: 0.3, 6: 0.3},  # after the likelier word nothing is likely
    (ZERO, 2): {4: 0.95},
    (ZERO, 2, 4): {LAST: 1.0},
    **{(ZERO, 1, word): {LAST: 1.0} for word in (4, 5, 6)},
}


def test_a_wrong_word_that_is_likelier_at_first_is_not_followed_to_the_end() -> None:
    assert greedy(GARDEN_PATH).ids == [ZERO, 1, 4, LAST]
    assert searched(GARDEN_PATH).ids == [ZERO, 2, 4, LAST]
    assert searched(GARDEN_PATH).sure > greedy(GARDEN_PATH).sure


def test_where_nothing_else_is_likely_it_is_the_greedy_text() -> None:
    ids = [ZERO, 1, 2, 8, LAST]
    plain: Follows = {tuple(ids[:at]): {token: 1.0} for at, token in enumerate(ids)}
    one, other = searched(plain), greedy(plain)
    assert (one.ids, one.unfinished) == (other.ids, other.unfinished) == (ids, False)
    assert one.sure == pytest.approx(other.sure, abs=1e-3)
    assert (one.no_speech, one.sentence_end) == pytest.approx((other.no_speech, other.sentence_end), abs=1e-3)


def test_the_likeliest_token_counts_and_not_the_shortest_text() -> None:
    """Two words have the lower probability together, and the higher one each."""
    follows: Follows = {
        (): {ZERO: 1.0},
        (ZERO,): {1: 0.5, 2: 0.5},
        (ZERO, 1): {END: 0.5, LAST: 0.1},
        (ZERO, 2): {4: 0.8},
        (ZERO, 2, 4): {5: 0.8},
        (ZERO, 2, 4, 5): {LAST: 0.8},
    }
    assert searched(follows).ids == [ZERO, 2, 4, 5, LAST]


def test_what_is_never_said_is_not_followed_either() -> None:
    follows: Follows = {(): {ZERO: 0.9, 1: 0.1}, (ZERO,): {7: 0.9, 1: 0.1}, (ZERO, 1): {7: 0.9, LAST: 0.1}}
    assert searched(follows).ids == [ZERO, 1, LAST]


def test_it_stops_where_it_is_told_to() -> None:
    endless: Follows = {(): {ZERO: 1.0}, **{(ZERO, *[1] * count): {1: 1.0} for count in range(30)}}
    decoder = FakeDecoder(endless)
    result = search(decoder, TOKENS, PROMPT, 0, 6)  # type: ignore[arg-type]
    assert (result.ids, result.unfinished) == ([ZERO, 1, 1, 1, 1, 1], True)
    assert decoder.steps == 6
    ids = [ZERO, 1, 2, LAST]
    known: Follows = {tuple(ids[:at]): {token: 1.0} for at, token in enumerate(ids)}
    assert not searched(known, most=len(ids)).unfinished
    assert searched(known, most=len(ids) - 1).unfinished


def test_how_surely_the_text_ends_like_a_sentence() -> None:
    follows: Follows = {(): {ZERO: 1.0}, (ZERO,): {1: 1.0}, (ZERO, 1): {8: 0.6, LAST: 0.4}, (ZERO, 1, 8): {LAST: 1.0}}
    result = searched(follows)
    assert result.ids == [ZERO, 1, 8, LAST]
    assert result.sentence_end == pytest.approx(0.6, abs=0.01)
