"""Beam search, the decoding that Whisper's authors use: several texts are followed at once, and of those that are whole the one
counts whose tokens are likeliest on average (openai/whisper, whisper/decoding.py, BeamSearchDecoder and MaximumLikelihoodRanker).

One wrong word early costs a greedy decoding all that follows from it. The texts share what the encoder heard, so that five cost
about half as much again as one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.stt.decoding import Decoded, Tokens, allowed, end_after, log_probabilities
from services.stt.network import Decoder

TEXTS = 5  # as many as the authors follow


class _Text(NamedTuple):
    ids: list[int]
    total: float  # log probability
    sentence_end: float


class _Step(NamedTuple):
    """The text of the number `parent` with one token more, whose log probability together is `total`."""

    total: float
    parent: int
    token: int


def search(decoder: Decoder, tokens: Tokens, prompt: list[int], start: int, most: int) -> Decoded:
    """At most `most` tokens after `prompt`, whose <|startoftranscript|> is at `start`."""
    rows = decoder.feed(prompt, [start, len(prompt) - 1])
    no_speech = float(np.exp(log_probabilities(rows[0])[tokens.silence]))
    rows, texts, whole = rows[1:], [_Text([], 0.0, 0.0)], list[_Text]()
    while True:
        grown: list[_Text] = []
        parents: list[int] = []
        for total, parent, token in _likeliest(rows, tokens, texts):
            ids = texts[parent].ids
            sentence_end = end_after(rows[parent], tokens, ids, token, texts[parent].sentence_end)
            if token == tokens.end:
                whole.append(_Text(ids, total, sentence_end))
                continue
            grown.append(_Text([*ids, token], total, sentence_end))
            parents.append(parent)
            if len(grown) == TEXTS:
                break
        # Where one text is all but certain the others end in nonsense before it does: it is waited for.
        if not grown or (len(whole) >= TEXTS and max(whole, key=_mean).total >= grown[0].total):
            texts = []
        if not texts or len(grown[0].ids) > most:
            break
        texts = grown
        rows = decoder.branch(parents, [text.ids[-1] for text in texts])
    best = max([*whole, *texts], key=_mean)
    return Decoded(best.ids, best in texts, _mean(best), no_speech, best.sentence_end)


def _mean(text: _Text) -> float:
    """Log probability of a token."""
    return text.total / (len(text.ids) + 1)


def _likeliest(rows: NDArray[np.float32], tokens: Tokens, texts: list[_Text]) -> list[_Step]:
    """The steps that may follow, the likeliest first: of each text one more than go on, for one may be its end."""
    steps = []
    for parent, (row, text) in enumerate(zip(rows, texts, strict=True)):
        scores = log_probabilities(allowed(row, tokens, text.ids))
        for token in np.argpartition(scores, -(TEXTS + 1))[-(TEXTS + 1) :]:
            if scores[token] > -np.inf:
                steps.append(_Step(text.total + float(scores[token]), parent, int(token)))
    return sorted(steps, reverse=True)
