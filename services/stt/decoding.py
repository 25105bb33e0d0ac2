"""Decoding of Whisper with timestamps: greedy here, by beam search in `services.stt.beam`. The rules of what may follow what are
those of its training (openai/whisper, whisper/decoding.py, ApplyTimestampRules).

A draft of the text costs little: it is fed at once, and what the decoder would have said itself is kept. So a draft changes the
time, and at most which of two equally likely spellings is taken (speculative decoding: Leviathan, Kalman and Matias 2023).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.stt.network import Decoder

AHEAD = 8  # tokens of a draft that are fed at once after a wrong one: 3 ms more than one
LATEST_FIRST = 50  # the speech begins in the first second (1 s in ticks of 20 ms)


class Tokens(NamedTuple):
    """The tokens that decoding needs to know. Those from `first_timestamp` on are timestamps."""

    first_timestamp: int
    end: int
    silence: int  # <|nocaptions|>
    marks: list[int]  # that end a sentence
    never: list[int]
    never_first: list[int]

    def says(self, token: int) -> bool:
        """It is part of the text."""
        return token < self.first_timestamp and token != self.end


class Decoded(NamedTuple):
    """Tokens, and what the decoder thinks of them."""

    ids: list[int]  # without the end
    unfinished: bool  # there was more
    sure: float  # mean log probability of the tokens, the end included
    no_speech: float  # 0..1
    sentence_end: float  # probability that a mark that ends a sentence stands where the text ends, or right after it


def decode(decoder: Decoder, tokens: Tokens, prompt: list[int], start: int, draft: list[int], most: int) -> Decoded:
    """At most `most` tokens after `prompt`, whose <|startoftranscript|> is at `start`. `draft`: the text, without timestamps, or
    the beginning of it; where a word of it is wrong, it may be right again after that."""
    follow = [tokens.first_timestamp, *draft]  # what was fed of the draft, and is not yet agreed with
    at = 0  # the place in the draft that comes next
    rows = decoder.feed([*prompt, *follow], [start, *range(len(prompt) - 1, len(prompt) + len(follow))])
    no_speech = float(np.exp(log_probabilities(rows[0])[tokens.silence]))
    ids: list[int] = []
    total, sentence_end, rows = 0.0, 0.0, rows[1:]
    while True:
        for row in rows:
            scores = log_probabilities(allowed(row, tokens, ids))
            token = int(np.argmax(scores))
            total += float(scores[token])
            sentence_end = end_after(row, tokens, ids, token, sentence_end)
            if token == tokens.end or len(ids) == most:
                return Decoded(ids, token != tokens.end, total / (len(ids) + 1), no_speech, sentence_end)
            ids.append(token)
            if token < tokens.first_timestamp:
                at = _after(draft, at, token)
            if follow[:1] != [token]:
                break
            follow = follow[1:]
        decoder.forget(len(follow))
        follow = draft[at : at + AHEAD]
        rows = decoder.feed([ids[-1], *follow], list(range(len(follow) + 1)))


def _after(draft: list[int], at: int, token: int) -> int:
    """Where the draft goes on after `token`, when `at` came next before: after the nearest place that has it, or one word further.
    Its last token stays: it is a mark that may follow another word."""
    near = range(max(0, at - AHEAD // 2), min(len(draft), at + AHEAD))
    same = [place for place in near if draft[place] == token]
    return min(same, key=lambda place: abs(place - at)) + 1 if same else max(at, min(at + 1, len(draft) - 1))


def end_after(row: NDArray[np.float32], tokens: Tokens, ids: list[int], token: int, sentence_end: float) -> float:
    """What `Decoded.sentence_end` becomes, where it was `sentence_end` after `ids` and `token` is said next. `row`: the logits
    there."""
    said = tokens.says(token)
    if not said and not (ids and tokens.says(ids[-1])):
        return sentence_end
    marks = float(np.exp(log_probabilities(row)[tokens.marks]).sum())
    return marks if said else max(sentence_end, marks)


def log_probabilities(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the tokens, by their logits."""
    shifted = row - row.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def allowed(row: NDArray[np.float32], tokens: Tokens, ids: list[int]) -> NDArray[np.float32]:
    """The logits of what may follow `ids`; all else is -inf."""
    first = tokens.first_timestamp
    row = row.copy()
    row[tokens.never] = -np.inf
    if not ids:
        row[tokens.never_first] = -np.inf
        row[:first] = row[first + LATEST_FIRST + 1 :] = -np.inf
        return row
    if ids[-1] >= first:  # timestamps come in pairs, but for the first and the last
        if len(ids) < 2 or ids[-2] >= first:
            row[first:] = -np.inf
        else:
            row[: tokens.end] = -np.inf
            row[first : ids[-1]] = -np.inf
    else:
        row[first : max(ids) + 1] = -np.inf  # the last timestamp is the largest token: they never go back
    top = row[first:].max()
    if top > -np.inf and row[:first].max() < top + np.log(np.exp(row[first:] - top).sum()):
        row[:first] = -np.inf
    return row
