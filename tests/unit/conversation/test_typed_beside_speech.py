"""A line typed while the user speaks, or as the turn ends: what was said and what was typed are both told, answered and
remembered, once each, whenever the line comes."""

import asyncio
from typing import Any

import pytest

from app.protocol.messages import MAX_TEXT, Text
from services.base import ServiceError
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run

SPOKEN, TYPED = "my number is", "0123"


def _whole(caller: Caller, *parts: str) -> None:
    """Each of `parts` was told, asked and remembered, once."""
    said = " | ".join(exchange.user for exchange in caller.session.memory.history)
    told = [message.text for message in caller.of("transcript") if message.final]  # type: ignore[union-attr]
    asked = [question.text for question in caller.services.llm.asked]  # type: ignore[attr-defined]
    for part in parts:
        assert said.count(part) == 1, said
        assert any(part in text for text in told), told
        assert any(part in text for text in asked), asked
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]


async def _speak_and_type(caller: Caller, at_s: float, say_s: float = 1.0, *typed: str) -> None:
    """Speaks for `say_s`, and types `at_s` after its beginning."""
    for text in typed or (TYPED,):
        asyncio.get_running_loop().call_later(at_s, caller.session.receive, Text(text=text))
    await caller.say(say_s)
    await asyncio.sleep(12)


MANNERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unsure whether it was all": {"complete": 0.1},
    "slow recogniser": {"recogniser_s": 0.6},
    "one short word": {"say_s": 0.3},
}


@pytest.mark.parametrize("after_s", [-0.2, -0.06, -0.02, 0.0, 0.02, 0.06, 0.1, 0.2, 0.35, 0.6, 1.0])
@pytest.mark.parametrize("manner", MANNERS)
def test_a_line_typed_as_the_turn_ends_costs_no_word(manner: str, after_s: float) -> None:
    how = MANNERS[manner]
    say_s = how.get("say_s", 1.0)

    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            caller.services.stt.delay_s = how.get("recogniser_s", 0.15)  # type: ignore[attr-defined]
            caller.services.turn.complete_ = how.get("complete", 0.98)  # type: ignore[attr-defined]
            await _speak_and_type(caller, say_s + after_s, say_s)
            return caller

    _whole(run(scene()), SPOKEN, TYPED)


@pytest.mark.parametrize("after_s", [-0.6, -0.3, -0.1, 0.0, 0.1, 0.3])
def test_a_noise_beside_a_text_neither_swallows_it_nor_adds_to_it(after_s: float) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = ""  # type: ignore[attr-defined]
            await _speak_and_type(caller, 1.0 + after_s)
            return caller

    caller = run(scene())
    _whole(caller, TYPED)
    assert [exchange.user for exchange in caller.session.memory.history] == [TYPED]


@pytest.mark.parametrize("over", ["THINKING", "SPEAKING"])
@pytest.mark.parametrize("after_s", [-0.3, 0.0, 0.1, 0.3])
def test_what_is_said_over_the_agent_and_typed_is_whole(over: str, after_s: float) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            caller.services.llm.delay_s = 0.8  # type: ignore[attr-defined]
            caller.session.receive(Text(text="the question before"))
            await caller.until(over)
            await asyncio.sleep(0.5)
            await _speak_and_type(caller, 1.0 + after_s)
            return caller

    _whole(run(scene()), SPOKEN, TYPED)


def test_who_goes_on_after_the_text_is_heard_to_the_end() -> None:
    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_later(0.9, caller.session.receive, Text(text=TYPED))
            await caller.say(1.0, then=0.4)
            caller.services.stt.text = "and thanks"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await asyncio.sleep(12)
            return caller

    _whole(run(scene()), SPOKEN, TYPED, "and thanks")


def test_several_lines_beside_one_spoken_turn_are_answered_with_it() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            await _speak_and_type(caller, 0.95, 1.0, "0123", "456")
            return caller

    caller = run(scene())
    assert [exchange.user for exchange in caller.session.memory.history] == ["my number is 0123 456"]


def test_a_line_too_long_to_be_one_turn_with_what_was_said_follows_it() -> None:
    typed = "x" * (MAX_TEXT - len(SPOKEN))

    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            await _speak_and_type(caller, 0.95, 1.0, typed)
            return caller

    caller = run(scene())
    assert [exchange.user for exchange in caller.session.memory.history] == [SPOKEN, typed]


def test_a_text_does_not_wait_for_the_melody_of_the_turn() -> None:
    """Who has typed a line has said what is to be said: an end that would be waited for is not."""

    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            caller.services.turn.complete_ = 0.05  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_later(0.9, caller.session.receive, Text(text=TYPED))
            await caller.say(1.0)
            await caller.until("THINKING", limit=0.5)
            return caller

    run(scene())


@pytest.mark.parametrize("fault", ["fails", "hangs"])
def test_a_text_beside_words_that_cannot_be_had_is_answered(fault: str) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.error = ServiceError("stt", "away") if fault == "fails" else None  # type: ignore[attr-defined]
            caller.services.stt.delay_s = 10_000 if fault == "hangs" else 0.1  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_later(0.9, caller.session.receive, Text(text=TYPED))
            await caller.say(1.0)
            await caller.until("SPEAKING", limit=12)
            await asyncio.sleep(10)
            return caller

    _whole(run(scene()), TYPED)


def test_a_text_is_answered_where_the_sound_ends_in_mid_turn() -> None:
    """A microphone that is taken away sends nothing more, not even silence."""

    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = SPOKEN  # type: ignore[attr-defined]
            caller.speaking = True
            await asyncio.sleep(1.0)
            caller.session.hear = lambda samples: None  # type: ignore[method-assign]
            caller.session.receive(Text(text=TYPED))
            await caller.until("SPEAKING", limit=12)
            await asyncio.sleep(10)
            return caller

    _whole(run(scene()), TYPED)
