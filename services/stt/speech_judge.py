"""Speech, or another sound? The end of what somebody says, or a pause? Logistic regressions on what Whisper's encoder makes of a
sound, which cost nothing once it has been made.

`whole_turns.json` has the weights that tell speech in whole turns (`python -m tests.bench whole_turns` makes it), and
`endings.json` of a language those for the end (`endings --fit`); `services/barge_in` has its own for the first fractions of a
second (`judge`).
"""

import json
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.base import HEARING_RATE

WHOLE_TURNS = Path(__file__).with_name("whole_turns.json")
ENDINGS = "endings.json"  # in the folder of a language
FRAME = HEARING_RATE // 50  # samples to one frame of the encoder
LAST = 10  # frames: the fall of a voice, and the first 0.1 s of the silence by which a pause is noticed


class SpeechModel(NamedTuple):
    """The weights of the regression."""

    weights: NDArray[np.float32]  # (512,)
    bias: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """The weights as they are kept."""
        stored = json.loads(path.read_text("utf-8"))
        return cls(np.array(stored["weights"], np.float32), float(stored["bias"]))

    def probability(self, seen: NDArray[np.float32]) -> float:
        """That an `impression` is one of speech, or a `last_sound` one of an end (0..1)."""
        return 1 / (1 + float(np.exp(-(seen @ self.weights + self.bias))))


def impression(heard: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """The mean of the encoder's frames, shape (512,), over the samples that were heard; `heard` has shape (1, frames, 512)."""
    return np.asarray(heard[0, : max(1, round(samples / FRAME))].mean(axis=0), np.float32)


def last_sound(heard: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """The same over the LAST of those frames: how the voice sounds where it stops."""
    end = max(1, round(samples / FRAME))
    return np.asarray(heard[0, max(0, end - LAST) : end].mean(axis=0), np.float32)
