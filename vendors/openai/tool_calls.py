"""Tool calls of a language model: put together from the pieces of a stream, or read from text where the server has left them."""

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from services.base import Question, ServiceError
from vendors.openai.prompt import Messages, call, calling, result

MOST = 16  # calls in one round
LONGEST = 16_000  # characters of a call, in whatever it is written
LONGEST_THOUGHT = 64_000  # characters of thinking that are given back
TRIES = 200  # beginnings of JSON in a text that are none

_XML = re.compile(r"<(?:function=|invoke name=\"?)([\w.-]+)\"?>(.*?)(?=</function>|</invoke>|<function=|<invoke |$)", re.DOTALL)
_PARAMETER = re.compile(
    r"<parameter(?:=| name=\"?)([\w.-]+)\"?>(.*?)(?=</parameter>|<parameter|$)"
    r"|<arg_key>\s*([\w.-]+)\s*</arg_key>\s*<arg_value>(.*?)(?=</arg_value>|$)",
    re.DOTALL,
)
_NAME = re.compile(r"[\w.:-]+")


class ToolCall(NamedTuple):
    """A tool that the model wants to be run."""

    id: str
    name: str
    arguments: str  # JSON
    extra: Any = None  # that the server wants to see again


class Calls:
    """The calls of one round, in order. `before`: messages since the question, so that ids differ between the rounds. `thought` is
    what the model thinks before it calls."""

    def __init__(self, before: int = 0) -> None:
        self.made: list[ToolCall] = []
        self.thought = ""
        self._before = before
        self._places: dict[int, int] = {}  # from the server's index to the place in `made`

    def join(self, part: Any) -> None:
        """Puts a piece of a call to what is there of it. A piece begins a new call when its index is new, or when it has a name and
        an id of its own (Ollama and Gemini give every call the index 0), or a name after arguments that are whole. Raises
        ServiceError for a piece of another shape."""
        function = part.get("function") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(function or {}, dict):
            raise ServiceError("llm", f"a tool call of an unknown shape: {repr(part)[:80]}")
        function = function or part
        id, name, index = _text(part.get("id")), _text(function.get("name")).strip(), _index(part.get("index"))
        arguments = function.get("arguments", function.get("parameters"))
        more = arguments if isinstance(arguments, str) else json.dumps(arguments) if isinstance(arguments, dict) else ""
        at = self._places.get(index) if index is not None else len(self.made) - 1 if self.made else None
        known = self.made[at] if at is not None else None
        if (known is not None and (id, name, more) == known[:3]) or (
            id and name and (id, name, more) in [c[:3] for c in self.made]
        ):
            return  # said twice
        if known is None or (name and known.name and _is_another(id, name, known)):
            if not name and not more:
                return
            self._add(id, name, more, part.get("extra_content"))
            if index is not None:
                self._places[index] = len(self.made) - 1
        elif at is not None:
            self.made[at] = known._replace(name=known.name or name, arguments=fit(known.arguments + more))

    def think(self, text: str) -> None:
        """More of what the model thinks. What is longer than any server gives back is none."""
        if len(self.thought) <= LONGEST_THOUGHT:
            self.thought += text

    @property
    def whole(self) -> bool:
        """Whether the arguments of each call are all there."""
        return all(_whole(call.arguments or "{}") for call in self.made)

    def write(self, text: str, names: Collection[str]) -> bool:
        """Takes the calls that stand in `text`; whether there are any."""
        found = list(written(text, names))
        for name, arguments in found:
            self._add("", name, json.dumps(arguments))
        return bool(found)

    def _add(self, id: str, name: str, arguments: str, extra: Any = None) -> None:
        if len(self.made) >= MOST:
            raise ServiceError("llm", f"more than {MOST} tool calls at once")
        # Mistral takes ids of nine letters and digits only.
        id = id or f"call{self._before % 1000:03}{len(self.made):02}"
        self.made.append(ToolCall(id, name, fit(arguments), extra if isinstance(extra, dict) else None))

    async def use(self, question: Question) -> Messages:
        """Runs the tools in order; the messages that tell the model what came of it."""
        tools = {tool.name: tool for tool in question.tools}
        self.made = [each._replace(arguments=_unwrapped(each.arguments.strip())) for each in self.made]
        thought = self.thought if len(self.thought) <= LONGEST_THOUGHT else ""
        messages: Messages = [calling([call(*each) for each in self.made], thought)]
        for each in self.made:
            tool = tools.get(each.name) or tools.get(_bare(each.name))
            said = await tool.run(each.arguments or "{}") if tool else f"There is no tool {each.name}."
            messages.append(result(each.id, said))
        return messages


def fit(text: str) -> str:
    """`text`, which belongs to a call. Raises ServiceError when it is longer than any tool needs."""
    if len(text) > LONGEST:
        raise ServiceError("llm", f"a tool call has more than {LONGEST} characters")
    return text


def written(text: str, names: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls of `names` that stand in `text`: JSON with a name and its arguments (Hermes, Llama), a name before JSON (Mistral,
    DeepSeek), tags with parameters (Qwen, GLM, MiniMax), or Python (Llama)."""
    tags = [(name, body) for name, body in _XML.findall(text) if name in names]
    if "<arg_key>" in text and (word := _NAME.search(text)):
        tags = [(word[0], text)] if word[0] in names else []
    for name, body in tags:
        given = {first or second: _value((one or other).strip()) for first, one, second, other in _PARAMETER.findall(body)}
        yield name, given or next(_objects(body), {})
    if not tags:
        yield from list(_json(text, names)) or _python(text, names)


def _json(text: str, names: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    decoder, at, tries = json.JSONDecoder(), 0, TRIES
    while tries and (start := text.find("{", at)) >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at, tries = start + 1, tries - 1
            continue
        before = [name for name in map(_bare, _NAME.findall(text[at:start])) if name in names]
        at = end
        function = value.get("function")
        named = function if isinstance(function, dict) else {"name": function, **value} if isinstance(function, str) else value
        arguments = next((named[key] for key in ("arguments", "parameters", "args") if key in named), None)
        if isinstance(arguments, str):
            arguments = next(_objects(arguments), None)
        name = _bare(_text(named.get("name")))
        if name in names and isinstance(arguments, dict | None):
            yield name, arguments or {}
        elif before:
            yield before[-1], value


def _objects(text: str) -> Iterator[dict[str, Any]]:
    start = text.find("{")
    try:
        if start >= 0:
            yield json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return


def _python(text: str, names: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls as Python writes them: `[set_timer(seconds=60)]` or `set_timer.call(seconds=60)`."""
    try:
        tree = ast.parse(text.strip().strip("`").removeprefix("tool_code").removeprefix("python").strip()[:4000], mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                inner = [part.id for part in ast.walk(node.func) if isinstance(part, ast.Name)]
                inner += [part.attr for part in ast.walk(node.func) if isinstance(part, ast.Attribute)]
                if name := next((name for name in inner if name in names), ""):
                    yield name, {key.arg: ast.literal_eval(key.value) for key in node.keywords if key.arg}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return


def _bare(name: str) -> str:
    """ "functions.set_timer:0" and "default_api:set_timer" are set_timer."""
    return re.sub(r":\d+$", "", name.rpartition(".")[2]).rpartition(":")[2]


def _index(value: Any) -> int | None:
    value = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value, re.ASCII) else value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_another(id: str, name: str, known: ToolCall) -> bool:
    """A piece with a name begins another call than `known`, but where that has arguments which are not whole (some servers give
    every piece the name, and an id of its own)."""
    begun = bool(known.arguments) and name == known.name
    return _whole(known.arguments) or (bool(id) and id != known.id and not begun)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _whole(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _unwrapped(arguments: str) -> str:
    """The object that the arguments are meant to be: one that was made JSON twice is a text that holds it, none at all is "null",
    and some write it in a block of code, or behind an empty one, or once more."""
    if arguments == "null":
        return "{}"
    inner = _value(arguments) if arguments.startswith('"') else None
    if isinstance(inner, str) and _whole(inner):
        return inner
    if _whole(arguments) or not (text := arguments.removeprefix("```json").strip("`").strip()).startswith("{"):
        return arguments
    found, at = list[str](), 0
    while at < len(text) and len(found) < MOST:
        try:
            _, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            return arguments
        found.append(text[at:end])
        at = end + len(text[end:]) - len(text[end:].lstrip())
    different = {each for each in found if json.loads(each) != {}}
    return different.pop() if len(different) == 1 else arguments if different else "{}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
