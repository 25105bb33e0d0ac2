"""Voice activity by Silero VAD v6 (ONNX), with the streaming state kept for each conversation."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from services.base import VAD_WINDOW, Audio, ServiceError
from services.onnx_model import LocalService, onnx_session, require_sound
from services.weights import fetch
from services.workers import Priority

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CONTEXT = 64  # samples of the window before that the model wants in front (snakers4/silero-vad, utils_vad.py)
STATE = (1, 1, 128)  # of the LSTM's h and c
HUSHED = 0.001  # RMS (-60 dBFS) below which nothing is speech: close to a microphone it has -30, a quiet room -70
# Windows (3 s) so quiet, after which it looks at no more of them. Its state drifts: after 13 s of silence it met 5 of 8 sentences a
# window later than after 3 s.
HUSH = 94


class SileroVad(LocalService["InferenceSession"]):
    """Silero in ONNX."""

    name = "vad"

    def detector(self) -> "SileroDetector":
        """One for each conversation."""
        return SileroDetector(self)

    def _load(self) -> "InferenceSession":
        session = onnx_session(fetch("silero_vad_v6.onnx", self.folder))
        state = np.zeros(STATE, np.float32)
        session.run(None, {"input": np.zeros((1, CONTEXT + VAD_WINDOW), np.float32), "h": state, "c": state})
        return session


class SileroDetector:
    """One conversation's detector."""

    def __init__(self, service: SileroVad) -> None:
        self._service = service
        self.reset()

    def reset(self) -> None:
        """What was heard so far is forgotten."""
        self._h = self._c = np.zeros(STATE, np.float32)
        self._hushed = 0  # windows in a row
        self._context = np.zeros(CONTEXT, np.float32)

    async def probability(self, window: Audio | Callable[[], Audio]) -> float:
        """Probability (0..1) of speech in `window`, or in what it makes on the worker's thread. Windows must be awaited one after
        the other.

        Raises ServiceError for a window that is not VAD_WINDOW finite samples; the state is then left as it was.
        """
        if callable(window):
            return await self._service._run(Priority.VAD, self._cleaned_step, self._service._loaded(), window)
        if self._is_hushed(window):
            return 0.0
        return await self._service._run(Priority.VAD, self._step, self._service._loaded(), window)

    def _is_hushed(self, window: Audio) -> bool:
        """Whether a window, the next one, need not be looked at."""
        require_sound("vad", window)
        if len(window) != VAD_WINDOW:
            raise ServiceError("vad", f"a window has {VAD_WINDOW} samples, not {len(window)}")
        self._hushed = self._hushed + 1 if float(np.square(window).mean()) < HUSHED**2 else 0
        if self._hushed > HUSH:
            self._context = window[-CONTEXT:]
        return self._hushed > HUSH

    def _cleaned_step(self, session: "InferenceSession", clean: Callable[[], Audio]) -> float:
        window = clean()
        return 0.0 if self._is_hushed(window) else self._step(session, window)

    def _step(self, session: "InferenceSession", window: Audio) -> float:
        padded = np.concatenate([self._context, window], dtype=np.float32)[None]
        speech, self._h, self._c = session.run(None, {"input": padded, "h": self._h, "c": self._c})
        self._context = window[-CONTEXT:]
        return float(speech[0])
