"""What a model's work takes on the reference machine (two cores), by a table that `python -m tests.bench calibrate` measures.

A call takes `fixed_ms`, and so much for each second of the audio and for each character of the text that it is about; `cores` is
how many it keeps busy meanwhile. A call is known by the function that does the work and its priority."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from services.base import HEARING_RATE
from services.workers import Priority

TABLE = Path(__file__).with_name("costs.json")


class Size(NamedTuple):
    """What a call is about: seconds of audio and characters of text."""

    seconds: float
    chars: int


class Cost(NamedTuple):
    fixed_ms: float
    second_ms: float
    char_ms: float
    cores: float

    def ms(self, size: Size) -> float:
        return self.fixed_ms + self.second_ms * size.seconds + self.char_ms * size.chars


def key(priority: Priority, fn: Callable[..., Any]) -> str:
    """The name of a call in the table: `stt._transcribe FINAL`."""
    owner = fn.__module__.removeprefix("services.").removesuffix(".local")
    return f"{owner}.{fn.__qualname__.split('.')[-1]} {priority.name}"


def size(args: Sequence[object], result: object) -> Size:
    """The longest audio among the arguments, and the text of the result, or where that has none the text of the arguments."""
    said = getattr(result, "text", None)
    chars = len(said) if isinstance(said, str) else sum(map(_chars, args))
    return Size(max(map(_seconds, args), default=0.0), chars)


def _seconds(value: object) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return len(value) / HEARING_RATE
    return max(map(_seconds, value), default=0.0) if isinstance(value, tuple | list) else 0.0


def _chars(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(len(part) for part in value if isinstance(part, str)) if isinstance(value, tuple | list) else 0


class Costs:
    """The table. A call that it lacks takes what the dearest of the same service takes, and is remembered in `missing`."""

    def __init__(self, known: Mapping[str, Cost]) -> None:
        self._known = known
        self.missing: set[str] = set()

    @classmethod
    def load(cls, path: Path = TABLE) -> "Costs":
        return cls({name: Cost(**row) for name, row in json.loads(path.read_text("utf-8")).items()})

    def of(self, name: str) -> Cost:
        cost = self._known.get(name)
        if cost is None:
            self.missing.add(name)
            service = name.split(".")[0]
            alike = [other for other_name, other in self._known.items() if other_name.split(".")[0] == service]
            cost = max(alike, key=lambda other: other.ms(Size(3.0, 40)), default=Cost(1.0, 0.0, 0.0, 1.0))
        return cost
