"""Tools: functions that the agent runs while it answers. A language model is offered them with a schema of their arguments;
without a language model they are found by the intent of what was said."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Before
from languages.base import Language
from languages.tools import Arguments, Heard, Remembered
from services.base import Deed, Tool

log = logging.getLogger(__name__)

LONGEST = 500  # characters of what came of a tool that are remembered
BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}  # pydantic's errors of a number out of range

Listen = Callable[[str], Arguments | None]
Take = Callable[[str, Remembered], Arguments | Awaitable[Arguments | None] | None]


class Asks(str):
    """What a tool returns to ask for something that it must know: the user's next turn may be the answer."""


class ToolError(Exception):
    """Raised by a tool that could not do its work; the message says why, to a language model."""


class NotMine(ToolError):
    """Raised by a tool, its `listen` or its `take` for a turn that only sounds like its own: that turn is answered as if there
    were no such tool, and the tool must not have done anything."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A registered tool. `heard` tells how the arguments are heard in spoken text; None: the language tells it, by the tool's
    name. The line that `ask` names asks for missing arguments, where the language names no other line. A tool that `acts`
    changes something: it is not run while the turn may still go on. A tool `on_timers` changes nothing but the timers of the
    conversation, which can be taken back where the turn goes on after all. `phrases` are examples of what people say who want
    the tool, beside the examples of its intent in the language."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[..., Awaitable[str]]
    intent: str
    heard: Heard | None
    ask: Callable[[str], str] | None
    acts: bool
    on_timers: bool
    phrases: Sequence[str] = ()


TOOLS: dict[str, ToolSpec] = {}

Function = Callable[..., Awaitable[str]]


def tool(
    intent: str = "",
    listen: Listen | None = None,
    take: Take | None = None,
    ask: str | Callable[[str], str] = "",
    acts: bool = False,
    on_timers: bool = False,
    phrases: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Registers `async def name(context: AgentContext, ...) -> str` under its name. Its docstring is the description, its other
    parameters are the arguments as pydantic takes them, and its result is told to a language model, or spoken as it is.
    `listen` and `take` are those of `Heard`, for a tool that the language does not know. With `phrases` and no `intent`, the
    intent has the tool's own name. Raises TypeError for a function of another form and for `take` alone, and ValueError for a
    name that another module's tool has."""

    def register(function: Function) -> Function:
        name = function.__name__
        hints = get_type_hints(function, include_extras=True)
        given = list(inspect.signature(function).parameters.values())
        context, parameters = given[:1], given[1:]
        if not context or not inspect.iscoroutinefunction(function) or any(p.name not in hints for p in parameters):
            form = f"async def {name}(context: AgentContext, ...) -> str"
            raise TypeError(f"{name}: a tool is `{form}`, with a type for each argument")
        if take is not None and listen is None:
            raise TypeError(f"{name}: `take` hears an answer, and `listen` is missing, which hears a turn")
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
            acts or on_timers,
            on_timers,
            phrases,
        )
        return function

    return register


def phrases_by_intent() -> dict[str, list[str]]:
    """The examples that the tools add to what people say, by intent."""
    found: dict[str, list[str]] = {}
    for spec in TOOLS.values():
        found.setdefault(spec.intent, []).extend(spec.phrases)
    return {intent: phrases for intent, phrases in found.items() if phrases}


def warn_of_unheard(language: Language) -> None:
    """Logs which tools (ours are known to do without) need an argument that nothing hears in `language`."""
    for spec in TOOLS.values():
        needed = [name for name, field in spec.arguments.model_fields.items() if field.is_required()]
        hears = spec.heard is not None or spec.name in language.hears.tools
        if spec.intent and needed and not hears and not spec.run.__module__.startswith(f"{__package__}."):
            wanted = ", ".join(f"`{name}`" for name in needed)
            log.warning("tool %s needs %s, and nothing hears it without a language model (`listen=`)", spec.name, wanted)


FAILED = "It failed: "
BROKEN_OFF = "It was broken off, and may have been done or not."
UNDONE = (FAILED, BROKEN_OFF)
LONGEST_ARGUMENTS = 4000  # characters: what was done is remembered with them, and told to the model again with each turn


def together(request: str, answer: str) -> str:
    """The request to a tool and the answer to its question as one turn."""
    return f"{request.rstrip(' .,;!?')}, {answer}"


class Toolbox:
    """The tools for one reply; `committed` is set when the turn that the reply answers is over."""

    def __init__(self, context: AgentContext, committed: asyncio.Event) -> None:
        self._context = context
        self.committed = committed
        self.acted = False  # the words of the turn have run a tool that acts
        self.told: tuple[str, Arguments] | None = None  # as `Memory.told`, for when the turn has ended
        # What tools have said to a language model in this reply, or done before a turn that went on, by their name: they do not do
        # it again for the words of the turn.
        done = context.memory.done[: context.memory.done_before]
        self._told = {deed.name: deed.result for deed in done if not deed.result.startswith(UNDONE)}

    def _allowed(self) -> list[ToolSpec]:
        chosen = self._context.memory.settings.tools
        return [spec for spec in TOOLS.values() if chosen is None or spec.name in chosen]

    def _for_intent(self, intent: str) -> list[ToolSpec]:
        return [spec for spec in self._allowed() if intent and spec.intent == intent]

    def _heard(self, found: ToolSpec) -> Heard:
        """The way in which the arguments of a tool are heard: its own, or the language's; without either, a tool that needs
        arguments hears none."""
        needs = any(argument.is_required() for argument in found.arguments.model_fields.values())
        return found.heard or self._context.language.hears.tools.get(found.name) or Heard(lambda text: None if needs else {})

    def _listened(self, found: ToolSpec, text: str) -> Arguments | None:
        """The arguments that a tool hears in `text`; None where it must know more, or raises NotMine."""
        try:
            return self._heard(found).listen(text)
        except NotMine:
            return None

    def _chosen(self, intent: str, text: str) -> tuple[ToolSpec | None, Arguments | None]:
        """The first of several tools for one intent that hears everything it must know, else one that asks for it."""
        heard: list[tuple[ToolSpec, Arguments | None]] = []
        for spec in self._for_intent(intent):
            with suppress(NotMine):
                heard.append((spec, self._heard(spec).listen(text)))
        if not heard:
            return None, None
        knows = (one for one in heard if one[1] is not None)
        return next(knows, None) or next((one for one in heard if one[0].ask), heard[0])

    def offers(self) -> list[Tool]:
        """The tools that a language model may use."""
        return [Tool(t.name, t.description, t.arguments.model_json_schema(), partial(self._call, t)) for t in self._allowed()]

    async def by_intent(self, intent: str, text: str) -> str | None:
        """What the tool for `intent` answers to `text`, or its question for what it must still know; None: there is no such
        tool, or it raises NotMine."""
        memory = self._context.memory
        asked, request = next((spec for spec in self._allowed() if spec.name == memory.asked), None), memory.request
        found, arguments = await self._answered(asked, request, text)
        if found is None and asked is not None and (more := self._heard(asked).adds(text)):
            found, text = asked, f"{request.rstrip(' .,;!?')} {more}"
        elif found is None:
            found, arguments = await self._followed(text) if asked is None else (None, None)
            if found is None:
                found, arguments = self._chosen(intent, text)
        if found is None and asked is None:
            return None
        await self.committed.wait() if asked is not None or (found is not None and found.acts) else None
        memory.asked = ""
        if found is None:
            return None
        if found.name in self._told:
            return self._told[found.name]
        if arguments is None:
            memory.asked, memory.request = found.name, text
            asking = self._heard(found).ask or found.ask
            if asking is None:
                log.warning("tool %s: what it needs was not heard, and nothing asks for it (`listen=`)", found.name)
            return self._context.dialogue.line(asking(text) if asking else "apology_tool")
        try:
            said = await self._act(found, found.arguments(**arguments))
            self.remember(found.name, arguments)
        except NotMine:
            return None
        except ToolError as error:
            log.warning("tool %s could not do it: %s", found.name, type(error).__name__)  # its words quote the user
            return self._context.dialogue.line("apology_tool")
        except ValidationError as error:
            # Field and kind alone are logged: the values quote the user.
            faults = [(".".join(map(str, fault["loc"][:1])), fault["type"]) for fault in error.errors()]
            log.warning("tool %s cannot use what was heard: %s", found.name, ", ".join(f"{at} ({kind})" for at, kind in faults))
            return self._context.dialogue.line("apology_range" if all(kind in BOUNDS for _, kind in faults) else "apology_tool")
        if isinstance(said, Asks):
            await self.committed.wait()
            memory.asked, memory.request = found.name, text
        return said

    async def _answered(self, asked: ToolSpec | None, request: str, text: str) -> tuple[ToolSpec | None, dict[str, Any] | None]:
        """The tool to whose question `text` is the answer, and its arguments. Arguments that the answer leaves open are taken
        from the request before: "a pasta timer" keeps its name."""
        for found in self._for_intent(asked.intent) if asked is not None else ():
            take = self._heard(found).take
            try:
                taken = take(text, self._context.memory) if take is not None else self._listened(found, text)
                arguments = await taken if isinstance(taken, Awaitable) else taken
            except NotMine:
                continue
            if arguments is not None:
                before = self._listened(found, together(request, text)) or {}
                return found, {name: value or before.get(name, value) for name, value in arguments.items()}
        return None, None

    def remember(self, name: str, arguments: Arguments) -> None:
        """The next turn may lean on this one, when it has ended: what a tool answered, and with what."""
        self.told = name, arguments
        if self.committed.is_set():
            self._context.memory.told = self.told

    async def _followed(self, text: str) -> tuple[ToolSpec | None, dict[str, Any] | None]:
        """The tool that answered last, and its arguments, where `text` only makes sense after that: "and in London?" """
        name, before = self._context.memory.told
        found = next((spec for spec in self._allowed() if spec.name == name), None)
        follows = self._heard(found).follows(text, before) if found is not None else None
        arguments = await follows if isinstance(follows, Awaitable) else follows
        return (found, arguments) if arguments is not None else (None, None)

    async def _call(self, found: ToolSpec, arguments: str) -> str:
        """Runs a tool for a language model: takes JSON, and returns a message for a fault instead of an exception."""
        if len(arguments) > LONGEST_ARGUMENTS:
            return f"Wrong arguments: more than {LONGEST_ARGUMENTS} characters"
        try:
            said = await self._run(found, found.arguments.model_validate_json(arguments))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            log.warning("tool %s was called wrongly: %s", found.name, faults)
            return f"Wrong arguments: {faults}"
        except ToolError as error:
            log.warning("tool %s could not do it: %s", found.name, type(error).__name__)  # its words quote the user
            return FAILED + (str(error) or type(error).__name__)
        if found.acts:
            self._told[found.name] = said
        return said

    async def _act(self, found: ToolSpec, arguments: BaseModel) -> str:
        """Runs a tool for the words of the turn, so that what it does to the timers can be taken back where the turn goes on."""
        memory = self._context.memory
        self.acted = self.acted or found.acts
        if found.on_timers:
            memory.before = memory.before or Before(tuple(memory.timers), memory.talk.spoken)
        known = len(memory.done)
        try:
            return await self._run(found, arguments)
        finally:
            if found.on_timers and memory.before is not None:
                memory.before.deeds.extend(memory.done[known:])

    async def _run(self, found: ToolSpec, arguments: BaseModel) -> str:
        if not found.acts:
            return await self._result(found, arguments)
        await self.committed.wait()
        came: str | None = BROKEN_OFF
        try:
            came = said = await self._result(found, arguments)
        except NotMine:
            came = None
            raise
        except ToolError as error:
            came = f"{FAILED}{error}"
            raise
        finally:  # whoever is told of it, or nobody: it is remembered
            if came is not None:
                self._context.memory.done.append(
                    Deed(found.name, arguments.model_dump_json(exclude_unset=True), came[:LONGEST])
                )
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
