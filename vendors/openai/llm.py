"""A language model by chat completions: OpenAI, vLLM, llama.cpp, Ollama, the Hugging Face router and whoever speaks like them."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, TypeVar

from services.base import Question, ServiceError, ServiceTimeout, closing
from services.endpoint import Endpoint
from services.health import Health
from services.vendors import ServiceSettings
from vendors.http.body import HttpBody
from vendors.http.client import Fields, HttpClient
from vendors.openai import is_openai, with_model
from vendors.openai.delta import choices, delta_of
from vendors.openai.output_filter import Spoken
from vendors.openai.prompt import Messages, in_words, prompt
from vendors.openai.tool_calls import Calls

MODEL = "gpt-4.1-mini"  # of OpenAI, where none is set
ROUNDS = 4  # of tools and answers in one reply
TOKENS = 400  # of one round: some two minutes of speech
MOST_TOKENS = 6400  # of one that thinks first, and was seen to think of nothing else
TEMPERATURE = 0.4
THINKING = 2  # times `first_s`: the first word of a model that shows that it thinks
HOLD_S = 0.5  # that words wait in the first answer, lest they are thinking
TAIL = 40  # characters of an answer's end that are looked at
_ENDED = re.compile(r"[.!?…。！？؟۔।][^\w,;:–—(\[{-]*$")
# Models whose template opens the thinking, so that only its end is written: the first answer of one shows whether that is so.
_THINKERS = re.compile(
    r"\br1\b|qwq|qwen-?3|think|reason|magistral|glm-?4|nemotron|minimax-?m|apriel|deepseek-v[34]", re.IGNORECASE
)
_LIMITS = ("max_completion_tokens", "max_tokens")  # OpenAI has replaced the parameter that the others still know

T = TypeVar("T")


class OpenAiAnswerer:
    """Answers with the words of a language model. What changes from turn to turn (question, passages) comes last in the prompt, so
    that servers can keep the work on all that is before it."""

    guarded = True

    def __init__(self, endpoint: Endpoint, health: Health, thinks: bool | None = None) -> None:
        """`thinks`: the model writes the end of its thinking only; None: that is not known."""
        self._peer = HttpClient("llm", with_model(endpoint, MODEL), health)
        self._limits = _LIMITS if is_openai(endpoint) else _LIMITS[::-1]
        self._thinks = False if is_openai(endpoint) else thinks
        self._tokens = TOKENS

    async def warm(self) -> None:
        """Asks the server which models it has. Raises ServiceError."""
        await self._peer.warm()

    async def close(self) -> None:
        """Closes its connections."""
        await self._peer.close()

    async def answer(self, question: Question) -> AsyncIterator[str]:
        """The answer as it is made. Closing the iterator ends the work of the server. Raises ServiceError, also after a part."""
        since: Messages = []  # the calls of tools, and what came of them
        for left in reversed(range(ROUNDS)):
            calls = Calls(len(since))
            async with closing(self._round(question, since, bool(left), calls)) as pieces:
                async for piece in pieces:
                    yield piece
            if not calls.made:
                return
            since += await calls.use(question)

    def _body(self, question: Question, since: Messages, tools: bool, refused: frozenset[str]) -> Fields:
        """What is sent: all but what the server refuses."""
        if "tools" in refused:
            question = replace(question, tools=())
        messages = prompt(question, "system" not in refused, "calls" not in refused)
        messages = in_words(messages, since) if "calls" in refused else [*messages, *since]
        body: Fields = {"messages": messages}
        limit = next((name for name in self._limits if name not in refused), "")
        body |= {"stream": True, "temperature": TEMPERATURE} | ({limit: self._tokens} if limit else {})
        if tools and question.tools:
            body["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
                for t in question.tools
            ]
        return {name: value for name, value in body.items() if name not in refused}

    async def _round(self, question: Question, since: Messages, tools: bool, calls: Calls) -> AsyncIterator[str]:
        """One completion: yields its text and fills `calls`."""
        names = {tool.name for tool in question.tools} if tools and "tools" not in self._peer.refused else set()
        spoken = Spoken(self._thinks is not False, bool(names))
        briefly = self._thinks is None and not _THINKERS.search(self._peer.model)
        async with self._peer.post("chat/completions", lambda refused: self._body(question, since, tools, refused)) as reading:
            async with closing(_watched(reading.events(), HOLD_S if briefly else None)) as events:
                said = ""
                async for words in self._words(events, spoken, calls, reading):
                    said = words if words.strip() else said
                    yield words
            rest = spoken.end()
            if spoken.short and not ((said + rest).strip() or calls.made or spoken.calls):
                self._tokens = min(4 * self._tokens, MOST_TOKENS)  # the next time it may come to words
                raise ServiceError("llm", "all tokens went into thinking")
            if not (spoken.over or spoken.finished or reading.complete or (reading.framed and _ends(said + rest, calls))):
                raise ServiceError("llm", "the answer was cut off")
            if rest and not (spoken.bare and calls.write(rest, names)):
                yield rest
            for text in spoken.calls:
                calls.write(text, names)
        self._thinks = spoken.unopened or bool(self._thinks)

    async def _words(
        self, events: AsyncIterator[dict[str, Any] | None], spoken: Spoken, calls: Calls, reading: HttpBody
    ) -> AsyncIterator[str]:
        """The words of the events; fills `calls`. Words that may be thinking are kept back up to an event that is None. Raises
        ServiceTimeout where no words come for long, whatever else does."""
        loop, endpoint = asyncio.get_running_loop(), self._peer.endpoint
        due, heard, known = loop.time() + THINKING * endpoint.first_s, False, False
        async for event in events:
            known = known or bool(event and "choices" in event)
            words, progress = spoken.release() if event is None else "", False
            for choice in choices(event or {}):
                part = delta_of(choice, heard)
                for piece in part.calls:
                    calls.join(piece)
                words += (spoken.release() if part.thinks else "") + spoken.feed(part.text)
                calls.think(part.thought)
                heard, progress = heard or bool(part.text or part.calls), progress or bool(part.calls)
                spoken.finished, spoken.short = spoken.finished or part.last, spoken.short or part.short
                if part.last:
                    reading.enough(waits=bool(part.text))
            if words:
                yield words
            if words or progress:
                due = loop.time() + THINKING * endpoint.gap_s
            elif loop.time() > due and self._thinks is None and (words := spoken.release()):
                yield words  # it may be slow, and think of nothing
            elif loop.time() > due:
                raise ServiceTimeout("llm", "no word for too long, only thinking")
            if spoken.over:
                return
        if not known:
            raise ServiceError("llm", "answers without any choices")


def vendor(settings: ServiceSettings) -> OpenAiAnswerer:
    """OpenAI, or whoever speaks like it."""
    return OpenAiAnswerer(settings.endpoint, settings.health)


def _ends(said: str, calls: Calls) -> bool:
    """Whether an answer of which the server has not said that it is whole looks like one: by its last mark, or its last call."""
    return calls.whole if calls.made else _ENDED.search(said[-TAIL:]) is not None


async def _watched(events: AsyncIterator[T], hold_s: float | None) -> AsyncIterator[T | None]:
    """`events`, and once None when `hold_s` have passed since the first, though nothing may have come. Closes them."""
    loop, due, reading = asyncio.get_running_loop(), float("inf"), None
    async with closing(events):
        try:
            while True:
                reading = reading or asyncio.ensure_future(_next(events))
                left = None if due == float("inf") else max(0.0, due - loop.time())
                if not (await asyncio.wait({reading}, timeout=left))[0]:
                    due, hold_s = float("inf"), None
                    yield None
                    continue
                found, reading = reading.result(), None
                if not found:
                    return
                if hold_s is not None and due == float("inf"):
                    due = loop.time() + hold_s
                yield found[0]
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})


async def _next(items: AsyncIterator[T]) -> list[T]:
    """The next of `items`, nothing at their end."""
    async for item in items:
        return [item]
    return []
