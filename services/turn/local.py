"""End of turn by Smart Turn v3.2 (ONNX): does the last sentence sound finished, by its melody and its words?"""

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError
from services.local import LocalService, onnx_session, require_sound
from services.mel import log_mel
from services.weights import fetch
from services.workers import Priority

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
        looks = (self._run(Priority.TURN, _probability, self._loaded(), look) for look in (audio, earlier))
        return min(await asyncio.gather(*looks))

    def _load(self) -> "InferenceSession":
        session = onnx_session(fetch("smart-turn-v3.2-cpu.onnx", self._folder))
        _probability(session, np.zeros(SAMPLES, np.float32))
        return session


def _probability(session: "InferenceSession", audio: Audio) -> float:
    """The input as the model was trained: 8 s, silence in front of a shorter turn, zero mean and unit variance, then Whisper's
    80-bin log-mel of 800 frames (pipecat 1.14, audio/turn/smart_turn/local_smart_turn_v3.py)."""
    last = audio[-SAMPLES:].astype(np.float32)
    last = np.pad(last, (SAMPLES - len(last), 0))
    normal = (last - last.mean()) / np.sqrt(last.var() + 1e-7)
    return float(session.run(None, {"input_features": log_mel(normal)[None]})[0][0, 0])
