"""The last reply and from when each of its words counts as heard: a listener whose connection was lost says how much was played
when they are back, and the conversation remembers what they heard."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from services.base import Exchange

NEVER_MS = 10**9  # of a word whose sound was not sent


@dataclass(frozen=True, slots=True)
class LastReply:
    """The reply that was spoken last. `word_ms` has, for each of the `clauses` that was sent, the ms of this generation from
    which each of its words counts as heard. `remembered`: the last exchange of the history is the one with this reply."""

    generation: int
    clauses: tuple[str, ...]
    word_ms: tuple[tuple[int, ...], ...]
    remembered: bool

    def reached(self, generation: int, played_ms: float) -> float | None:
        """How much (ms) of this reply was played, where the listener last heard of `generation` and had played `played_ms` of
        it; None where that does not tell."""
        if generation > self.generation:  # of a later one nothing is known here
            return None
        return played_ms if generation == self.generation else 0.0

    def heard(self, played_ms: float) -> str:
        """The words that a listener has heard who has played `played_ms`."""
        said = zip(self.clauses, self.word_ms, strict=False)  # what was made and not sent has no times
        pairs = (pair for clause, times in said for pair in zip(clause.split(), times, strict=False))
        return " ".join(word for word, at in pairs if at <= played_ms)

    def unheard(self, played_ms: float) -> list[str]:
        """The clauses that were not heard to their last word."""
        whole = takewhile(lambda times: all(at <= played_ms for at in times), self.word_ms)
        return list(self.clauses[sum(1 for _ in whole) :])

    def history(self, before: Sequence[Exchange], played_ms: float | None) -> list[Exchange]:
        """The history as it is when `played_ms` were played; None: the history as it was."""
        if played_ms is None:
            return list(before)
        heard = self.heard(played_ms)
        if self.remembered and before:
            return [*before[:-1], replace(before[-1], heard=heard)]
        return [*before, Exchange("", heard)] if heard else list(before)
