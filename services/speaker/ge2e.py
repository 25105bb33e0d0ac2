"""Who is speaking: a vector for a voice, by the GE2E network of Resemblyzer (Wan et al. 2018, arXiv 1710.10467) in ONNX Runtime.

Two stretches of speech are of one voice when their vectors point the same way, seen from the middle of all voices
(`centre.json`, which `python -m tests.bench voices --fit` makes). What is shorter than the stretches that the network was trained
on is repeated up to their length. Without these two, half a second tells no more than what 0.8 s tell with them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError, SpeakerEmbedding
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
STRETCH_S = 1.6  # that the network was trained on (resemblyzer/hparams.py, partials_n_frames)
LEAST_S = 0.2
CENTRE = Path(__file__).with_name("centre.json")  # the mean vector of recorded speakers, shape (256,)


class VoiceEncoder(LocalService["InferenceSession"]):
    """The GE2E network in ONNX."""

    name = "speaker"

    async def voice(self, audio: Audio) -> SpeakerEmbedding:
        """The vector of the voice in `audio` (HEARING_RATE, the last LONGEST_S are used): shape (256,), of length 1.

        Raises ServiceError for NaN or many-channelled audio and for less than LEAST_S of it.
        """
        vector = await self.uncentred(audio) - self._centre
        return np.asarray(vector / (np.linalg.norm(vector) + 1e-9), np.float32)

    async def uncentred(self, audio: Audio) -> SpeakerEmbedding:
        """The same as the network gives it, none of its values negative."""
        require_sound(self.name, audio)
        if len(audio) < LEAST_S * HEARING_RATE:
            raise ServiceError(self.name, f"{len(audio) / HEARING_RATE:.2f} s of audio, at least {LEAST_S} s")
        stretch = audio[-int(LONGEST_S * HEARING_RATE) :]
        stretch = np.resize(stretch, max(len(stretch), int(STRETCH_S * HEARING_RATE)))
        return await self._run(Priority.TURN, _embed, self._loaded(), stretch)

    def _load(self) -> "InferenceSession":
        self._centre = np.array(json.loads(CENTRE.read_text("utf-8")), np.float32)
        session = onnx_session(speaker_graph(read_tensors(fetch(FILE, self.folder), "model_state")))
        _embed(session, np.zeros(HEARING_RATE, np.float32))
        return session


def _embed(session: "InferenceSession", audio: Audio) -> SpeakerEmbedding:
    level = float(np.sqrt(np.square(audio).mean()) + 1e-9)
    mels = power_mel(audio.astype(np.float32) * (LEVEL / level), BANDS)
    return np.asarray(session.run(None, {"mels": mels[:, None]})[0][0], np.float32)
