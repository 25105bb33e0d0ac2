"""What the embedded services share: loading once, off the event loop, and errors that leave as ServiceError."""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

import numpy as np

from services.base import Audio, ServiceError, ServiceUnavailable
from services.workers import Priority, Workers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# ONNX Runtime from 1.29 on tells its maker of every model that is loaded, from a thread of its own, and keeps a number for this
# machine in the home folder, unless this is set before it is imported (its docs/Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

P = ParamSpec("P")
T = TypeVar("T")
Model = TypeVar("Model")


class LocalService(ABC, Generic[Model]):
    """A model that is loaded by `warm` from weights in `folder` and runs on `workers`."""

    name: str

    def __init__(self, folder: Path, workers: Workers) -> None:
        self.folder = folder
        self._workers = workers
        self._model: Model | None = None
        self._warming = asyncio.Lock()

    @abstractmethod
    def _load(self) -> Model:
        """Loads the model and runs it once. Called on a worker thread; heavy imports belong here."""

    async def warm(self) -> None:
        """Loads the model once. Raises ServiceError."""
        async with self._warming:
            if self._model is None:
                self._model = await self._run(Priority.LOAD, self._load)

    async def close(self) -> None:
        """Frees the model."""
        self._model = None

    def _loaded(self) -> Model:
        if self._model is None:
            raise ServiceUnavailable(self.name, "not loaded: call warm() first")
        return self._model

    async def _run(self, priority: Priority, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._workers.run(priority, fn, *args, **kwargs)
        except ServiceError:
            raise
        except Exception as error:  # the runtimes raise bare Exception subclasses of their own
            raise ServiceError(self.name, f"{type(error).__name__}: {error}") from error


def onnx_session(model: Path | bytes, threads: int = 1) -> "InferenceSession":
    """A session that uses the calling thread, and others up to `threads`. Those sleep when they have nothing to do: to wait awake
    makes one run a tenth faster, and two runs at once up to four times slower."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"])


def require_sound(service: str, audio: Audio) -> None:
    """Raises ServiceError unless `audio` is mono and finite."""
    if audio.ndim != 1:
        raise ServiceError(service, f"audio must have one dimension, not {audio.ndim}")
    if not np.isfinite(audio).all():
        raise ServiceError(service, "audio holds NaN or infinite samples")
