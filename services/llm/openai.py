"""A language model by chat completions: OpenAI, vLLM, llama.cpp, Ollama, the Hugging Face router and whoever speaks like them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from services.base import Exchange, Question, ServiceError, closing
from services.health import Health
from services.http import Peer, Remote

MODEL = "gpt-4.1-mini"  # of OpenAI, where none is set
ROUNDS = 4  # of tools and answers in one reply
TOKENS = 400  # of one round: some two minutes of speech
REMEMBERED = 10  # exchanges at least; up to as many more stay, so that the beginning of the prompt seldom changes
TEMPERATURE = 0.4


class ToolCall(NamedTuple):
    id: str
    name: str
    arguments: str  # JSON

    def message(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


class OpenAiAnswerer:
    """Answers with the words of a language model. What changes from turn to turn (question, passages) comes last in the prompt, so
    that servers can keep the work on all that is before it."""

    def __init__(self, remote: Remote, health: Health) -> None:
        self._peer = Peer("llm", remote, health)

    async def warm(self) -> None:
        await self._peer.warm()

    async def close(self) -> None:
        await self._peer.close()

    async def answer(self, question: Question) -> AsyncIterator[str]:
        """The answer as it is made. Closing the iterator ends the work of the server. Raises ServiceError, also after a part."""
        messages = prompt(question)
        for left in reversed(range(ROUNDS)):
            calls: dict[int, ToolCall] = {}
            async with closing(self._round(messages, question if left else None, calls)) as pieces:
                async for piece in pieces:
                    yield piece
            if not calls:
                return
            messages += await _use(list(calls.values()), question)

    async def _round(
        self, messages: Sequence[dict[str, Any]], question: Question | None, calls: dict[int, ToolCall]
    ) -> AsyncIterator[str]:
        """One completion: yields its text and fills `calls`. Tools are those of `question`; without one there are none."""
        body: dict[str, Any] = {"messages": messages, "stream": True, "temperature": TEMPERATURE}
        # OpenAI has replaced the parameter that the others still know.
        body["max_completion_tokens" if self._peer.remote.is_openai else "max_tokens"] = TOKENS
        body["model"] = self._peer.model or (MODEL if self._peer.remote.is_openai else "default")
        if question and question.tools:
            body["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
                for t in question.tools
            ]
        async with self._peer.post("chat/completions", json=body) as reading, closing(reading.events()) as events:
            ended = False
            async for event in events:
                for choice in event.get("choices") or ():  # none in a chunk that only counts tokens
                    ended = ended or choice.get("finish_reason") is not None
                    delta = choice.get("delta") or {}
                    for part in delta.get("tool_calls") or ():
                        _join(calls, part)
                    if delta.get("content"):
                        yield str(delta["content"])
            if not ended:
                raise ServiceError("llm", "the answer was cut off")


def prompt(question: Question) -> list[dict[str, Any]]:
    """The messages for `question`. Of earlier replies only what was heard is there."""
    asked = question.text
    if question.passages:
        found = "\n".join(f"- {passage.title}: {passage.text}" for passage in question.passages)
        asked = f"{question.text}\n\nPassages:\n{found}"
    return [{"role": "system", "content": question.instructions}, *_past(question.history), {"role": "user", "content": asked}]


def _past(history: Sequence[Exchange]) -> list[dict[str, Any]]:
    """`history` as turns that alternate and begin with the user: templates of many models refuse anything else."""
    said: list[dict[str, Any]] = []
    for exchange in history[max(0, len(history) // REMEMBERED - 1) * REMEMBERED :]:
        for role, text in (("user", exchange.user), ("assistant", exchange.heard)):
            if said and text and said[-1]["role"] == role:
                said[-1]["content"] += f"\n{text}"
            elif text and (said or role == "user"):
                said.append({"role": role, "content": text})
    if said and said[-1]["role"] == "user":
        said.append({"role": "assistant", "content": "..."})  # it was interrupted before a word was heard
    return said


def _join(calls: dict[int, ToolCall], part: dict[str, Any]) -> None:
    """Puts a piece of a tool call to what is there of it. Those who send calls whole may leave out `index`."""
    function = part.get("function") or {}
    index = part.get("index")
    index = len(calls) if index is None else int(index)
    known = calls.get(index, ToolCall(f"call_{index}", "", ""))
    arguments = known.arguments + (function.get("arguments") or "")
    calls[index] = ToolCall(part.get("id") or known.id, known.name or function.get("name") or "", arguments)


async def _use(calls: Sequence[ToolCall], question: Question) -> list[dict[str, Any]]:
    """Runs the tools in order; the messages that tell the model what came of it."""
    tools = {tool.name: tool for tool in question.tools}
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": [call.message() for call in calls]}]
    for call in calls:
        tool = tools.get(call.name)
        result = await tool.run(call.arguments or "{}") if tool else f"There is no tool {call.name}."
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return messages
