"""Has clauses spoken, at the pace and the volume that hold for this reply."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from app.core.latency import Spans
from app.dialogue.agent_context import AgentContext
from app.reply.answer import Answer
from services.base import Pcm, Word, closing


@dataclass(frozen=True, slots=True)
class Sound:
    """Speech to play: `clause` is set on the first piece of a clause. A filler gives way to the answer."""

    samples: Pcm
    clause: str | None
    words: tuple[Word, ...] = ()
    filler: bool = False


class Voice:
    """Turns the clauses of one reply into sounds. `begin` is called with each clause before its sound is made. Until
    `committed` is set, a change of pace or volume that the turn asks for holds for this reply alone."""

    def __init__(
        self,
        context: AgentContext,
        answer: Answer,
        spans: Spans,
        committed: asyncio.Event,
        begin: Callable[[str], None],
    ) -> None:
        self._context = context
        self._answer = answer
        self._spans = spans
        self._committed = committed
        self._begin = begin

    async def speak(self, clauses: AsyncIterator[str]) -> AsyncIterator[Sound]:
        """Yields the sounds of each clause in turn. Raises ServiceError."""
        async with closing(clauses):
            async for clause in clauses:
                self._begin(clause)
                async with closing(self._sounds_of(clause)) as sounds:
                    async for sound in sounds:
                        yield sound

    async def _sounds_of(self, clause: str) -> AsyncIterator[Sound]:
        first: str | None = clause
        speed = (self._context.session_settings.speed or 1.0) * self._context.memory.speed
        voice = self._context.memory.settings.voice or ""
        gain = self._context.memory.gain
        if (act := self._answer.act) is not None and not self._committed.is_set():
            speed, gain = speed * act.speed, gain * act.gain
        await self._answer.settled("tts")
        async with closing(self._context.dialogue.speak(clause, self._context.services.tts, speed, voice)) as speeches:
            while True:
                with self._spans.working("tts", self._context.clock):
                    speech = await anext(speeches, None)
                if speech is None:
                    return
                yield Sound(_amplify(speech.samples, gain), first, tuple(speech.words))
                first = None


def _amplify(samples: Pcm, gain: float) -> Pcm:
    if gain == 1.0:
        return samples
    louder: Pcm = np.clip(samples.astype(np.float32) * gain, -32768, 32767).astype(np.int16)
    return louder
