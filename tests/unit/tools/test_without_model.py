"""Tools of somebody else without a language model: arguments that are not heard, do not fit, or are not meant."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import Field

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.tools.registry import TOOLS, Asks, NotMine, tool, warn_of_unheard
from languages.en import LANGUAGE as ENGLISH
from languages.tools import Heard
from tests.unit.tools.test_registry import call, said, toolbox
from tests.unit.virtual_time import run


@pytest.fixture(autouse=True)
def own_tools() -> Iterator[None]:
    tools = dict(TOOLS)
    yield
    TOOLS.clear()
    TOOLS.update(tools)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("reached", [{"phrases": ["convert a temperature"]}, {"intent": "question"}])
def test_a_tool_whose_arguments_nothing_hears_is_named_at_the_start(
    caplog: pytest.LogCaptureFixture, reached: dict[str, Any]
) -> None:
    async def convert(context: AgentContext, degrees: float, zone: str, unit: str = "celsius") -> str:
        return ""

    tool(**reached)(convert)
    warn_of_unheard(ENGLISH)
    assert warnings(caplog) == [
        "tool convert needs `degrees`, `zone`, and nothing hears it without a language model (`listen=`)"
    ]
    caplog.clear()
    hears = replace(ENGLISH.hears, tools={**ENGLISH.hears.tools, "convert": Heard(lambda text: None)})
    warn_of_unheard(replace(ENGLISH, hears=hears))
    tool(listen=lambda text: None, **reached)(convert)
    warn_of_unheard(ENGLISH)
    assert not warnings(caplog)


def test_a_tool_that_needs_nothing_or_is_for_a_model_alone_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    @tool(phrases=["roll a die"])
    async def roll(context: AgentContext, sides: int = 6) -> str:
        return ""

    @tool()
    async def look_up(context: AgentContext, query: str) -> str:
        return ""

    warn_of_unheard(ENGLISH)
    warn_of_unheard(replace(ENGLISH, hears=replace(ENGLISH.hears, tools={})))  # ours
    assert not warnings(caplog)


def test_what_is_not_heard_and_not_asked_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @tool(phrases=["convert a temperature"])
    async def convert(context: AgentContext, degrees: float) -> str:
        return ""

    assert (said("convert", "convert a temperature", Memory()) or "").startswith("Sorry, I couldn't do that")
    assert warnings(caplog) == ["tool convert: what it needs was not heard, and nothing asks for it (`listen=`)"]


def test_an_answer_cannot_be_heard_where_no_turn_is() -> None:
    with pytest.raises(TypeError, match="convert: `take` hears an answer, and `listen` is missing"):

        @tool(take=lambda text, remembered: {})
        async def convert(context: AgentContext) -> str:
            return ""


def hands_back(where: str, acts: bool = False) -> None:
    """Registers a tool that is meant for Fahrenheit alone, and says so in its `listen`, or itself."""

    def listen(text: str) -> dict[str, Any]:
        if where == "listen" and "fahrenheit" not in text:
            raise NotMine
        return {"text": text}

    def take(text: str, remembered: Any) -> dict[str, Any]:
        if "degrees" not in text:
            raise NotMine
        return {"text": text}

    @tool(phrases=["convert a temperature"], listen=listen, take=take, acts=acts)
    async def convert(context: AgentContext, text: str) -> str:
        if where == "tool" and "fahrenheit" not in text and "degrees" not in text:
            raise NotMine("this is not about Fahrenheit")
        return "68." if "20" in text else Asks("How many degrees?")


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("where", ["listen", "tool"])
def test_a_turn_that_is_not_meant_for_a_tool_is_handed_back(where: str, acts: bool, caplog: pytest.LogCaptureFixture) -> None:
    hands_back(where, acts)
    memory = Memory()
    assert said("convert", "the temperature in paris", memory) is None
    assert not memory.done and not memory.asked and not warnings(caplog), "nothing was done, nothing has failed"
    assert said("convert", "20 celsius in fahrenheit", memory) == "68."
    assert len(memory.done) == acts


@pytest.mark.parametrize("where", ["listen", "tool"])
def test_an_answer_that_is_none_is_handed_back_and_another_is_taken(where: str) -> None:
    hands_back(where)
    memory = Memory()
    assert said("convert", "convert to fahrenheit", memory) == "How many degrees?"
    assert said("out_of_scope", "what is latency", memory) is None and not memory.asked
    said("convert", "convert to fahrenheit", memory)
    assert said("out_of_scope", "20 degrees", memory) == "68.", "what `listen` hands back, `take` may have taken"


def test_another_tool_for_the_same_intent_is_asked_where_one_hands_back() -> None:
    hands_back("listen")

    @tool(intent="convert")
    async def weather(context: AgentContext) -> str:
        return "It rains."

    assert said("convert", "the temperature in paris", Memory()) == "It rains."


def test_a_model_is_told_that_a_tool_is_not_meant_for_it() -> None:
    hands_back("tool")
    assert call("convert", '{"text": "paris"}') == "It failed: this is not about Fahrenheit"


@pytest.mark.parametrize(
    ("sides", "answer", "logged"),
    [
        (1000, "Sorry, that number is out of range.", "sides (less_than_equal)"),
        (1, "Sorry, that number is out of range.", "sides (greater_than_equal)"),
        ("a secret word", "Sorry, I couldn't do that just now. Please try again.", "sides (int_parsing)"),
    ],
)
def test_what_an_argument_cannot_be_is_told_and_logged_by_its_field(
    caplog: pytest.LogCaptureFixture, sides: object, answer: str, logged: str
) -> None:
    @tool(phrases=["roll a die"], listen=lambda text: {"sides": sides})
    async def roll(context: AgentContext, sides: Annotated[int, Field(ge=2, le=100)] = 6) -> str:
        return "It's a one."

    assert said("roll", "roll it", Memory()) == answer
    assert warnings(caplog) == [f"tool roll cannot use what was heard: {logged}"]


def test_the_words_of_the_user_in_a_table_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    @tool(phrases=["vote"], listen=lambda text: {"votes": {"a secret word": "many"}})
    async def vote(context: AgentContext, votes: dict[str, int]) -> str:
        return ""

    async def scene() -> str | None:
        return await toolbox().by_intent("vote", "vote")

    assert run(scene()) is not None
    assert warnings(caplog) == ["tool vote cannot use what was heard: votes (int_parsing)"]
