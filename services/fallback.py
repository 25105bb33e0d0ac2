"""Speech services of vendors with the embedded ones to stand in for them, in the middle of a call if it must be."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    Audio,
    Service,
    ServiceError,
    Speech,
    SpeechToText,
    TextToSpeech,
    Transcript,
    closing,
)
from services.stt.hallucination import believable

log = logging.getLogger(__name__)

LETTER_MS = 54.0  # a letter or space takes so long at the plain pace (measured: hibari, 14 sentences of the built-in knowledge)


Capability = TypeVar("Capability", bound=Service)


class _WithFallback(Generic[Capability]):
    """Two services that start and end together."""

    def __init__(self, first: Capability, fallback: Capability) -> None:
        self._first = first
        self._fallback = fallback

    async def warm(self) -> None:
        await self._fallback.warm()
        await self._first.warm()

    async def close(self) -> None:
        await self._first.close()
        await self._fallback.close()


class SttWithFallback(_WithFallback[SpeechToText]):
    """Interim transcripts (`final=False`) are made by `fallback`, unless `interim` says that `first` may be asked so often.
    `speech` tells of a sound how probable (0..1) it is that somebody speaks: recognisers write "Thank you." for a sneeze. It is
    asked while `first` works, but where that `judges` itself."""

    def __init__(
        self,
        first: SpeechToText,
        fallback: SpeechToText,
        interim: bool,
        speech: Callable[[Audio], Coroutine[Any, Any, float]] | None = None,
        judges: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(first, fallback)
        self._captions = interim
        self._speech = speech
        self._judges = judges

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        """By the service, and where it fails by the embedded one."""
        if final or self._captions:
            judging = asyncio.create_task(self._judged(audio))
            try:
                heard = await self._first.transcribe(audio, final=final, prompt=prompt, draft=draft, thorough=thorough)
                return replace(
                    heard, text=believable(heard.text, await judging, len(audio) / HEARING_RATE) if heard.text else ""
                )
            except ServiceError:
                pass  # `first` has told its health why
            finally:
                judging.cancel()
        return await self._fallback.transcribe(audio, final=final, prompt=prompt, draft=draft, thorough=thorough)

    async def _judged(self, audio: Audio) -> float:
        try:
            return 1.0 if self._speech is None or self._judges() else await self._speech(audio)
        except ServiceError as error:
            log.warning("whether this is speech is not known: %s", error)
            return 1.0


class TtsWithFallback(_WithFallback[TextToSpeech]):
    """Where `first` fails in mid-clause, `fallback` goes on with the words that have not been spoken yet."""

    @property
    def voices(self) -> Sequence[str]:
        """Those of the service."""
        return self._first.voices

    async def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        """By the service, and where it fails by the embedded one."""
        spoken = 0  # samples
        try:
            async with closing(self._first.speak(clause, speed=speed, voice=voice)) as pieces:
                async for piece in pieces:
                    spoken += len(piece.samples)
                    yield piece
        except ServiceError:  # `first` has told its health why
            rest = unspoken(clause, spoken * 1000 / SPEAKING_RATE * speed)
            async for piece in self._fallback.speak(rest, speed=speed):
                yield piece


def unspoken(clause: str, spoken_ms: float) -> str:
    """The words of `clause` that are not spoken after `spoken_ms` at the plain pace. A word that was begun counts as spoken, lest
    it is heard twice."""
    at = 0.0
    words = clause.split()
    for index, word in enumerate(words):
        if at >= spoken_ms:
            return " ".join(words[index:])
        at += (len(word) + 1) * LETTER_MS
    return ""
