"""The ledger of one reply: what was sent, what was heard, and the words that match. All times are ms of the reply's own
timeline, which runs without gaps from `playback_start` to `audio_end` (a stall inside the reply is silence on it)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from app.dialogue.last_reply import NEVER_MS
from services.base import Word

WORD_HEARD = 0.5  # a word counts as heard when this share of it was played


@dataclass(slots=True)
class Clause:
    """One clause; all times are ms of speech (see `Ledger.spoken`). `words` are the times from which each word counts as heard,
    infinite for words that are still to be sent."""

    text: str
    start_ms: float
    end_ms: float
    words: list[float]


def spread_words(text: str, length_ms: float) -> list[Word]:
    """Spreads the words of `text` over `length_ms`, in proportion to their letters (plus one for the gap): the fallback for a
    voice that gives no word times."""
    words = text.split()
    total, at, spread = sum(len(word) + 1 for word in words), 0.0, []
    for word in words:
        end = at + length_ms * (len(word) + 1) / total
        spread.append(Word(word, at, end))
        at = end
    return spread


@dataclass(slots=True)
class Ledger:
    """What one generation sent and what of it was heard."""

    generation: int
    clauses: list[Clause] = field(default_factory=list)
    sent_ms: float = 0.0  # handed to the transport
    heard_ms: float = 0.0  # acknowledged by the listener, or estimated
    acknowledged_at: float | None = None  # clock ms of the last acknowledgement
    sent_at: float = 0.0  # clock ms of the last frame sent
    ended: bool = False  # no more audio will follow
    estimated: bool = False  # heard_ms rests on the pacing model, not on the listener
    waits: list[tuple[float, float]] = field(default_factory=list)  # (start, length) of silences put in, in order

    def begin_clause(self, text: str, start_ms: float, length_ms: float, words: Sequence[Word] = ()) -> None:
        """Notes that a clause's audio starts at `start_ms`; the times of its `words` count from there (see Speech.words)."""
        self._settle()
        self.clauses.append(Clause(text, self.spoken(start_ms), self.spoken(start_ms), []))
        self.extend_clause(start_ms, length_ms, words)

    def extend_clause(self, start_ms: float, length_ms: float, words: Sequence[Word] = ()) -> None:
        """Notes more audio of the last clause: it holds `words`, and the words after them are still to come. Without word
        times, all words of the clause are spread over its whole time."""
        clause, start_ms = self.clauses[-1], self.spoken(start_ms)
        clause.end_ms = start_ms + length_ms
        told = [at for at in clause.words if at < math.inf]
        missing = len(clause.text.split()) - len(told) - len(words)
        if not words or missing < 0:
            told, start_ms, words, missing = [], clause.start_ms, spread_words(clause.text, clause.end_ms - clause.start_ms), 0
        heard = [start_ms + word.start_ms + (word.end_ms - word.start_ms) * WORD_HEARD for word in words]
        clause.words = told + heard + [math.inf] * missing

    def finish(self) -> None:
        """Notes that no more audio follows."""
        self._settle()
        self.ended = True

    def _settle(self) -> None:
        """Ends the last clause, all of which has been sent: words whose time is not known ended with it."""
        for clause in self.clauses[-1:]:
            clause.words = [min(at, clause.end_ms) for at in clause.words]

    def cut_clause(self, end_ms: float) -> None:
        """Ends the last clause at `end_ms`: words that would count as heard later are left out."""
        clause, end_ms = self.clauses[-1], self.spoken(end_ms)
        said = sum(at <= end_ms for at in clause.words)
        clause.text, clause.words, clause.end_ms = " ".join(clause.text.split()[:said]), clause.words[:said], end_ms

    def skip_clause(self) -> None:
        """Notes that a clause of the reply is left out and nothing of it is said."""
        self.clauses.append(Clause("", self.spoken(self.sent_ms), self.spoken(self.sent_ms), []))

    def wait(self, length_ms: float) -> None:
        """Notes a silence at this place, in which no word is heard: all that follows comes later by `length_ms`."""
        self.waits.append((self.sent_ms, length_ms))

    def spoken(self, ms: float) -> float:
        """How much of the first `ms` of the timeline is speech: the silences that were put in are taken out."""
        return ms - sum(min(length, ms - start) for start, length in self.waits if start < ms)

    def word_ms(self) -> tuple[tuple[int, ...], ...]:
        """For each clause, the ms of the timeline from which each of its words counts as heard; NEVER_MS for a word that was
        not sent."""
        return tuple(tuple(self._played(at) for at in clause.words) for clause in self.clauses)

    def _played(self, at: float) -> int:
        """The ms of the timeline at which `at` ms of speech were played: the opposite of `spoken`."""
        if at == math.inf:
            return NEVER_MS
        for start, length in self.waits:
            at += length if start < at else 0.0
        return math.ceil(at)

    def send(self, length_ms: float, now: float) -> None:
        """Notes that `length_ms` more leave at `now` (clock ms)."""
        self.sent_ms += length_ms
        self.sent_at = now

    def acknowledge(self, played_ms: float, now: float) -> None:
        """Notes that the listener has played `played_ms`, at most what was sent. This replaces an estimate, also by less; an
        earlier acknowledgement is only ever raised."""
        known = 0.0 if self.estimated else self.heard_ms
        self.heard_ms = max(known, min(played_ms, self.sent_ms))
        self.acknowledged_at = now
        self.estimated = False

    def estimate(self, now: float, delay_ms: float) -> float:
        """Estimates what was heard by `now` (clock ms), for a listener who does not tell: the last acknowledgement plus the
        time since then, or what was sent less the path's delay. Sets `heard_ms`, marks it as estimated, and returns it."""
        if self.acknowledged_at is not None:
            guess = self.heard_ms + (now - self.acknowledged_at)
        else:
            guess = self.sent_ms - max(0.0, delay_ms - (now - self.sent_at))
        self.heard_ms = max(self.heard_ms, min(guess, self.sent_ms))
        self.estimated = True
        return self.heard_ms

    def heard_text(self) -> str:
        """The words that were heard, clause by clause."""
        heard_ms = self.spoken(self.heard_ms)
        words = [
            word
            for clause in self.clauses
            for word, at in zip(clause.text.split(), clause.words, strict=True)
            if at <= heard_ms
        ]
        return " ".join(words)

    def heard_clauses(self) -> int:
        """How many clauses were heard to their last word; a clause that was left out before its first word counts."""
        heard_ms = self.spoken(self.heard_ms)
        return sum(1 for _ in takewhile(lambda clause: all(at <= heard_ms for at in clause.words), self.clauses))
