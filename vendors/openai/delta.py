"""What one event of a chat completion adds, in the shapes that servers give it."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from services.base import ServiceError
from vendors.http.body import excuse, text_in

# Reasons to finish of an answer of which only a part is there: it failed, or something filtered it (OpenAI, Gemini, DeepSeek, GLM,
# vLLM, Bedrock, Cohere, Anthropic). All others, whatever they are called, are the end of one.
_BROKEN = re.compile(
    r"error|fail|filter|safety|sensitive|recitation|block(?:list|ed)|prohibited|spii|toxic|guardrail|refus|abort|cancel|interrupt"
    r"|insufficient|malformed|overload|time_?out|unavailable|network|exception",
    re.IGNORECASE,
)
_SHORT = re.compile(r"length|max_?tokens", re.IGNORECASE)
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")  # fields that servers put thinking into


class Delta(NamedTuple):
    """A piece of what the model says."""

    text: str
    calls: Sequence[Any]  # pieces of tool calls
    thinks: bool  # the server tells thinking from words
    thought: str  # what it is to be shown again where tools are called
    last: bool
    short: bool  # the tokens have not been enough


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
    reason = str(choice.get("finish_reason") or "")
    if choice.get("error") or _BROKEN.search(reason):
        raise ServiceError("llm", f"the server broke the answer off: {excuse(reason)}")
    delta = choice.get("delta") or (not heard and (choice.get("message") or {"content": choice.get("text")})) or {}
    if not isinstance(delta, dict):
        raise ServiceError("llm", f"a delta of an unknown shape: {repr(delta)[:80]}")
    calls = delta.get("tool_calls") or ([delta["function_call"]] if delta.get("function_call") else [])
    calls = [calls] if isinstance(calls, dict) and "function" in calls else calls
    if not isinstance(calls, list):
        raise ServiceError("llm", f"tool calls of an unknown shape: {repr(calls)[:80]}")
    text = text_in("llm", delta.get("content")) or text_in("llm", delta.get("refusal"))
    thought = delta.get("reasoning_content")
    thinks = any(delta.get(name) for name in _THOUGHTS)
    last = reason not in ("", "null")
    return Delta(text, calls, thinks, thought if isinstance(thought, str) else "", last, bool(_SHORT.search(reason)))
