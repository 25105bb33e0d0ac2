"""What one event of a chat completion adds, in the shapes that servers give it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from services.base import ServiceError
from vendors.http.body import text_in

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")  # fields that servers put thinking into


class Delta(NamedTuple):
    """A piece of what the model says."""

    text: str
    calls: Sequence[Any]  # pieces of tool calls
    thinks: bool  # the server tells thinking from words
    last: bool


def choices(event: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """The choices of an event, none in one that only counts tokens; of several answers the first is taken. Raises ServiceError for
    another shape."""
    found = event.get("choices") or ()
    if not isinstance(found, list | tuple) or not all(isinstance(choice, dict) for choice in found):
        raise ServiceError("llm", f"choices of an unknown shape: {repr(found)[:80]}")
    return [choice for choice in found if choice.get("index") in (None, 0, "", "0")]


def delta_of(choice: dict[str, Any], heard: bool) -> Delta:
    """What a choice adds: by its `delta`, or as a whole by its `message` or `text`, which some also send after all the pieces: then
    it has been `heard`. Raises ServiceError for another shape, and where the server tells of an error."""
    reason = choice.get("finish_reason")
    if reason in ("error", "content_filter"):  # of the second the answer has only the words before it
        raise ServiceError("llm", f"the server broke the answer off: {reason}")
    delta = choice.get("delta") or (not heard and (choice.get("message") or {"content": choice.get("text")})) or {}
    if not isinstance(delta, dict):
        raise ServiceError("llm", f"a delta of an unknown shape: {repr(delta)[:80]}")
    calls = delta.get("tool_calls") or ([delta["function_call"]] if delta.get("function_call") else [])
    if not isinstance(calls, list):
        raise ServiceError("llm", f"tool calls of an unknown shape: {repr(calls)[:80]}")
    text = text_in("llm", delta.get("content")) or text_in("llm", delta.get("refusal"))
    return Delta(text, calls, any(delta.get(name) for name in _THOUGHTS), bool(reason))
