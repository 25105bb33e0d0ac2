"""What the agent does when nobody speaks, in virtual time."""

import asyncio

from app.protocol.messages import Text
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run

LIMITS = {"silence_prompt_s": 10.0, "silence_goodbye_s": 20.0}


def lines(caller: Caller) -> list[str]:
    """The names of what the agent said unasked."""
    events = [entry["event"] for entry in caller.recorder.entries if entry["kind"] == "event"]
    return [event["line"] for event in events if event["type"] == "prompted"]


async def answered(caller: Caller) -> None:
    await caller.say(1.0)
    await caller.until("SPEAKING")
    await caller.until("LISTENING")


def test_a_long_silence_is_broken_and_a_longer_one_ends_the_conversation() -> None:
    async def scene() -> Caller:
        async with Caller(**LIMITS) as caller:
            await answered(caller)
            began = caller.clock.ms()
            await caller.until("SPEAKING")
            assert 10_000 <= caller.clock.ms() - began < 10_500
            await caller.until("LISTENING")
            assert lines(caller) == ["still_there"]
            await caller.until("SPEAKING", 30)
            await caller.until("IDLE")
            assert caller.session.ended.is_set()
            return caller

    assert lines(run(scene())) == ["still_there", "silence_goodbye"]


def test_nothing_is_said_before_the_first_turn_nor_to_somebody_who_types() -> None:
    async def scene() -> Caller:
        async with Caller(**LIMITS) as caller:
            await asyncio.sleep(100)
            caller.session.receive(Text(text="how does it work"))
            await caller.until("LISTENING")
            await asyncio.sleep(100)
            return caller

    assert lines(run(scene())) == []


def test_a_turn_begins_the_count_anew() -> None:
    async def scene() -> Caller:
        async with Caller(**LIMITS) as caller:
            for _ in range(4):
                await answered(caller)
                await asyncio.sleep(8)
            for prompts in (1, 2):
                await answered(caller)
                await caller.until("SPEAKING", 12)
                await caller.until("LISTENING")
                assert lines(caller) == ["still_there"] * prompts
            return caller

    assert lines(run(scene())) == ["still_there", "still_there"]


def test_nobody_is_prompted_while_they_speak_or_the_agent_does() -> None:
    async def scene() -> Caller:
        async with Caller(**(LIMITS | {"max_turn_s": 60.0})) as caller:
            caller.services.llm.pieces = ["word " * 40 + ". "] * 3  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING", 60)
            assert lines(caller) == []
            await asyncio.sleep(9)
            await caller.say(20)
            return caller

    assert lines(run(scene())) == []


def test_both_can_be_switched_off() -> None:
    async def scene(prompt: float, goodbye: float) -> Caller:
        async with Caller(silence_prompt_s=prompt, silence_goodbye_s=goodbye) as caller:
            await answered(caller)
            await asyncio.sleep(300)
            return caller

    assert lines(run(scene(0, 20))) == []
    assert lines(run(scene(10, 0))) == ["still_there"]
