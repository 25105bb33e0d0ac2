"""The times of one turn, in ms after the end of the user's speech: pause_detected, stt_final, intent, retrieval, first_token,
first_clause, first_audio_ready, first_audio_sent, first_audio_heard; and the times of an interruption, in ms after its onset:
duck, confirmed, flushed, silent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.core.clock import Clock


@dataclass(slots=True)
class Spans:
    """The marks of one turn or one interruption. `zero` is the clock time (ms) from which every mark is counted. A name is
    marked once: the first time counts. `work` is how long (s) each service was waited for, by its name."""

    zero: float
    marks: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str, at: float) -> None:
        """Notes that `name` was reached at `at` (clock ms). The first time counts."""
        self.marks.setdefault(name, round(at - self.zero, 1))

    @contextmanager
    def working(self, service: str, clock: Clock) -> Iterator[None]:
        """Counts how long `service` works for this turn."""
        began = clock.ms()
        try:
            yield
        finally:
            self.work[service] = self.work.get(service, 0.0) + (clock.ms() - began) / 1000
