"""One reply as a streaming pipeline: transcript -> (intent || retrieval) -> answer pieces -> clauses -> speech. Every stage is an
async iterator with a bounded hand-over; cancelling the reply's task cancels them all. Until it is committed, a reply is a draft:
it tells nobody anything."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from app.clock import Clock
from app.dialogue import Act, Dialogue, Memory
from app.events import AgentResponse, Error, IntentFound, ServerMessage, Source, Sources
from app.latency import Spans
from app.settings import Settings
from services.base import Pcm, Question, ServiceError, Services

log = logging.getLogger(__name__)

PIECES_AHEAD = 32  # pieces of answer text made before they are needed
CLAUSES_AHEAD = 2
SOUNDS_AHEAD = 16  # pieces of speech waiting to be played
FIRST_CLAUSE_WORDS = 3  # the first clause may end at a comma once it has so many words
LONGEST_CLAUSE = 220  # characters; a longer run without a full stop is cut at a space

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*\s+")
_PHRASE = re.compile(r"[,;:—]\s+")

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Request:
    """What to reply to. `line` names a line of the dialogue where the agent speaks unasked; `text` is the user's turn."""

    turn: int
    revision: int = 0
    text: str = ""
    line: str = ""
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """Speech to play: `clause` is set on the first piece of a clause."""

    samples: Pcm
    clause: str | None
    words: tuple[tuple[str, float], ...] = ()


class _End:
    pass


async def ahead(source: AsyncIterator[T], limit: int) -> AsyncIterator[T]:
    """Runs `source` in a task of its own, at most `limit` items ahead of the reader. Its error is raised in its place."""
    queue: asyncio.Queue[T | _End | Exception] = asyncio.Queue(limit)

    async def pump() -> None:
        try:
            async for item in source:
                await queue.put(item)
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(_End())

    task = asyncio.create_task(pump())
    try:
        while not isinstance(item := await queue.get(), _End):
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        task.cancel()


async def split_clauses(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Text cut where speech may pause: at sentence ends, and in the first clause already at a comma (the sooner it is short,
    the sooner it is heard)."""
    text, first = "", True
    async for piece in pieces:
        text += piece
        while (cut := _cut(text, first)) > 0:
            clause, text = text[:cut].strip(), text[cut:]
            if clause:
                first = False
                yield clause
    if text.strip():
        yield text.strip()


def _cut(text: str, first: bool) -> int:
    """Where the first clause of `text` ends, or 0 when that is not known yet."""
    ends = [match.end() for match in (_SENTENCE.search(text),) if match]
    if first:
        ends += [m.end() for m in _PHRASE.finditer(text) if len(text[: m.start()].split()) >= FIRST_CLAUSE_WORDS][:1]
    if not ends and len(text) > LONGEST_CLAUSE:
        return text.rfind(" ", 0, LONGEST_CLAUSE) + 1 or LONGEST_CLAUSE
    return min(ends, default=0)


class Reply:
    """One generation. `run` fills `sounds`; the items end with None."""

    def __init__(
        self,
        generation: int,
        request: Request,
        spans: Spans,
        services: Services,
        dialogue: Dialogue,
        memory: Memory,
        settings: Settings,
        clock: Clock,
        tell: Callable[[ServerMessage], None],
        ready: Callable[["Reply"], None],
    ) -> None:
        self.generation = generation
        self.request = request
        self.spans = spans
        self.sounds: asyncio.Queue[Sound | None] = asyncio.Queue(SOUNDS_AHEAD)
        self.clauses: list[str] = []  # made so far
        self.intent = ""
        self._act: Act | None = None
        self.sources: list[Source] = []
        self.first_sound = asyncio.Event()  # audio is waiting, or it is known that none will come
        self.empty = False
        self.withdrawn = False  # its turn was reopened: it answers nothing any more
        self._services = services
        self._dialogue = dialogue
        self._memory = memory
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._ready = ready
        self._committed = asyncio.Event()
        self._withheld: list[ServerMessage] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def committed(self) -> bool:
        return self._committed.is_set()

    @property
    def text(self) -> str:
        return " ".join(self.clauses)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def commit(self) -> None:
        """The turn has ended: what the draft withheld is told, in order, and from now on it speaks for itself."""
        self._committed.set()
        self._take_effect()
        for message in self._withheld:
            self._tell(message)
        self._withheld.clear()
        if self.first_sound.is_set():
            self._ready(self)

    def _take_effect(self) -> None:
        if self._act is not None:
            self._memory.adjust(self._act)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _say(self, message: ServerMessage) -> None:
        if self.committed:
            self._tell(message)
        else:
            self._withheld.append(message)

    async def _run(self) -> None:
        filler = asyncio.create_task(self._fill())
        try:
            try:
                await self._pump(split_clauses(ahead(self._pieces(), PIECES_AHEAD)))
            except (ServiceError, TimeoutError) as error:
                await self._apologise(error)
            self._say(AgentResponse(text="", final=True, turn=self.request.turn, generation=self.generation))
            await self.sounds.put(None)
            if not self.first_sound.is_set():
                self.empty = True
                self._is_ready()
        finally:
            filler.cancel()

    async def _pump(self, clauses: AsyncIterator[str]) -> None:
        sounds = self._speech(ahead(clauses, CLAUSES_AHEAD))
        while True:
            # The limit is on waiting for the next piece, not on the reply: a long answer may take its time to be spoken.
            async with asyncio.timeout(self._settings.reply_timeout_s):
                sound = await anext(sounds, None)
            if sound is None:
                return
            await self.sounds.put(sound)
            self._is_ready()

    def _is_ready(self) -> None:
        if self.first_sound.is_set():
            return
        self.spans.mark("first_audio_ready", self._clock.ms())
        self.first_sound.set()
        if self.committed:
            self._ready(self)

    async def _fill(self) -> None:
        """A filler, when the turn has ended and there is still nothing to hear after `filler_after_ms`."""
        if self.request.line:
            return
        await self._committed.wait()
        await asyncio.sleep(self._settings.filler_after_ms / 1000)
        if self.clauses:  # the answer has words already: its sound is on the way, and a filler would come out of turn
            return
        try:
            async for sound in self._speech(_once(self._dialogue.line("filler"))):
                await self.sounds.put(sound)
                self._is_ready()
        except ServiceError as error:
            log.warning("no filler: %s", error)

    async def _apologise(self, error: Exception) -> None:
        service = error.service if isinstance(error, ServiceError) else "timeout"
        log.error("generation %d: %s", self.generation, error or "timed out")
        self._say(Error(code=f"{service}_failed", message=f"The {service} service failed in this reply."))
        try:
            async for sound in self._speech(_once(self._dialogue.line(f"apology_{service}"))):
                await self.sounds.put(sound)
                self._is_ready()
        except ServiceError as again:
            log.error("generation %d: the apology failed too: %s", self.generation, again)

    # --- stages -------------------------------------------------------------------------------------------------------

    async def _pieces(self) -> AsyncIterator[str]:
        """The text of the reply as it is made."""
        if self.request.line:
            yield self._dialogue.line(self.request.line)
            return
        text, history = self.request.text, self._memory.history
        intent, passages = await _both(
            self._timed("intent", lambda: self._services.intent.classify(text)),
            self._timed("retrieval", lambda: self._services.retrieval.search(text, history=history)),
        )
        self.intent = intent.name
        self._say(IntentFound(name=intent.name, confidence=round(intent.confidence, 3), turn=self.request.turn))
        act = self._dialogue.conduct(intent, text, self._memory)
        if act is not None:
            self._act = act
            if self.committed:
                self._take_effect()
            for clause in act.clauses:
                yield clause + " "
            return
        self.sources = [Source(id=p.id, title=p.title, score=round(p.score, 3)) for p in passages]
        told = False
        async for piece in self._services.llm.answer(Question(text, intent, passages, history)):
            if not told:
                self._say(Sources(passages=self.sources, turn=self.request.turn))
                self.spans.mark("first_token", self._clock.ms())
                told = True
            yield piece
        if not told:
            self.sources = []
            yield self._dialogue.line("nothing_left" if intent.name == "go_on" else "unknown")

    async def _timed(self, span: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        result = await work()
        self.spans.mark(span, self._clock.ms())
        return result

    async def _speech(self, clauses: AsyncIterator[str]) -> AsyncIterator[Sound]:
        async for clause in clauses:
            self.spans.mark("first_clause", self._clock.ms())
            self.clauses.append(clause)
            self._say(AgentResponse(text=clause, final=False, turn=self.request.turn, generation=self.generation))
            async for sound in self._sounds_of(clause):
                yield sound

    async def _sounds_of(self, clause: str) -> AsyncIterator[Sound]:
        first: str | None = clause
        speed = self._settings.speed * self._memory.speed
        gain = self._memory.gain
        if self._act is not None and not self.committed:
            speed, gain = speed * self._act.speed, gain * self._act.gain
        async for speech in self._dialogue.speak(clause, self._services.tts, speed):
            yield Sound(_amplify(speech.samples, gain), first, tuple(speech.words))
            first = None


async def _both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Both results, worked on at once; when one fails the other is given up."""
    one, two = asyncio.create_task(first), asyncio.create_task(second)
    try:
        await asyncio.gather(one, two)
        return one.result(), two.result()
    finally:
        one.cancel()
        two.cancel()


async def _once(item: T) -> AsyncIterator[T]:
    yield item


def _amplify(samples: Pcm, gain: float) -> Pcm:
    if gain == 1.0:
        return samples
    louder: Pcm = np.clip(samples.astype(np.float32) * gain, -32768, 32767).astype(np.int16)
    return louder
