"""One reply as a streaming pipeline: transcript -> (intent || retrieval) -> answer pieces -> clauses -> speech. Every stage is
an async iterator with a bounded queue behind it; cancelling the reply's task cancels every stage. Until it is committed, a
reply is a draft and sends no messages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

from app.core.latency import Spans
from app.core.telemetry import DROPPED, wasted
from app.dialogue.agent_context import AgentContext
from app.dialogue.clauses import ahead, split_clauses
from app.protocol.messages import AgentResponse, Error, ServerMessage
from app.reply.answer import Answer, Request
from app.reply.voice import Sound, Voice
from app.tools.registry import Toolbox
from services.base import ServiceError, closing

log = logging.getLogger(__name__)

PIECES_AHEAD = 32  # pieces of answer text made before they are needed
CLAUSES_AHEAD = 2
SOUNDS_AHEAD = 16  # pieces of speech waiting to be played

T = TypeVar("T")


class Reply:
    """One reply, known by its generation number. It fills the queue `sounds`, whose last item is None."""

    def __init__(
        self,
        generation: int,
        request: Request,
        spans: Spans,
        context: AgentContext,
        send: Callable[[ServerMessage], None],
        ready: Callable[["Reply"], None],
    ) -> None:
        self.generation = generation
        self.request = request
        self.spans = spans
        self.sounds: asyncio.Queue[Sound | None] = asyncio.Queue(SOUNDS_AHEAD)
        self.clauses: list[str] = []  # made so far
        self.first_sound = asyncio.Event()  # audio is waiting, or it is known that none will come
        self.answered = False  # there is a sound of the answer
        self.empty = False
        self.withdrawn = False  # its turn was reopened: it answers nothing any more
        self._dialogue = context.dialogue
        self._memory = context.memory
        self._settings = context.settings
        self._clock = context.clock
        self._mark: Callable[[str], None] = lambda span: spans.mark(span, context.clock.ms())
        self._send = send
        self._ready = ready
        self._committed = asyncio.Event()
        self._committed_ms = 0.0
        self._withheld: list[ServerMessage] = []
        self._task: asyncio.Task[None] | None = None
        self.answer = Answer(request, context, Toolbox(context, self._committed), self._emit, self._mark)
        self._voice = Voice(context, self.answer, spans, self._committed, self._begin)

    @property
    def committed(self) -> bool:
        """Whether the turn that this reply answers has ended."""
        return self._committed.is_set()

    @property
    def text(self) -> str:
        """The clauses that have been made so far, as one text."""
        return " ".join(self.clauses)

    @property
    def cancelled(self) -> bool:
        """Whether this reply was given up."""
        return self._task is not None and (self._task.cancelled() or self._task.cancelling() > 0)

    def start(self) -> None:
        """Begins to make the reply."""
        self._task = asyncio.create_task(self._run())

    def commit(self) -> None:
        """Turns the draft into the reply, as its turn has ended: the messages that it withheld are sent, in order, and later
        ones at once."""
        self._committed.set()
        self._committed_ms = self._clock.ms()
        if self.answered and self.request.text:
            self._memory.waits.append(0.0)
        self.answer.take_effect()
        for message in self._withheld:
            self._send(message)
        self._withheld.clear()
        if self.first_sound.is_set():
            self._ready(self)

    def cancel(self) -> None:
        """Gives the reply up: every stage ends."""
        if self._task is not None:
            self._task.cancel()
            if not self.committed:
                DROPPED.inc()
                self._task.add_done_callback(lambda task: wasted(self.spans))  # it may still be counting

    def _emit(self, message: ServerMessage) -> None:
        if self.committed:
            self._send(message)
        else:
            self._withheld.append(message)

    def _begin(self, clause: str) -> None:
        self._mark("first_clause")
        self.clauses.append(clause)
        self._emit(AgentResponse(text=clause, final=False, turn=self.request.turn, generation=self.generation))

    async def _run(self) -> None:
        filler = asyncio.create_task(self._fill())
        try:
            try:
                await self._pump(split_clauses(ahead(self.answer.pieces(), PIECES_AHEAD), self._dialogue.language))
            except (ServiceError, TimeoutError) as error:
                await self._apologise(error)
            except (Exception, asyncio.CancelledError) as error:
                if self.cancelled:
                    raise
                # A fault of ours must not leave the conversation waiting for ever.
                log.exception("generation %d failed", self.generation)
                await self._apologise(ServiceError("reply", repr(error)))
            self._emit(AgentResponse(text="", final=True, turn=self.request.turn, generation=self.generation))
            await self.sounds.put(None)
            if not self.first_sound.is_set():
                self.empty = True
                self._is_ready()
        finally:
            filler.cancel()

    async def _pump(self, clauses: AsyncIterator[str]) -> None:
        async with closing(self._voice.speak(ahead(clauses, CLAUSES_AHEAD))) as sounds:
            while True:
                # The limit is on waiting for the next piece, not on the reply: a long answer may take its time to be spoken.
                async with asyncio.timeout(self._settings.reply_timeout_s):
                    sound = await anext(sounds, None)
                if sound is None:
                    return
                if not self.answered and self.committed and self.request.text:
                    self._memory.waits.append(self._clock.ms() - self._committed_ms)
                self.answered = True
                await self.sounds.put(sound)
                self._is_ready()

    def _is_ready(self) -> None:
        if self.first_sound.is_set():
            return
        self._mark("first_audio_ready")
        self.first_sound.set()
        if self.committed:
            self._ready(self)

    async def _fill(self) -> None:
        """Speaks a filler, when the turn has ended and there is still nothing to hear after a while."""
        if self.request.line:
            return
        await self._committed.wait()
        name, after_ms = self._memory.filler(self._settings.filler_after_ms)
        await asyncio.sleep(after_ms / 1000)
        if self.clauses:  # the answer has words already: its sound is on the way, and a filler would come out of turn
            return
        try:
            await self._speak_line(name, filler=True)
        except Exception as error:
            log.warning("no filler: %r", error, exc_info=not isinstance(error, ServiceError))

    async def _apologise(self, error: Exception) -> None:
        service = error.service if isinstance(error, ServiceError) else "timeout"
        log.error("generation %d: %s", self.generation, error or "timed out")
        self._emit(Error(code=f"{service}_failed", message=f"The {service} service failed in this reply."))
        try:
            await self._speak_line(f"apology_{service}")
        except Exception as again:
            log.error("generation %d: the apology failed too: %r", self.generation, again)

    async def _speak_line(self, name: str, filler: bool = False) -> None:
        async with closing(self._voice.speak(_once(self._dialogue.line(name)))) as sounds:
            async for sound in sounds:
                if filler and self.answered:
                    return
                await self.sounds.put(replace(sound, filler=filler))
                self._is_ready()


async def _once(item: T) -> AsyncIterator[T]:
    yield item
