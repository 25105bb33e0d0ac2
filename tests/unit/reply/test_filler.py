"""Fillers in virtual time."""

import numpy as np

from app.dialogue.phrasebook import Phrasebook
from languages.en import LANGUAGE as ENGLISH
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run


def test_a_filler_gives_way_to_the_answer_without_a_click() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 1.2  # type: ignore[attr-defined]
            caller.services.stt.text = "how does it work for you?"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING", 30)
            return caller

    caller = run(scene())
    filler, answer = [m.text for m in caller.of("agent_response") if m.text][:2]
    assert filler in Phrasebook(ENGLISH).lines["filler"]
    sound = np.concatenate([frame.samples for frame in caller.audible()]).astype(int)
    assert len(sound) / 48_000 < (len(filler.split()) + 17) * 0.25, "the filler was spoken to its end"
    fade = sound[(sound > 0) & (sound < 500)]
    assert len(fade) > 900
    assert (np.diff(fade) <= 0).all()
    assert caller.session.memory.history[-1].heard.endswith("third of them.")
    assert answer == "The first sentence is here."
    assert caller.session.memory.waits[-1] > 900


def test_a_slow_service_is_announced_sooner_and_at_more_length() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 4.0  # type: ignore[attr-defined]
            for _ in range(2):
                await caller.say(1.0)
                await caller.until("SPEAKING")
                await caller.until("LISTENING", 60)
            return caller

    caller = run(scene())
    first, second = [m.text for m in caller.of("agent_response") if m.text.strip()][::4]
    assert first in Phrasebook(ENGLISH).lines["filler"]
    assert second in Phrasebook(ENGLISH).lines["filler_long"]


def test_no_filler_where_the_answer_is_ready() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert next(m.text for m in caller.of("agent_response")) == "The first sentence is here."
    assert caller.session.memory.waits[-1] < 500
