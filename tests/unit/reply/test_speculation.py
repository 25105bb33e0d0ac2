"""What speculation costs is counted: replies prepared and dropped, the services' time that went with them. And what it spares."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from tests.unit.fakes import Caller, FakeStt, FakeTurn, fake_services
from tests.unit.virtual_time import run

NAMES = {
    "prepared": ("parley_speculation_prepared_total", {}),
    "dropped": ("parley_speculation_dropped_total", {}),
    "stt": ("parley_speculation_wasted_seconds_total", {"service": "stt"}),
    "tts": ("parley_speculation_wasted_seconds_total", {"service": "tts"}),
}


def counted() -> dict[str, float]:
    return {key: REGISTRY.get_sample_value(name, labels) or 0.0 for key, (name, labels) in NAMES.items()}


def cost_of_a_turn(pause_s: float) -> dict[str, float]:
    """The user says something, pauses so long, and says the rest; FakeStt takes 150 ms and FakeTts 20 ms a clause. A pause may
    be as long as 1.6 s, and a reply is prepared after 128 ms of it."""

    async def scene() -> None:
        async with Caller(pause_ms=128) as caller:
            caller.services.turn.complete_ = 0.05  # type: ignore[attr-defined]
            if pause_s:
                await caller.say(1.0, then=pause_s)
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")

    before = counted()
    run(scene())
    return {key: value - before[key] for key, value in counted().items()}


def test_a_pause_that_was_not_the_end_costs_what_was_prepared_in_it() -> None:
    cost = cost_of_a_turn(pause_s=0.7)
    assert (cost["prepared"], cost["dropped"]) == (2, 1)
    assert cost["stt"] == pytest.approx(0.15)
    assert cost["tts"] == pytest.approx(3 * 0.02)


def test_a_transcription_cut_short_is_waste_too() -> None:
    cost = cost_of_a_turn(pause_s=0.14)
    assert (cost["prepared"], cost["dropped"], cost["tts"]) == (1, 0, 0)
    assert 0.05 < cost["stt"] < 0.15


def test_a_reply_that_is_heard_is_no_waste() -> None:
    cost = cost_of_a_turn(pause_s=0.0)
    assert cost == {"prepared": 1, "dropped": 0, "stt": 0, "tts": 0}


def test_the_last_caption_is_the_guess_of_what_is_said() -> None:
    async def scene() -> list[str]:
        async with Caller() as caller:
            for _ in range(2):
                await caller.say(2.5)
                await caller.until("SPEAKING")
                await caller.until("LISTENING")
            assert isinstance(caller.services.stt, FakeStt)
            return caller.services.stt.guesses

    assert run(scene()) == ["", *["how does it work"] * 4] * 2, "four captions, then the end, for each turn"


def test_a_request_whose_sentence_surely_ends_is_answered_sooner() -> None:
    def silence(sentence_end: float) -> float:
        async def scene() -> float:
            async with Caller(partial_every_ms=60_000) as caller:
                assert isinstance(caller.services.stt, FakeStt) and isinstance(caller.services.turn, FakeTurn)
                caller.services.stt.text, caller.services.stt.sentence_end = "I want a small coffee with milk.", sentence_end
                caller.services.turn.complete_ = 0.9
                await caller.say(1.0)
                began = caller.clock.ms()
                await caller.until("SPEAKING")
                return caller.clock.ms() - began

        return run(scene())

    assert silence(0.95) + 250 < silence(0.5)


def test_a_question_that_surely_ends_is_not_listened_to_for_its_melody() -> None:
    def verdicts(sentence_end: float) -> int:
        async def scene() -> int:
            async with Caller(partial_every_ms=60_000) as caller:
                assert isinstance(caller.services.stt, FakeStt) and isinstance(caller.services.turn, FakeTurn)
                caller.services.stt.text, caller.services.stt.sentence_end = "How many wings does a bird have?", sentence_end
                await caller.say(1.0)
                await caller.until("SPEAKING")
                return caller.services.turn.asked

        return run(scene())

    assert verdicts(0.96) == 0
    assert verdicts(0.9) == 1


def test_a_service_that_hears_for_money_is_not_asked_at_every_breath() -> None:
    def asked(remote: frozenset[str], **settings: object) -> int:
        async def scene() -> int:
            async with Caller(replace(fake_services(), remote=remote), partial_every_ms=60_000, **settings) as caller:
                await caller.say(0.6, then=0.14)
                await caller.say(0.6, then=0.14)
                await caller.say(0.6)
                await caller.until("SPEAKING")
                assert isinstance(caller.services.stt, FakeStt)
                return len(caller.services.stt.heard_s)

        return run(scene())

    assert asked(frozenset({"stt"})) == 1
    assert asked(frozenset({"stt"}), speculate_remotely=True) == 3
    assert asked(frozenset()) == 3
