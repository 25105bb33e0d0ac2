"""Tools: their schema, what a language model gets back, and reaching them without one."""

import asyncio
from typing import Annotated

import pytest
from pydantic import Field

from app import abilities
from app.dialogue import Dialogue, Memory, Phrasebook
from app.settings import Settings
from app.tools import TOOLS, Desk, Toolbox, ToolError, tool
from tests.unit.fakes import VirtualClock, fake_services
from tests.unit.virtual_time import run


def toolbox(committed: bool = True, memory: Memory | None = None) -> Toolbox:
    services, settings = fake_services(), Settings(_env_file=None, time_zone="Asia/Tokyo")  # type: ignore[call-arg]
    dialogue = Dialogue(Phrasebook(), services.retrieval.topics())
    over = asyncio.Event()
    if committed:
        over.set()
    return Toolbox(Desk(services, dialogue, memory or Memory(), settings, VirtualClock()), over)


def call(name: str, arguments: str, memory: Memory | None = None) -> str:
    async def scene() -> str:
        offered = {offer.name: offer for offer in toolbox(memory=memory).offers()}
        return await offered[name].run(arguments)

    return run(scene())


def said(intent: str, text: str, memory: Memory) -> str | None:
    async def scene() -> str | None:
        return await toolbox(memory=memory).by_intent(intent, text)

    return run(scene())


def test_arguments_become_a_schema() -> None:
    schema = TOOLS["set_timer"].arguments.model_json_schema()
    assert schema["properties"]["seconds"]["type"] == "number"
    assert schema["properties"]["seconds"]["maximum"] == 86_400
    assert schema["required"] == ["seconds"]
    assert "desk" not in schema["properties"]
    assert TOOLS["set_timer"].description.startswith("Sets a timer")


def test_a_model_is_told_what_is_wrong_with_its_arguments() -> None:
    assert "seconds" in call("set_timer", "{}")
    assert call("set_timer", "not json").startswith("Wrong arguments")
    assert "extra" in call("current_time", '{"zone": "", "planet": "Mars"}').lower()
    assert "time zone" in call("current_time", '{"zone": "Mars/Olympus"}')


def test_the_clock_tells_the_time_of_the_zone() -> None:
    # 1 700 000 000 s are 2023-11-14 22:13:20 UTC.
    assert call("current_time", "{}") == "It's 7:13 AM."
    assert call("current_time", '{"zone": "Europe/Berlin"}') == "It's 11:13 PM."
    assert said("date", "what day is it", Memory()) == "Today is Wednesday, November 15, 2023."


def test_timers_are_set_listed_and_cancelled_by_voice() -> None:
    memory = Memory()
    assert "10 minutes" in (said("set_timer", "set a timer for ten minutes", memory) or "")
    assert "1 hour" in (said("set_timer", "remind me in an hour to check the oven", memory) or "")
    assert [timer.about for timer in memory.timers] == ["", "check the oven"]
    assert said("list_timers", "how long", memory) == "It's 10 minutes, then 1 hour from now."
    said("cancel_timer", "cancel the ten minute timer", memory)
    assert [timer.length_s for timer in memory.timers] == [3600]
    said("cancel_timer", "cancel all timers", memory)
    assert memory.timers == []
    assert said("cancel_timer", "cancel the timer", memory) == "There is no timer running."


def test_what_is_missing_is_asked_for_and_taken_from_the_next_turn() -> None:
    memory = Memory()
    assert said("set_timer", "set a timer", memory) == "For how long?"
    assert "5 minutes" in (said("out_of_scope", "five minutes please", memory) or "")
    assert len(memory.timers) == 1
    said("set_timer", "set a timer", memory)
    assert said("question", "what is latency", memory) is None
    assert said("out_of_scope", "five minutes please", memory) is None  # nobody waits for it any more


def test_a_search_finds_passages() -> None:
    assert call("search_knowledge", '{"query": "turns"}') == "One: The first passage."
    assert abilities.sought("Search the knowledge base for jitter buffers") == "jitter buffers"
    assert abilities.sought("How does it work?") == "How does it work?"


@pytest.fixture
def own_tools() -> object:
    before = dict(TOOLS)
    yield
    TOOLS.clear()
    TOOLS.update(before)


def test_a_tool_that_hangs_or_breaks_does_not_stop_the_conversation(own_tools: object) -> None:
    @tool(intent="hang")
    async def hang(desk: Desk) -> str:
        """Takes for ever."""
        await asyncio.sleep(1000)
        return ""

    @tool(intent="broken")
    async def broken(desk: Desk, much: Annotated[int, Field(ge=1)] = 1) -> str:
        """Divides."""
        return str(much / 0)

    @tool(intent="refuses")
    async def refuses(desk: Desk) -> str:
        """Will not."""
        raise ToolError("not today")

    assert call("hang", "{}") == "It failed: it took too long"
    assert "ZeroDivisionError" in call("broken", "{}")
    assert call("refuses", "{}") == "It failed: not today"
    assert "orry" in (said("hang", "", Memory()) or "")
    assert "orry" in (said("broken", "", Memory()) or "")


def test_what_acts_waits_for_the_end_of_the_turn_and_what_only_tells_does_not() -> None:
    async def scene() -> None:
        memory = Memory()
        box = toolbox(committed=False, memory=memory)
        assert await box.by_intent("time", "what time is it")
        setting = asyncio.create_task(box.by_intent("set_timer", "set a timer for one minute"))
        await asyncio.sleep(10)
        assert memory.timers == []
        box.committed.set()
        await setting
        assert len(memory.timers) == 1

    run(scene())
