"""The times of one turn by the names of DESIGN section 7, in ms after the end of the user's speech (or after the onset)."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Spans:
    """`zero` is the clock time (ms) that every mark is counted from. A name is marked once: the first time counts."""

    zero: float
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str, at: float) -> None:
        self.marks.setdefault(name, round(at - self.zero, 1))
