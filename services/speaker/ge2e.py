"""Who is speaking: a vector for a voice, by the GE2E network of Resemblyzer (Wan et al. 2018, arXiv 1710.10467) in ONNX Runtime.

Two stretches of speech are of one voice when their vectors point the same way. A stretch of 1 s takes 12 ms on one thread. Of 89
speakers in recordings, each known by 4 s, 5 % of the stretches of 1.2 s of the same speaker are below a cosine of 0.51, and so are
78 % of those of others; at 0.8 s it is 0.44 and 56 %, at 2 s 0.60 and 94 %.
"""

from typing import TYPE_CHECKING

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError, Voice
from services.making.checkpoint import read_tensors
from services.making.speaker_graph import BANDS, speaker_graph
from services.mel import power_mel
from services.onnx_model import LocalService, onnx_session, require_sound
from services.weights import fetch
from services.workers import Priority

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILE = "ge2e.pt"
LEVEL = 10 ** (-30 / 20)  # RMS to which speech is brought (resemblyzer/hparams.py, audio_norm_target_dBFS)
LONGEST_S = 6.0  # more of a voice makes its vector hardly better
LEAST_S = 0.2


class VoiceEncoder(LocalService["InferenceSession"]):
    """The GE2E network in ONNX."""

    name = "speaker"

    async def voice(self, audio: Audio) -> Voice:
        """The vector of the voice in `audio` (HEARING_RATE, the last LONGEST_S are used): shape (256,), of length 1, none of its
        values negative.

        Raises ServiceError for NaN or many-channelled audio and for less than LEAST_S of it.
        """
        require_sound(self.name, audio)
        if len(audio) < LEAST_S * HEARING_RATE:
            raise ServiceError(self.name, f"{len(audio) / HEARING_RATE:.2f} s of audio, at least {LEAST_S} s")
        return await self._run(Priority.TURN, _embed, self._loaded(), audio[-int(LONGEST_S * HEARING_RATE) :])

    def _load(self) -> "InferenceSession":
        session = onnx_session(speaker_graph(read_tensors(fetch(FILE, self._folder), "model_state")))
        _embed(session, np.zeros(HEARING_RATE, np.float32))
        return session


def _embed(session: "InferenceSession", audio: Audio) -> Voice:
    level = float(np.sqrt(np.square(audio).mean()) + 1e-9)
    mels = power_mel(audio.astype(np.float32) * (LEVEL / level), BANDS)
    return np.asarray(session.run(None, {"mels": mels[:, None]})[0][0], np.float32)
