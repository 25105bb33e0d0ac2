"""Tools: functions that the agent runs while it answers. A language model is offered them with a schema of their arguments; without
one they are reached by the intent of what was said."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from app.dialogue.context import AgentContext
from languages.tools import Arguments, Heard, Remembered
from services.base import Deed, Tool

log = logging.getLogger(__name__)

LONGEST = 500  # characters of what came of a tool that are remembered

Listen = Callable[[str], Arguments | None]
Take = Callable[[str, Remembered], Arguments | Awaitable[Arguments | None] | None]


class Asks(str):
    """What a tool returns to ask for what it must know: the user's next turn may be the answer."""


class ToolError(Exception):
    """A tool could not do its work; the message says why, to a language model."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """`heard` tells how the arguments are heard in spoken text; None: the language says so, by the tool's name. The line that `ask`
    names asks for those that are missing, where the language names no other. A tool that `acts` changes something: it is not run
    for a turn that may not be over. `phrases` are examples of what people say who want it, beside those of its intent in the
    language."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[..., Awaitable[str]]
    intent: str
    heard: Heard | None
    ask: Callable[[str], str] | None
    acts: bool
    phrases: Sequence[str] = ()


TOOLS: dict[str, ToolSpec] = {}

Function = Callable[..., Awaitable[str]]


def tool(
    intent: str = "",
    listen: Listen | None = None,
    take: Take | None = None,
    ask: str | Callable[[str], str] = "",
    acts: bool = False,
    phrases: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Registers `async def name(context: AgentContext, ...) -> str` under its name. Its docstring is the description, its other
    parameters are the arguments as pydantic takes them, and what it returns is told to a language model, or spoken as it is.
    `listen` and `take` are those of `Heard`, for a tool of which the language knows nothing. With `phrases` and no `intent` the
    intent has the tool's own name. Raises TypeError for a function of another form, and ValueError for a name that another module's
    tool has."""

    def register(function: Function) -> Function:
        name = function.__name__
        hints = get_type_hints(function, include_extras=True)
        given = list(inspect.signature(function).parameters.values())
        context, parameters = given[:1], given[1:]
        if not context or not inspect.iscoroutinefunction(function) or any(p.name not in hints for p in parameters):
            form = f"async def {name}(context: AgentContext, ...) -> str"
            raise TypeError(f"{name}: a tool is `{form}`, with a type for each argument")
        if name in TOOLS and TOOLS[name].run.__module__ != function.__module__:
            raise ValueError(f"there is a tool {name} already, in {TOOLS[name].run.__module__}")
        fields: dict[str, Any] = {
            p.name: (hints[p.name], ... if p.default is inspect.Parameter.empty else p.default) for p in parameters
        }
        TOOLS[name] = ToolSpec(
            name,
            inspect.getdoc(function) or "",
            create_model(name, __config__=ConfigDict(extra="forbid"), **fields),
            function,
            intent or (name if phrases else ""),
            Heard(listen, take) if listen is not None else None,
            (lambda text: ask) if isinstance(ask, str) and ask else ask or None,
            acts,
            phrases,
        )
        return function

    return register


def phrases_by_intent() -> dict[str, list[str]]:
    """What the tools add to the examples of what people say."""
    found: dict[str, list[str]] = {}
    for spec in TOOLS.values():
        found.setdefault(spec.intent, []).extend(spec.phrases)
    return {intent: phrases for intent, phrases in found.items() if phrases}


LONGEST_ARGUMENTS = 4000  # characters: what was done is remembered with them, and told to the model again with each turn


class Toolbox:
    """The tools as one reply uses them; `committed` is set when the turn that it answers is over."""

    def __init__(self, context: AgentContext, committed: asyncio.Event) -> None:
        self._context = context
        self.committed = committed
        self._told: dict[str, str] = {}  # what the tools that act have said in this reply, by their name

    def _allowed(self) -> list[ToolSpec]:
        chosen = self._context.memory.settings.tools
        return [spec for spec in TOOLS.values() if chosen is None or spec.name in chosen]

    def _for_intent(self, intent: str) -> list[ToolSpec]:
        return [spec for spec in self._allowed() if intent and spec.intent == intent]

    def _heard(self, found: ToolSpec) -> Heard:
        """How the arguments of a tool are heard: as it says itself, or the language; else one that needs some has none."""
        needs = any(argument.is_required() for argument in found.arguments.model_fields.values())
        return found.heard or self._context.language.hears.tools.get(found.name) or Heard(lambda text: None if needs else {})

    def offers(self) -> list[Tool]:
        """What a language model may use."""
        return [Tool(t.name, t.description, t.arguments.model_json_schema(), partial(self._call, t)) for t in self._allowed()]

    async def by_intent(self, intent: str, text: str) -> str | None:
        """What the tool for `intent` has to say to `text`, or the question for what it still must know; None: there is no such
        tool."""
        memory = self._context.memory
        asked, request = next((spec for spec in self._allowed() if spec.name == memory.asked), None), memory.request
        # Of several tools for one intent it is the first that hears what it must know.
        found, arguments = await self._answered(asked, request, text)
        if found is None and (wanted := self._for_intent(intent)):
            found = next((t for t in wanted if self._heard(t).listen(text) is not None), None) or next(
                filter(lambda t: t.ask, wanted), wanted[0]
            )
            arguments = self._heard(found).listen(text)
        if found is None and asked is None:
            return None
        await self.committed.wait() if asked is not None or (found is not None and found.acts) else None
        memory.asked = ""
        if found is None:
            return None
        if found.name in self._told:  # a language model has called it, and then had nothing to say
            return self._told[found.name]
        if arguments is None:
            memory.asked, memory.request = found.name, text
            asking = self._heard(found).ask or found.ask
            return self._context.dialogue.line(asking(text) if asking else "apology_tool")
        try:
            said = await self._run(found, found.arguments(**arguments))
        except (ToolError, ValidationError) as error:
            log.warning("tool %s could not do it: %s", found.name, type(error).__name__)  # its words quote the user
            return self._context.dialogue.line("apology_tool")
        if isinstance(said, Asks):
            await self.committed.wait()
            memory.asked, memory.request = found.name, text
        return said

    async def _answered(self, asked: ToolSpec | None, request: str, text: str) -> tuple[ToolSpec | None, dict[str, Any] | None]:
        """The tool that `text` answers, where one has asked, and its arguments. What the answer leaves open is taken from what was
        said before: "a pasta timer" keeps its name."""
        for found in self._for_intent(asked.intent) if asked is not None else ():
            heard = self._heard(found)
            taken = heard.take(text, self._context.memory) if heard.take is not None else heard.listen(text)
            arguments = await taken if isinstance(taken, Awaitable) else taken
            if arguments is not None:
                before = heard.listen(f"{request} {text}") or {}
                return found, {name: value or before.get(name, value) for name, value in arguments.items()}
        return None, None

    async def _call(self, found: ToolSpec, arguments: str) -> str:
        """For a language model: JSON in, and a word on what went wrong instead of an exception."""
        if len(arguments) > LONGEST_ARGUMENTS:
            return f"Wrong arguments: more than {LONGEST_ARGUMENTS} characters"
        try:
            return await self._run(found, found.arguments.model_validate_json(arguments))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            log.warning("tool %s was called wrongly: %s", found.name, faults)
            return f"Wrong arguments: {faults}"
        except ToolError as error:
            log.warning("tool %s could not do it: %s", found.name, type(error).__name__)  # its words quote the user
            return f"It failed: {error}"

    async def _run(self, found: ToolSpec, arguments: BaseModel) -> str:
        if not found.acts:
            return await self._result(found, arguments)
        await self.committed.wait()
        said = "It was broken off, and may have been done or not."
        try:
            said = await self._result(found, arguments)
        except ToolError as error:
            said = f"It failed: {error}"
            raise
        finally:  # whoever is told of it, or nobody: it is remembered
            self._context.memory.done.append(Deed(found.name, arguments.model_dump_json(exclude_unset=True), said[:LONGEST]))
        self._told[found.name] = said
        return said

    async def _result(self, found: ToolSpec, arguments: BaseModel) -> str:
        values: Mapping[str, Any] = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        try:
            async with asyncio.timeout(self._context.settings.tool_timeout_s):
                return await found.run(self._context, **values)
        except TimeoutError as error:
            raise ToolError("it took too long") from error
        except ToolError:
            raise
        except Exception as error:  # a tool is anybody's code: the conversation goes on without it
            log.exception("tool %s failed", found.name)
            raise ToolError(f"{type(error).__name__}: {error}") from error
