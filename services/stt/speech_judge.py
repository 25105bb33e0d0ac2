"""Speech, or another sound? A logistic regression on what Whisper's encoder makes of it, which costs nothing once it has been made.

`whole_turns.json` has the weights for whole turns (`python -m tests.bench whole_turns` makes it); `services/barge_in` has its own
for the first fractions of a second (`judge`).
"""

import json
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.base import HEARING_RATE

WHOLE_TURNS = Path(__file__).with_name("whole_turns.json")
FRAME = HEARING_RATE // 50  # samples to one frame of the encoder


class Judge(NamedTuple):
    """The weights of the regression."""

    weights: NDArray[np.float32]  # (512,)
    bias: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """The weights as they are kept."""
        stored = json.loads(path.read_text("utf-8"))
        return cls(np.array(stored["weights"], np.float32), float(stored["bias"]))

    def speech(self, seen: NDArray[np.float32]) -> float:
        """The probability (0..1) that an `impression` is one of speech."""
        return 1 / (1 + float(np.exp(-(seen @ self.weights + self.bias))))


def impression(heard: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """The mean of the encoder's frames, shape (512,), over the samples that were heard; `heard` has shape (1, frames, 512)."""
    return np.asarray(heard[0, : max(1, round(samples / FRAME))].mean(axis=0), np.float32)
