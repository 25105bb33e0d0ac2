"""A pause in the user's turn, which may be its end: what was said so far is read, a reply prepared and the end judged. A first
look is quick. A closer one is taken where the first doubts itself, or while silence is waited for anyway; where it finds other
words, the reply is prepared anew."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from app.core.latency import Spans
from app.settings import Eagerness
from app.turn_taking.detector import Turns
from app.turn_taking.endpointing import Said, is_surely_whole
from app.turn_taking.recognition import Understanding
from app.turn_taking.signals import Signal
from services.base import Audio, Transcript

ROOM_MS = 350.0  # of silence that is still to come leave time for a closer look on two cores
PLAIN_NOISE = 0.8  # belief that nothing was said above which nobody is asked to say it again


class Listener(Protocol):
    """What a pause needs of the session."""

    def asked(self) -> str:
        """What the agent said last, as far as it was heard."""
        ...

    def eagerness(self) -> Eagerness:
        """How soon a pause is taken for the end of a turn in this conversation."""
        ...

    def caption(self, text: str, final: bool, turn: int, revision: int) -> None: ...

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        """The user paused and said `text` so far: have a reply ready in case the turn has ended."""
        ...


class Pause:
    """Of the turn and the revision that `turns` is at now. `audio` is the turn so far; `act` is told what `turns` makes of it."""

    def __init__(
        self,
        understanding: Understanding,
        turns: Turns,
        listener: Listener,
        act: Callable[[Iterable[Signal]], None],
        audio: Audio,
        spans: Spans,
    ) -> None:
        self._understanding = understanding
        self._turns = turns
        self._listener = listener
        self._act = act
        self._audio = audio
        self._spans = spans
        self._turn, self._revision, self._began = turns.turn, turns.revision, turns.start_ms
        self._melody: asyncio.Task[float] | None = None
        self.noise = False  # it was plainly no speech

    async def work(self) -> None:
        """Raises what the recogniser raises at the first look."""
        # The end-of-turn model would only slow speech-to-text down, and is asked where the words leave it open: at once, where the
        # last caption says so.
        caption = self._understanding.guess(self._began)
        if caption and not self._turns.wording.asks_openly(caption):
            self._listen_to_melody()
        try:
            heard = await self._understanding.final(self._audio, self._began, self._spans)
            self._suggest(heard)
            in_doubt = heard.doubtful or (not heard.text and self._turns.spoken)
            if in_doubt:
                heard = await self._closer(heard)
            await self._propose(heard)
            if heard.text and not in_doubt and self._turns.waits(self._revision) and self._turns.left_ms >= ROOM_MS:
                again = await self._closer(heard)
                if again is not heard:
                    await self._propose(again)
        finally:
            if self._melody is not None:
                self._melody.cancel()

    async def _closer(self, heard: Transcript) -> Transcript:
        again = await self._understanding.closer(self._audio, self._began, heard)
        if again is not heard and self._turns.waits(self._revision):
            self._suggest(again)
        return again

    def _suggest(self, heard: Transcript) -> None:
        """This may be all of the turn."""
        if heard.text:
            self._listener.caption(heard.text, False, self._turn, self._revision)
            self._listener.prepare(self._turn, self._revision, heard.text, self._spans)

    async def _propose(self, heard: Transcript) -> None:
        """Whether this is all of the turn is for `turns` to judge."""
        text, complete, understood = heard.text, 0.0, False
        self.noise = heard.no_speech >= PLAIN_NOISE
        if text:
            understood = is_surely_whole(self._turns.wording, text, heard.closed) or await self._understanding.is_order(text)
            complete = 1.0 if understood else await self._listen_to_melody()
        said = Said(text, complete, heard.closed, understood, self._listener.asked())
        self._act(self._turns.prepared(self._revision, said, self._listener.eagerness()))

    def _listen_to_melody(self) -> "asyncio.Task[float]":
        if self._melody is None:
            self._melody = asyncio.create_task(self._understanding.completeness(self._audio))
        return self._melody
