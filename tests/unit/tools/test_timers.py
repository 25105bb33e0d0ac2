"""Spoken lengths of time, and timers that speak up: in virtual time."""

import asyncio

import pytest

from app.dialogue.memory import Memory, Timer
from app.protocol.messages import Text
from app.tools.builtin import MOST
from languages.en.timers import heard_length, said_length
from server.sessions.recorder import memory_of, record_of
from tests.unit.fakes import Caller, FakeIntent, FakeStt, fake_services
from tests.unit.virtual_time import run


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Set a timer for ten minutes.", 600),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("90 seconds", 90),
        ("a ninety-second timer", 90),
        ("one minute and thirty seconds", 90),
        ("half an hour", 1800),
        ("three quarters of an hour", 2700),
        ("a quarter of an hour", 900),
        ("a couple of minutes", 120),
        ("two and a half minutes", 150),
        ("two hours, five minutes and ten seconds", 7510),
        ("twenty-five mins", 1500),
        ("ten minutes to boil the eggs for five minutes", 600),
        ("remind me to boil the eggs for five minutes in ten minutes", 600),
        ("ten minutes, no, five minutes", 300),
        ("one hour thirty", 5400),
        ("an hour thirty", 5400),
        ("hour and a half", 5400),
        ("two minutes twenty", 140),
        ("half hour timer", 1800),
        ("a half-hour timer", 1800),
        ("half a minute", 30),
        ("an hour and a quarter", 4500),
        ("one and a quarter hours", 4500),
        ("quarter hour", 900),
        ("1h30", 5400),
        ("1h 30m", 5400),
        ("90s", 90),
        ("1 1/2 hours", 5400),
        ("one hundred and five minutes", 6300),
        ("half a day", 43_200),
        ("in two days", 172_800),
        ("one hour at 30 percent", 3600),
        ("one and three quarter hours", 6300),
        ("two hours and three quarters", 9900),
        ("an hour plus ten minutes", 4200),
        ("10 more minutes", 600),
        ("ten or so minutes", 600),
        ("1:30 minutes", 90),
    ],
)
def test_a_spoken_length_is_understood(text: str, seconds: float) -> None:
    assert heard_length(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "set a timer",
        "ten",
        "the second one",
        "at half past nine",
        "",
        "five to ten minutes",
        "five or ten minutes",
        "an hour or two",
        "minus five minutes",
        "a few minutes",
        "zero minutes",
        "ten minutes and then for five minutes",
        "at five p.m.",
    ],
)
def test_what_names_no_length_gives_none(text: str) -> None:
    assert heard_length(text) is None


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 90, 3600, 3661, 5400, 7510, 86_400])
def test_what_is_said_is_understood_again(seconds: float) -> None:
    assert heard_length(said_length(seconds)) == seconds


def asking(text: str, intent: str, **settings: object) -> Caller:
    services = fake_services()
    assert isinstance(services.stt, FakeStt)
    assert isinstance(services.intent, FakeIntent)
    services.stt.text, services.intent.name = text, intent
    return Caller(services, **settings)


def spoken(caller: Caller) -> list[str]:
    return [message.text for message in caller.of("agent_response") if message.text]


def test_a_timer_speaks_when_it_is_due_though_nothing_else_happens() -> None:
    async def scene() -> None:
        async with asking("set a timer for one minute", "set_timer") as caller:
            await caller.say(1.0, 3.0)
            assert "1 minute" in spoken(caller)[0]
            await asyncio.sleep(50)
            assert len(spoken(caller)) == 1
            await asyncio.sleep(10)
            assert spoken(caller)[1:] == ["Your timer for 1 minute is up."]
            assert caller.session.memory.timers == []

    run(scene())


def test_a_due_timer_waits_until_the_agent_has_finished() -> None:
    async def scene() -> None:
        memory = Memory()
        async with asking("tell me everything", "question") as caller:
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 2500, 2.5))
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(2.0)
            assert caller.session.state == "SPEAKING"  # and the timer is due
            assert "timer" not in " ".join(spoken(caller))
            await caller.until("LISTENING")
            await caller.until("SPEAKING")
            assert spoken(caller)[-1].startswith("Your timer")
            assert memory.timers == []

    run(scene())


def test_a_timer_that_is_due_while_the_user_speaks_is_announced_afterwards() -> None:
    async def scene() -> None:
        async with asking("hello", "greeting") as caller:
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 500, 0.5, "stretch"))
            await caller.say(2.0)
            assert spoken(caller) == []
            await asyncio.sleep(8)
            assert spoken(caller)[-1] == "You wanted me to remind you to stretch."

    run(scene())


def test_an_announcement_that_the_user_talks_over_before_it_is_heard_comes_later() -> None:
    async def scene() -> None:
        caller = asking("hello", "greeting")
        caller.services.tts.delay_s = 0.3  # type: ignore[attr-defined]
        async with caller:
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 1000, 1))
            await asyncio.sleep(0.95)
            await caller.say(1.0)  # begins before the announcement is ready
            await asyncio.sleep(10)
            assert [text for text in spoken(caller) if "timer" in text][-1] == "Your timer for 1 second is up."
            assert caller.session.memory.timers == []
            assert caller.states()[-1] == "LISTENING"

    run(scene())


def test_timers_survive_with_the_session() -> None:
    async def scene() -> None:
        async with asking("set a timer for one minute", "set_timer") as caller:
            await caller.say(1.0, 3.0)
            memory = memory_of(record_of(caller.session.context))
            assert memory.timers == caller.session.memory.timers
            assert len(memory.timers) == 1
        async with Caller(fake_services(), memory=memory) as later:
            await asyncio.sleep(61)
            assert spoken(later) == ["Your timer for 1 minute is up."]

    run(scene())


def test_a_timer_is_not_set_for_a_turn_that_goes_on() -> None:
    async def scene() -> None:
        caller = asking("set a timer for one minute", "set_timer")
        caller.services.turn.complete_ = 0.1  # type: ignore[attr-defined]
        async with caller:
            for _ in range(3):  # each pause makes a draft
                await caller.say(0.6, 0.4)
            assert caller.session.memory.timers == []
            await asyncio.sleep(5)
            assert len(caller.session.memory.timers) == 1

    run(scene())


@pytest.mark.parametrize("later_s", [0.0, 0.02, 0.05, 0.1, 0.15, 0.3])
def test_what_is_typed_after_a_timer_was_set_does_not_set_it_again(later_s: float) -> None:
    async def scene() -> None:
        async with asking("", "set_timer", greeting=False) as caller:
            await asyncio.sleep(1)
            caller.session.receive(Text(text="set a timer for twenty minutes"))
            await asyncio.sleep(later_s)
            caller.session.receive(Text(text="when does the bakery open"))
            await asyncio.sleep(15)
            assert [timer.length_s for timer in caller.session.memory.timers] == [1200]
            asked = [message.text for message in caller.of("transcript")]
            assert any("bakery" in text for text in asked)
            assert "20 minutes" in " ".join(spoken(caller)), "what was done is told"

    run(scene())


@pytest.mark.parametrize("pause_s", [0.3, 1.0])
def test_a_turn_that_goes_on_after_its_timer_was_set_sets_one(pause_s: float) -> None:
    """The words of a turn that is reopened are heard again, all of them."""

    async def scene() -> None:
        async with asking("set a timer for ten minutes", "set_timer", greeting=False) as caller:
            await caller.say(1.0)
            await caller.until("THINKING")
            await asyncio.sleep(pause_s)
            caller.services.stt.text = "set a timer for ten minutes for the eggs"  # type: ignore[attr-defined]
            await caller.say(1.0, 10.0)
            assert "turn_reopened" in [message.reason for message in caller.of("state")]
            assert [(timer.length_s, timer.name) for timer in caller.session.memory.timers] == [(600, "eggs")]

    run(scene())


@pytest.mark.parametrize(
    "turns",
    [
        ("Set a timer.", "for the eggs", "six minutes"),
        ("Set a timer.", "It's for the eggs.", "Six."),
        ("Set a timer for the eggs.", "Six minutes."),
        ("Set a timer.", "six minutes", "for the eggs"),
        ("Set a timer for six minutes.", "Call it eggs."),
        ("Start a timer", "for my eggs", "six", "minutes"),
    ],
)
def test_a_timer_that_is_told_in_pieces(turns: tuple[str, ...]) -> None:
    async def scene() -> None:
        async with asking("", "set_timer", greeting=False) as caller:
            intent = caller.services.intent
            for at, text in enumerate(turns):
                intent.name = "out_of_scope" if at else "set_timer"  # type: ignore[attr-defined]
                caller.session.receive(Text(text=text))
                await asyncio.sleep(8)
            assert [(timer.length_s, timer.name) for timer in caller.session.memory.timers] == [(360, "eggs")]

    run(scene())


@pytest.mark.parametrize("answer", ["what is latency", "for how long can it run", "for what", "never mind"])
def test_what_is_no_piece_of_the_answer_is_not_taken_for_one(answer: str) -> None:
    async def scene() -> None:
        async with asking("", "set_timer", greeting=False) as caller:
            caller.session.receive(Text(text="Set a timer."))
            await asyncio.sleep(8)
            caller.services.intent.name = "question"  # type: ignore[attr-defined]
            for text in (answer, "six minutes"):
                caller.session.receive(Text(text=text))
                await asyncio.sleep(8)
            assert caller.session.memory.timers == []

    run(scene())


def test_there_is_an_end_to_timers() -> None:
    async def scene() -> None:
        async with asking("set a timer for one hour", "set_timer") as caller:
            now = caller.clock.epoch_ms()
            caller.session.memory.timers += [Timer(now + 7.2e6, 7200)] * MOST
            await caller.say(1.0, 3.0)
            assert spoken(caller) == [f"There are {MOST} timers running.", "Cancel one first."]
            assert len(caller.session.memory.timers) == MOST

    run(scene())
