"""What stands between a conversation and a service of somebody else: a circuit breaker, limits on every wait, and word to `Health`
of whether it works. Whatever such a service raises or answers leaves here as a ServiceError or as what its Protocol says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import numpy as np
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from services.base import (
    Answerer,
    Audio,
    Question,
    Service,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
    Speech,
    SpeechToText,
    TextToSpeech,
    Transcript,
    closing,
)
from services.endpoint import Endpoint
from services.health import Health

log = logging.getLogger(__name__)

FAILURES = 3  # in a row after which a service is left alone

Capability = TypeVar("Capability", bound=Service)
T = TypeVar("T")


class Guard:
    """Of the calls of one service (`name` is "llm", "stt" or "tts"). After FAILURES in a row it is left alone for `rest_s`."""

    def __init__(self, name: str, health: Health, rest_s: float) -> None:
        self._name = name
        self._health = health
        # Whoever breaks off says nothing about the service.
        ignored: list[Any] = [asyncio.CancelledError, GeneratorExit]
        self._breakers = AsyncCircuitBreakerFactory(FAILURES, rest_s, ignored)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Around one call, to its last piece. Raises ServiceError for whatever is raised inside."""
        try:
            async with await self._breakers.get_breaker(self._name):
                yield
        except OpenedState:
            raise self._failure(ServiceUnavailable, "is left alone after repeated failures") from None
        except ServiceError as error:
            self._health.failed(self._name, str(error).removeprefix(f"{self._name}: "))
            raise
        except TimeoutError as error:
            raise self._failure(ServiceTimeout, "took too long") from error
        except Exception as error:  # it is the service that fails, not the turn
            log.exception("%s failed in a way that was not expected", self._name)
            raise self._failure(ServiceError, f"failed: {type(error).__name__}") from error
        self._health.worked(self._name)

    def _failure(self, kind: type[ServiceError], message: str) -> ServiceError:
        self._health.failed(self._name, message)
        return kind(self._name, message)


class _Guarded(Generic[Capability]):
    """A service that keeps no limits of its own."""

    name: str

    def __init__(self, service: Capability, limits: Endpoint, health: Health) -> None:
        self._service = service
        self._limits = limits
        self._health = health
        self._guard = Guard(self.name, health, limits.rest_s)
        self.in_process: bool = getattr(service, "in_process", False)

    async def warm(self) -> None:
        """Never raises: a service that is away may come back."""
        try:
            async with asyncio.timeout(self._limits.total_s):
                await self._service.warm()
        except Exception as error:
            log.warning("%s cannot be warmed", self.name, exc_info=not isinstance(error, ServiceError | TimeoutError))
            self._health.failed(self.name, str(error) or type(error).__name__)

    async def close(self) -> None:
        """Raises nothing."""
        try:
            await self._service.close()
        except Exception:
            log.exception("%s could not be closed", self.name)

    async def _pieces(self, ask: Callable[[], AsyncIterator[T]], fits: Callable[[T], bool], form: str) -> AsyncIterator[T]:
        """What `ask` yields; `form` names what `fits`. The limits are on waiting for it, not on what is done with it meanwhile."""
        loop, left_s, limit_s = asyncio.get_running_loop(), self._limits.total_s, self._limits.first_s
        async with self._guard.call(), closing(ask()) as pieces:
            while True:
                began = loop.time()
                async with asyncio.timeout(min(limit_s, left_s)):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                if not fits(piece):
                    raise ServiceError(
                        self.name, f"answers {type(piece).__name__}, which is not what its Protocol says ({form})"
                    )
                left_s, limit_s = left_s - (loop.time() - began), self._limits.gap_s
                yield piece


class GuardedAnswerer(_Guarded[Answerer]):
    """A language model of somebody else."""

    name = "llm"

    def answer(self, question: Question) -> AsyncIterator[str]:
        """The answer as it is made. Raises ServiceError."""
        return self._pieces(lambda: self._service.answer(question), lambda piece: isinstance(piece, str), "str")


class GuardedStt(_Guarded[SpeechToText]):
    """A recogniser of somebody else; it has `first_s` for a whole text."""

    name = "stt"

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        """Text of `audio` (HEARING_RATE). Raises ServiceError."""
        async with self._guard.call(), asyncio.timeout(self._limits.first_s):
            heard = await self._service.transcribe(audio, final=final, prompt=prompt, draft=draft, thorough=thorough)
            if not isinstance(heard, Transcript):
                raise ServiceError(self.name, f"answers {type(heard).__name__}, which is no Transcript")
            return heard


class GuardedTts(_Guarded[TextToSpeech]):
    """A voice of somebody else."""

    name = "tts"

    @property
    def voices(self) -> Sequence[str]:
        """Those of the service."""
        return getattr(self._service, "voices", ())

    def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        """Speech for `clause`. A service that has no `voices` need not take a voice. Raises ServiceError, also after a part."""
        chosen: dict[str, Any] = {"voice": voice} if voice else {}
        return self._pieces(lambda: self._service.speak(clause, speed=speed, **chosen), _is_speech, "Speech of int16 mono")


def _is_speech(piece: Speech) -> bool:
    return isinstance(piece, Speech) and piece.samples.dtype == np.int16 and piece.samples.ndim == 1
