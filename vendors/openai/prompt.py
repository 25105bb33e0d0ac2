"""What a language model is sent: who it is, what was said before and what was done, and the question with its passages."""

from collections.abc import Sequence
from typing import Any

from services.base import Deed, Exchange, Question

REMEMBERED = 10  # exchanges at least; up to as many more stay, so that the beginning of the prompt seldom changes
UNSAID = "..."  # for a reply that was interrupted before a word of it was heard

Messages = list[dict[str, Any]]


def prompt(question: Question, system: bool = True, calls: bool = True) -> Messages:
    """The messages for `question`. Of earlier replies only what was heard is there, and what tools have done, whether or not it was
    heard. `system`: whether the instructions have a message of their own, `calls`: whether what tools have done is told as calls
    and results; some templates and servers refuse either."""
    asked = question.text
    if question.passages:
        found = "\n".join(f"- {passage.title}: {passage.text}" for passage in question.passages)
        asked = f"{question.text}\n\nPassages:\n{found}"
    called = bool(question.tools) and calls
    messages = _with_deeds([*_past(question.history, called), {"role": "user", "content": asked}], question.done, called)
    if system:
        return [{"role": "system", "content": question.instructions}, *messages]
    first = messages[0]
    return [{**first, "content": f"{question.instructions}\n\n{first['content']}"}, *messages[1:]]


def _past(history: Sequence[Exchange], called: bool) -> Messages:
    """`history` as turns that alternate and begin with the user: templates of many models refuse anything else."""
    said: Messages = []
    for exchange in history[max(0, len(history) // REMEMBERED - 1) * REMEMBERED :]:
        _append(said, "user", exchange.user)
        if said and exchange.done:
            said = _with_deeds(said, exchange.done, called)
        _append(said, "assistant", exchange.heard)
    if said and said[-1]["role"] != "assistant":
        said.append({"role": "assistant", "content": UNSAID})
    return said


def _append(said: Messages, role: str, text: str) -> None:
    if not text:
        return
    if role == "user" and said and said[-1]["role"] == "tool":
        said.append({"role": "assistant", "content": UNSAID})
    if said and said[-1]["role"] == role:
        said[-1] = {**said[-1], "content": f"{said[-1]['content']}\n{text}"}
    elif said or role == "user":
        said.append({"role": role, "content": text})


def _with_deeds(said: Messages, done: Sequence[Deed], called: bool) -> Messages:
    """`said` with what tools have done since: as calls and results, or in words for a server that is not sent any tools."""
    if not done:
        return said
    if not called:
        last, words = said[-1], "; ".join(f"{deed.name} {deed.arguments}: {deed.result}" for deed in done)
        return [*said[:-1], {**last, "content": f"{last['content']}\n\n(Already done: {words})"}]
    ids = [f"done{len(said) % 1000:03}{number:02}" for number in range(len(done))]  # Mistral takes nine letters and digits only
    calls = [call(id, deed.name, deed.arguments) for id, deed in zip(ids, done, strict=True)]
    return [*said, calling(calls), *(result(id, deed.result) for id, deed in zip(ids, done, strict=True))]


def call(id: str, name: str, arguments: str, extra: Any = None) -> dict[str, Any]:
    """A tool call as the API writes it. `extra` is what the server has put into it besides and wants to see again: Gemini's
    signature of its thinking."""
    made = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return made if extra is None else made | {"extra_content": extra}


def calling(calls: Sequence[dict[str, Any]], thought: str = "") -> dict[str, Any]:
    """The message in which a model calls tools. `thought` is what it thought before, which DeepSeek and Kimi want to see again."""
    said = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    return said | ({"reasoning_content": thought} if thought else {})


def result(id: str, text: str) -> dict[str, Any]:
    """The message that tells a model what came of its call."""
    return {"role": "tool", "tool_call_id": id, "content": text}


def in_words(messages: Messages, since: Messages) -> Messages:
    """`messages` with the calls of `since` and their results told in words."""
    made = {each["id"]: each["function"] for message in since for each in message.get("tool_calls", ())}
    results = [(made[message["tool_call_id"]], message["content"]) for message in since if message["role"] == "tool"]
    return _with_deeds(messages, [Deed(asked["name"], asked["arguments"], said) for asked, said in results], called=False)
