"""End of turn by Smart Turn v3.2 (ONNX): does the last sentence sound finished, by its melody and its words?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from services.base import HEARING_RATE, Audio, ServiceError
from services.local import LocalService, onnx_session, require_sound
from services.mel import log_mel
from services.weights import fetch
from services.workers import CORES, Priority

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLES = 8 * HEARING_RATE  # what the model looks at: the last 8 s
# In a pause its answer moves by 0.3 with the place of the cut, at an end by 0.05. Of 12 pauses in requests two had 0.86 and more at
# one of five cuts 30 ms apart, none more than 0.76 at two in a row.
STEP = HEARING_RATE * 3 // 100


class SmartTurn(LocalService["InferenceSession"]):
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
        # On both cores, for two looks on a core each take half as long again as both together: 147 and 95 ms.
        session = onnx_session(fetch("smart-turn-v3.2-cpu.onnx", self._folder), CORES)
        _least(session, [np.zeros(SAMPLES, np.float32)] * 2)
        return session


def _least(session: "InferenceSession", looks: Sequence[Audio]) -> float:
    """The least probability of the `looks`."""
    features = np.stack([_features(look) for look in looks])
    return float(session.run(None, {"input_features": features})[0].min())


def _features(audio: Audio) -> NDArray[np.float32]:
    """The input as the model was trained: 8 s, silence in front of a shorter turn, zero mean and unit variance, then Whisper's
    80-bin log-mel of 800 frames (pipecat 1.14, audio/turn/smart_turn/local_smart_turn_v3.py)."""
    last = audio[-SAMPLES:].astype(np.float32)
    last = np.pad(last, (SAMPLES - len(last), 0))
    return log_mel((last - last.mean()) / np.sqrt(last.var() + 1e-7))
