"""From the user's words to the text of a reply, piece by piece: an answer about the conversation itself, a tool, a language
model where there is one, or the knowledge."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import OF_KNOWLEDGE, Act
from app.protocol.messages import IntentFound, ServerMessage, Source, Sources
from app.tools.registry import Toolbox
from services.base import Answerer, Exchange, Intent, Passage, Question, ServiceError, closing

log = logging.getLogger(__name__)

META_INTENTS = frozenset(
    {"repeat", "change_speed", "change_volume", "stop", "goodbye", "spell"}
)  # a language model is not asked
CLOCK_INTENTS = frozenset({"time", "date"})
QUESTION = "question"
CITED = 0.35  # score of a passage below which it has nothing to do with the question (KNOWN of services/llm/extractive.py)
ENDS = (".", "!", "?", "…")

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Request:
    """What a reply is made for. `text` is the user's turn; where the agent speaks unasked, `line` names a line of the dialogue,
    into which `values` are put."""

    turn: int
    revision: int = 0
    text: str = ""
    line: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    typed: bool = False


class Answer:
    """The text of one reply. Until the turn has ended (`toolbox.committed`) nothing is done that cannot be undone, and nothing
    leaves the process unless the settings allow it."""

    def __init__(
        self,
        request: Request,
        context: AgentContext,
        toolbox: Toolbox,
        emit: Callable[[ServerMessage], None],
        mark: Callable[[str], None],
    ) -> None:
        self.intent = ""
        self.act: Act | None = None  # what the turn changes about the talking
        self._request = request
        self._services = context.services
        self._dialogue = context.dialogue
        self._memory = context.memory
        self._toolbox = toolbox
        self._settings = context.settings
        self._emit = emit
        self._mark = mark

    @property
    def acted(self) -> bool:
        """Whether the words of the turn have run a tool that changes something."""
        return self._toolbox.acted

    def take_effect(self) -> None:
        """Makes the turn's changes hold from now on, as the turn has ended."""
        if self.act is not None:
            self._memory.adjust(self.act)
        if self._toolbox.told is not None:
            self._memory.told = self._toolbox.told

    async def settled(self, capability: str) -> None:
        """Returns when `capability` may be used: a service outside this process may be used only once the turn has ended."""
        if capability in self._services.remote and not self._settings.speculate_remotely:
            await self._toolbox.committed.wait()

    async def pieces(self) -> AsyncIterator[str]:
        """Yields the text as it is made. Raises ServiceError."""
        if self._request.line:
            yield self._dialogue.line(self._request.line, **self._request.values)
            return
        text, history = self._request.text, list(self._memory.history)
        query = self._dialogue.language.hears.sought(text)
        intent, passages = await self._understood(text, query, history)
        self.intent = intent.name
        self._emit(IntentFound(name=intent.name, confidence=round(intent.confidence, 3), turn=self._request.turn))
        parts = self._dialogue.language.hears.parts(text)
        question = Question(query, intent, passages, history)
        answer = offline = self._answer_offline(question, text) if len(parts) < 2 else self._answer_each(parts, history)
        is_meta = intent.name in META_INTENTS or (intent.name == "go_on" and self._memory.unheard)
        if self._services.model is not None and not is_meta:
            cited = [passage for passage in passages if passage.score >= CITED]
            instructions = self._dialogue.phrasebook.instructions(self._memory.settings.instructions or "")
            question = Question(text, intent, cited, history, instructions, self._toolbox.offers(), tuple(self._memory.done))
            answer = self._answer_with_llm(self._services.model, question, offline)
        async with closing(offline), closing(answer):
            async for piece in answer:
                yield piece

    async def _understood(self, text: str, query: str, history: Sequence[Exchange]) -> tuple[Intent, list[Passage]]:
        """The intent of `text`, and the passages for `query`."""
        intent, passages = await _both(
            self._timed("intent", lambda: self._services.intent.classify(text)),
            self._timed("retrieval", lambda: self._services.retrieval.search(query, history=history)),
        )
        wanted = self._dialogue.language.hears.wanted(intent.name, text, self._memory.timers, self._memory.lately())
        if wanted in CLOCK_INTENTS and self._memory.told[0] == OF_KNOWLEDGE and self._dialogue.leans(text):
            wanted = QUESTION  # "No, I meant Saturday": of what was answered last, not of the calendar
        return replace(intent, name=wanted), passages

    async def _timed(self, span: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        result = await work()
        self._mark(span)
        return result

    def _cite(self, passages: Sequence[Passage]) -> None:
        """Tells the client the passages that an answer is made from, as its first words are there."""
        sources = [Source(id=p.id, title=p.title, score=round(p.score, 3)) for p in passages]
        self._emit(Sources(passages=sources, turn=self._request.turn))
        self._mark("first_token")

    async def _answer_with_llm(self, model: Answerer, question: Question, offline: AsyncIterator[str]) -> AsyncIterator[str]:
        """Yields the words of a language model; where it says nothing or breaks off, what can be said without it."""
        await self.settled("model")
        said = ""
        try:
            async with closing(model.answer(question)) as pieces:
                async for piece in pieces:
                    if not said:
                        self._cite(question.passages)
                    said += piece
                    yield piece
        except ServiceError as error:
            log.warning("the language model failed after %d characters: %s", len(said), error)
        else:
            if said.strip():
                return
            log.warning("the language model had nothing to say")
        if not said.strip():
            async for piece in offline:
                yield piece
            return
        rest = [piece async for piece in self._services.llm.answer(question) if piece.strip() not in said]
        # What was begun is ended as what it is, then the answer goes on with what has not been said.
        yield " " if said.rstrip().endswith(ENDS) else "… "
        yield self._dialogue.line("thread_lost" if rest else "apology_llm") + " "
        for piece in rest:
            yield piece

    async def _answer_each(self, parts: Sequence[str], history: list[Exchange]) -> AsyncIterator[str]:
        """Answers each of several wishes. A question back to one of them is still open when all have been answered."""
        memory, asked = self._memory, ("", "")
        for part in parts:
            query = self._dialogue.language.hears.sought(part)
            intent, passages = await self._understood(part, query, history)
            async with closing(self._answer_offline(Question(query, intent, passages, history), part)) as pieces:
                async for piece in pieces:
                    yield piece
            yield " "
            if memory.asked:
                asked, memory.asked = (memory.asked, memory.request), ""
        if asked[0]:
            memory.asked, memory.request = asked

    async def _answer_offline(self, question: Question, text: str) -> AsyncIterator[str]:
        """Yields an answer about the conversation itself, of a tool, or sentences of the knowledge."""
        told = await self._toolbox.by_intent(question.intent.name, text)
        if told is not None:
            yield told
            return
        act = self._dialogue.meta_intent(question.intent, text, self._memory)
        if act is not None:
            if self._toolbox.committed.is_set():
                self._memory.adjust(act)
            self.act = act if self.act is None else Act(act.clauses, self.act.speed * act.speed, self.act.gain * act.gain)
            for clause in act.clauses:
                yield clause + " "
            return
        known = False
        async for piece in self._services.llm.answer(question):
            if not known:
                self._cite(question.passages)
                self._toolbox.remember(OF_KNOWLEDGE, {})
            known = True
            yield piece
        if not known:
            yield self._dialogue.line("nothing_left" if question.intent.name == "go_on" else "unknown")


async def _both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Runs both at once and returns both results; when one fails the other is given up."""
    one, two = asyncio.create_task(first), asyncio.create_task(second)
    try:
        await asyncio.gather(one, two)
        return one.result(), two.result()
    finally:
        one.cancel()
        two.cancel()
