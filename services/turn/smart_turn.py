"""End of turn by Smart Turn v3.2 (ONNX): does the last sentence sound finished, by its melody and its words?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError
from services.mel import log_mel
from services.onnx_model import LocalService, onnx_session, require_sound
from services.weights import fetch
from services.workers import Priority

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLES = 8 * HEARING_RATE  # what the model looks at: the last 8 s
# In a pause its answer moves by 0.3 with the place of the cut, to and fro every 10 ms (its first layers look at every other frame),
# at an end by 0.05. At cuts 40 to 100 ms after 11 pauses in requests and 14 ends, one look of 0.85 and more takes 3.9 % of the
# pauses and misses 14.3 % of the ends, the lesser of two 30 ms apart 1.3 and 20.4, 10 ms apart none and 16.3.
STEP = HEARING_RATE // 100
NO = 0.5  # probability below which a second look is not worth its time


class SmartTurn(LocalService["InferenceSession"]):
    """Smart Turn in ONNX."""

    name = "turn"

    async def complete(self, audio: Audio) -> float:
        """Probability (0..1) that the speaker has finished: the lesser of two looks at `audio`, which is at HEARING_RATE, of any
        length.

        Raises ServiceError for empty, NaN or many-channelled audio.
        """
        require_sound(self.name, audio)
        if not len(audio):
            raise ServiceError(self.name, "no audio")
        earlier = audio[: max(1, len(audio) - STEP)]
        return await self._run(Priority.TURN, _least, self._loaded(), (audio, earlier))

    def _load(self) -> "InferenceSession":
        # On both cores: two looks on a core each take 147 ms at once, 90 one after the other.
        session = onnx_session(fetch("smart-turn-v3.2-cpu.onnx", self.folder), self._workers.cores)
        _least(session, [np.zeros(SAMPLES, np.float32)] * 2)
        return session


def _least(session: "InferenceSession", looks: Sequence[Audio]) -> float:
    """The least probability of the `looks`, of those up to the first that says no."""
    least = 1.0
    for look in looks:
        least = min(least, _probability(session, look))
        if least < NO:
            break
    return least


def _probability(session: "InferenceSession", audio: Audio) -> float:
    """The input as the model was trained: 8 s, silence in front of a shorter turn, zero mean and unit variance, then Whisper's
    80-bin log-mel of 800 frames (pipecat 1.14, audio/turn/smart_turn/local_smart_turn_v3.py)."""
    last = audio[-SAMPLES:].astype(np.float32)
    last = np.pad(last, (SAMPLES - len(last), 0))
    normal = (last - last.mean()) / np.sqrt(last.var() + 1e-7)
    return float(session.run(None, {"input_features": log_mel(normal)[None]})[0][0, 0])
