"""Few words after talk of a timer, without a language model: turn by turn, and what they must not touch."""

import asyncio

import pytest

from app.dialogue.memory import Memory, Timer
from app.protocol.messages import Text
from languages.en.wishes import wanted
from languages.tools import Lately
from tests.unit.fakes import Caller, FakeIntent, fake_services
from tests.unit.tools.test_registry import Stopped, toolbox
from tests.unit.virtual_time import run

NOW = 1_700_000_000_000.0
TEA = Timer(NOW + 240_000, 240, name="tea")
PASTA = Timer(NOW + 600_000, 600, name="pasta")
RICE = Timer(NOW, 900, name="rice")
OTHER = "What is latency?"


def talk(memory: Memory, *turns: str) -> str:
    """What is said to the last of `turns`; "" where the tools leave it to others."""
    said = ""
    for text in turns:
        intent = wanted("out_of_scope", text, memory.timers, memory.lately())
        said = asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent(intent, text)) or ""
        memory.turn_over()
        memory.before = None
    return said


def lengths(memory: Memory) -> list[float]:
    return sorted(timer.length_s for timer in memory.timers)


@pytest.mark.parametrize(
    ("turns", "left"),
    [
        (["Set a timer for five minutes.", "Make it ten."], [600]),
        (["Set a timer for five minutes.", OTHER, "Make it ten please."], [600]),
        (["Set a timer for five minutes.", "No, make that twelve instead."], [720]),
        (["Set a timer for five minutes.", "Can you change it to twenty five?"], [1500]),
        (["Set a timer for five minutes.", "No, ten."], [600]),
        (["Set a timer for five minutes.", OTHER, "No, ten."], [300]),
        (["Set a timer for thirty seconds.", "Make it forty."], [40]),
        (["Set a timer for two hours.", "Set it to three."], [10_800]),
        (["Set a timer for one hour.", "Make it ninety."], [5400]),
        (["Set a timer for one hour.", "Make it ten.", "Ten minutes."], [600]),
        (["Set a timer for one hour.", "Make it ten.", "minutes"], [600]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", "Make it ten."], [240, 600]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", "Change the tea timer to six."], [360, 540]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", "How long is left on the tea?",
          "Make it six."], [360, 540]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", OTHER, "Make it six."], [240, 540]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", OTHER, "Make it six.", "The tea one."],
         [360, 540]),
        (["Set two timers, five and ten minutes.", "Make it six."], [300, 600]),
        (["Set a timer for five minutes.", "Another one."], [300, 300]),
        (["Set a timer for five minutes.", "And one more please."], [300, 300]),
        (["Set a timer for five minutes.", "Another one for ten minutes."], [300, 600]),
        (["Set a timer for five minutes.", "Two more of those."], [300, 300, 300]),
        (["Set a timer for five minutes.", OTHER, "Another one."], [300]),
        (["Set two timers, five and ten minutes.", "Another one.", "Six."], [300, 360, 600]),
        (["Set a timer for five minutes.", "Another five minutes."], [600]),
        (["Set a timer for five minutes.", "Give me ten more minutes."], [900]),
        (["Set a timer for five minutes.", "A minute more."], [360]),
        (["Set a timer for five minutes.", "Another two."], [420]),
        (["Set a timer for five minutes.", OTHER, "Another two."], [300]),
        (["Set a timer for five minutes.", OTHER, "Five more minutes, please."], [600]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", OTHER, "Another minute.", "The tea."],
         [300, 540]),
        (["Set a timer for five minutes.", "Set another ten minute timer."], [300, 600]),
        (["Set a timer for five minutes.", "Double it."], [600]),
        (["Set a timer for five minutes.", OTHER, "Make it twice as long."], [600]),
        (["Set a timer for five minutes.", "Triple that please."], [900]),
        (["Set a timer for an hour.", "Halve it."], [1800]),
        (["Set a timer for an hour.", "Cut it in half."], [1800]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", OTHER, "Double it.", "The tea."], [480, 540]),
        (["Set a timer for five minutes.", "Never mind."], []),
        (["Set a timer for five minutes.", "Forget it."], []),
        (["Set a timer for five minutes.", "Oh, cancel that."], []),
        (["Set a timer for five minutes.", "I don't need it any more."], []),
        (["Set a timer for five minutes.", "Actually, I don't want that."], []),
        (["Set a timer for five minutes.", "Scratch that."], []),
        (["Set a tea timer for four minutes.", "Set a timer for nine minutes.", "Never mind."], [240]),
        (["Set a tea timer for four minutes.", "Set two timers, five and ten minutes.", "Undo that."], [240]),
        (["Set a tea timer for four minutes.", "Make it ten minutes.", "Never mind."], [240]),
        (["Set a tea timer for four minutes.", "Cancel the timer.", "Never mind."], [240]),
        (["Set a timer for four minutes.", "Never mind.", "Never mind."], []),
        (["Set a timer for four minutes.", OTHER, "Never mind."], [240]),
        (["Set a timer for four minutes.", OTHER, "Forget it."], [240]),
        (["Set a timer for four minutes.", OTHER, "Cancel that."], [240]),
        (["Set a timer for four minutes.", OTHER, "I don't need it any more."], [240]),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", "How long is left on the tea?",
          "Cancel it."], [540]),
        (["Set a tea timer for four minutes.", "How long is left?", "Never mind."], [240]),
    ],
)  # fmt: skip
def test_few_words_are_about_the_timer_last_spoken_of(turns: list[str], left: list[float]) -> None:
    memory = Memory()
    talk(memory, *turns)
    assert lengths(memory) == left


@pytest.mark.parametrize(
    ("text", "answer", "left"),
    [
        ("Snooze.", "rice 600", [240, 600]),
        ("Snooze it for five minutes.", "rice 300", [240, 300]),
        ("Can you snooze for seven?", "rice 420", [240, 420]),
        ("Another five minutes.", "rice 300", [240, 300]),
        ("Give me two more minutes.", "rice 120", [120, 240]),
        ("One more minute for the tea timer.", "", [300]),
        ("Another one.", "rice 900", [240, 900]),
        ("Never mind.", "", [240]),
        ("Cancel that.", "", [240]),
    ],
)
def test_after_a_timer_rang_it_is_the_one_that_is_meant(text: str, answer: str, left: list[float]) -> None:
    memory = Memory(timers=[TEA])
    memory.talk.rang = RICE
    talk(memory, text)
    assert lengths(memory) == left
    assert not answer or answer in [f"{timer.name} {timer.length_s:g}" for timer in memory.timers]
    memory = Memory(timers=[TEA])
    memory.talk.rang = RICE
    talk(memory, OTHER, "Snooze.")
    assert lengths(memory) == [240]


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        (["Set an alarm for ten am.", "Make it eleven."], "Okay, at 11:00 AM instead."),
        (["Set a timer for one minute.", "Make it ninety."], "For how long?"),
        (["Set a timer for one hour.", "Make it ten."], "For how long?"),
        (["Set a tea timer for four minutes.", "Set a pasta timer for nine minutes.", OTHER, "Make it ten."],
         "Which one shall I change: the one for tea and the one for pasta?"),
        (["Snooze."], "No timer has just rung."),
        (["Set a timer for five minutes.", "Make it ten.", "Never mind."], "Okay, as it was before."),
        (["Set a timer for five minutes.", "Never mind."], "Okay, it's cancelled."),
        (["Set a timer for twenty hours.", "Double it."], "I can keep a timer for a day at most."),
        (["Set an alarm for seven am.", "Double it."],
         "I can't do that with a timer. I can cancel it, or change how long it takes."),
    ],
)  # fmt: skip
def test_what_is_said_to_few_words(turns: list[str], answer: str) -> None:
    assert talk(Memory(), *turns) == answer


@pytest.mark.parametrize(
    "text",
    [
        "Make it louder.", "Make it ten percent louder.", "Make it two sentences.", "Make it ten times bigger.", "Make it so.",
        "Change it to German.", "Set it on fire.", "Make it a double espresso.", "Tell me another one.", "Another question.",
        "Another one bites the dust.", "One more time.", "One more question.", "Another five people came.", "Ten more reasons.",
        "Five more miles.", "No more.", "Any more?", "What more?", "Double the recipe.", "What is double it?", "Half of it.",
        "How do I double it?", "Halve the lemon.", "What does snooze mean?", "Who invented the snooze button?",
        "Never mind the noise.", "Forget the milk.", "Forget about the weather.", "Cancel my order.", "Cancel that subscription.",
        "Stop it.", "Stop.", "No.", "No, thanks.", "No, ten people.", "Ten.", "I don't need it to be long.",
        "I don't want that colour.", "Drop it like it's hot.", "Take that back to the shop.", "Is it ten?", "I mean ten euros.",
        "Actually, what is latency?", "Wait.", "Sorry?", "Give me more.", "Tell me more.", "More.", "Again.",
        "Twice as long as what?", "Can you say it again?", "Set it to music.", "Make it quick.",
    ],
)  # fmt: skip
def test_what_is_about_something_else_is_left_alone(text: str) -> None:
    after = Lately([TEA], RICE, True)
    assert wanted("question", text, [TEA, PASTA], after) == "question"


@pytest.mark.parametrize(
    "text", ["Never mind.", "Forget it.", "Cancel that.", "Undo that.", "Another one.", "No, ten.", "Another two.", "Drop it."]
)
def test_what_must_follow_a_timer_is_left_alone_where_it_does_not(text: str) -> None:
    assert wanted("question", text, [TEA, PASTA], Lately()) == "question"


@pytest.mark.parametrize("text", ["Never mind.", "Forget it.", "Cancel that.", "Undo that.", "I don't need it any more."])
def test_what_has_nothing_to_take_back_cancels_nothing(text: str) -> None:
    assert wanted("cancel_timer", text, [TEA], Lately()) == "no"


def test_a_turn_that_goes_on_takes_its_few_words_back() -> None:
    memory = Memory()
    talk(memory, "Set a timer for five minutes.")
    asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", "Make it ten."))
    memory.go_on()
    assert lengths(memory) == [300] and memory.lately().timers == memory.timers
    talk(memory, "Make it ten minutes please.")
    assert lengths(memory) == [600]


def test_in_a_conversation_a_timer_that_rang_is_snoozed_and_the_next_order_taken_back() -> None:
    async def scene() -> tuple[list[float], list[float], list[float]]:
        services = fake_services()
        assert isinstance(services.intent, FakeIntent)
        async with Caller(services) as caller:
            memory = caller.session.memory

            async def type_(text: str) -> list[float]:
                caller.session.receive(Text(text=text))
                await caller.until("SPEAKING")
                await caller.until("LISTENING")
                return lengths(memory)

            await type_("Set a timer for ten seconds.")
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            assert not memory.timers
            snoozed = await type_("Snooze for five minutes.")
            another = await type_("Another one.")
            return snoozed, another, await type_("Never mind.")

    assert run(scene()) == ([300], [300, 300], [300])
