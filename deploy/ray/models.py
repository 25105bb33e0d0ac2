"""Ears and voice on Ray Serve, for many nodes of conversations: `serve run deploy/ray/models.yaml`, and on those nodes
`--stt http://HOST:8001/v1 --tts http://HOST:8001/v1`. docs/scaling.md says when that pays.

The recogniser takes what comes within a few ms in one batch; MODELS_DEVICE is "cpu" or "cuda". There are no keys: the port
is for the nodes alone.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from ray import serve

from deploy.ray.batched_whisper import Asked
from services.base import Transcript

if TYPE_CHECKING:
    from fastapi import FastAPI

TOGETHER = 8  # recordings at most
WAIT_S = 0.01  # for more of them: a fiftieth of the pause after which somebody is answered


class Recogniser:
    """Speech to text, of several recordings at once."""

    def __init__(self) -> None:
        from app.settings import Settings
        from deploy.ray.batched_whisper import BatchedWhisper
        from languages import find

        settings, device = Settings(), os.environ.get("MODELS_DEVICE", "cpu")
        cores = round(float(os.environ.get("OMP_NUM_THREADS") or 1))  # Serve sets it to the processors of the replica
        self._whisper = BatchedWhisper(settings.weights_dir, find(settings.language), device, cores)
        self._whisper.transcribe([Asked(np.full(16_000, 0.1, np.float32))])

    @serve.batch(max_batch_size=TOGETHER, batch_wait_timeout_s=WAIT_S)  # type: ignore[untyped-decorator]
    async def hear(self, asked: Sequence[Asked]) -> list[Transcript]:
        """Serve collects the recordings that come at the same time."""
        return await asyncio.to_thread(self._whisper.transcribe, asked)


class Voice:
    """Text to speech."""

    def __init__(self) -> None:
        from app.settings import Settings
        from languages import find
        from services.tts.hibari import HibariTts
        from services.workers import Workers

        settings = Settings()
        self._voice = HibariTts(settings.weights_dir, Workers(), find(settings.language))

    async def check_health(self) -> None:
        """Serve asks again and again; the first time loads the model."""
        await self._voice.warm()

    async def speak(self, text: str, speed: float) -> AsyncIterator[bytes]:
        """PCM16 mono at 24 kHz, as it is made."""
        async for piece in self._voice.speak(text, speed=speed):
            yield piece.samples.astype("<i2").tobytes()


def build() -> "FastAPI":
    """The application: the two models behind the HTTP API."""
    from app.settings import Settings
    from deploy.ray.models_api import api
    from languages import find

    ears = serve.get_deployment_handle("ears", "models")
    voice = serve.get_deployment_handle("voice", "models").options(stream=True)

    async def recognise(asked: Asked) -> Transcript:
        return await ears.hear.remote(asked)  # type: ignore[no-any-return]

    async def speak(text: str, speed: float) -> AsyncIterator[bytes]:
        async for piece in voice.speak.remote(text, speed):
            yield piece

    return api(recognise, speak, find(Settings().language))


class Desk:
    """Takes the requests."""

    def __init__(self, *needs: object) -> None:
        """`needs` are started with it."""


app = serve.deployment(serve.ingress(build)(Desk)).bind(
    serve.deployment(Recogniser).options(name="ears").bind(), serve.deployment(Voice).options(name="voice").bind()
)
