"""What a turn wants where its words tell for certain, and what the tools then do: without a language model."""

import asyncio

import pytest

from app.dialogue.memory import Memory, Timer
from languages.en.timers import heard_length
from languages.en.wishes import wanted
from tests.unit.tools.test_registry import Stopped, toolbox

TEA = Timer(1_700_000_240_000.0, 240, name="tea")
PASTA = Timer(1_700_000_600_000.0, 600, name="pasta")


@pytest.mark.parametrize(
    ("taken_for", "text"),
    [
        ("time", "What time is breakfast?"),
        ("time", "What time does the pool open?"),
        ("time", "What time do you close?"),
        ("time", "What time is sunset in Rome?"),
        ("time", "What time can I check in?"),
        ("time", "From what time can we park?"),
        ("date", "When does the shop open on Sunday?"),
        ("date", "What day is the market?"),
        ("date", "What is the date of the concert?"),
        ("date", "What month is the festival?"),
        ("date", "How many days until the concert?"),
        ("date", "When is Bastille Day?"),
        ("set_timer", "How do I set the alarm on the clock?"),
        ("list_timers", "Does the watch have a timer?"),
        ("set_timer", "How many minutes are in three hours?"),
        ("list_timers", "What can you do with timers?"),
        ("cancel_timer", "How do I cancel the timer on the oven?"),
        ("go_on", "Where can I stop?"),
    ],
)
def test_what_is_asked_of_other_things_is_for_the_knowledge(taken_for: str, text: str) -> None:
    assert wanted(taken_for, text, []) == "question"


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        ("time", "What time is it in Reykjavik?"),
        ("time", "What time do you have?"),
        ("time", "What time will it be in three hours?"),
        ("date", "What day is it tomorrow?"),
        ("date", "What day of the week is the 4th of July?"),
        ("date", "When is Easter this year?"),
        ("date", "How many days until my birthday on May 3rd?"),
        ("date", "What date is three days after Christmas?"),
        ("set_timer", "Can you set a timer for ten minutes?"),
        ("list_timers", "How much time is left?"),
        ("go_on", "Where were we?"),
        ("stop", "Stop."),
        ("question", "Remind me what you said about that."),
    ],
)
def test_what_the_words_leave_open_is_left_to_the_classifier(intent: str, text: str) -> None:
    assert wanted(intent, text, []) == intent


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        ("set_timer", "Remind me tomorrow to buy milk."),
        ("set_timer", "Could you please remind me to stretch?"),
        ("set_timer", "Time me for two minutes."),
        ("set_timer", "Alarm at half past six."),
        ("spell", "Spell out NASA."),
        ("spell", "How is Worcestershire spelled?"),
        ("time", "How many minutes until 5 pm?"),
        ("time", "How long till noon?"),
        ("cancel_timer", "Delete the pasta one."),
        ("cancel_timer", "Never mind the tea timer."),
        ("cancel_timer", "Clear everything."),
        ("list_timers", "How long is left on the tea?"),
        ("list_timers", "When will the timer go off?"),
        ("list_timers", "How long does the pasta have?"),
        ("list_timers", "Is the pasta done?"),
        ("list_timers", "Do I have any alarms?"),
        ("list_timers", "When is my alarm?"),
        ("list_timers", "What timers do I have?"),
        ("set_timer", "Never mind the noise, set a timer for three minutes."),
        ("set_timer", "Take a minute off."),
        ("set_timer", "No, ten minutes."),
        ("set_timer", "Call it noodles."),
        ("time", "Is it still morning?"),
        ("out_of_scope", "I don't need it."),
        ("out_of_scope", "Is the door done up?"),
    ],
)
def test_what_the_words_tell_is_done(intent: str, text: str) -> None:
    assert wanted("out_of_scope", text, [TEA, PASTA]) == intent


@pytest.mark.parametrize(
    ("taken_for", "text"),
    [
        ("set_timer", "Don't set a timer for five minutes."),
        ("set_timer", "Do not set an alarm for seven."),
        ("set_timer", "I don't need a timer for ten minutes."),
        ("set_timer", "You don't have to remind me in ten minutes."),
        ("set_timer", "Never mind, don't remind me in five minutes."),
        ("cancel_timer", "Please do not cancel my timer."),
        ("set_timer", "I don't want you to wake me with an alarm at six."),
    ],
)
def test_what_is_declined_is_not_done(taken_for: str, text: str) -> None:
    assert wanted(taken_for, text, [TEA]) == "no"


@pytest.mark.parametrize(
    ("taken_for", "text", "intent"),
    [
        ("cancel_timer", "I don't need the timer any more.", "cancel_timer"),
        ("set_timer", "Don't forget to remind me in ten minutes.", "set_timer"),
        ("question", "I don't know how to set a timer.", "question"),
    ],
)
def test_what_only_sounds_declined_is_left_as_it_was(taken_for: str, text: str, intent: str) -> None:
    assert wanted(taken_for, text, [TEA]) == intent


def test_with_timers_running_other_things_still_end_and_last() -> None:
    for text in ("Cancel my order.", "Stop talking.", "How long is left on my contract?", "Forget it."):
        assert wanted("question", text, [TEA, PASTA]) == "question"


@pytest.mark.parametrize(
    ("text", "answer", "lengths"),
    [
        ("Give the tea another minute.", "Okay, 1 minute more.", [300, 600]),
        ("Take two minutes off the pasta timer.", "Okay, 2 minutes less.", [240, 480]),
        ("Change the pasta timer to fifteen minutes.", "Okay, in 15 minutes instead.", [240, 900]),
        ("Make it five minutes.", "Which one shall I change: the one for tea and the one for pasta?", [240, 600]),
        ("Set the oven timer to 35 minutes.", "Okay, in 35 minutes.", [240, 600, 2100]),
    ],
)
def test_a_running_timer_is_changed_and_none_is_set_beside_it(text: str, answer: str, lengths: list[float]) -> None:
    memory = Memory(timers=[TEA, PASTA])
    said = asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", text)) or ""
    assert said.replace("All right, I'll tell you in", "Okay, in") == answer
    assert [timer.length_s for timer in memory.timers] == lengths


def test_an_alarm_is_moved_within_its_half_of_the_day() -> None:
    memory = Memory(timers=[Timer(1_700_000_000_000.0 + 15.8 * 3_600_000, 15.8 * 3600)])  # at 11:01 PM
    assert asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", "Move the alarm to ten.")) == (
        "Okay, at 10:00 PM instead."
    )


def test_what_cannot_be_done_is_said_and_the_timer_runs_on() -> None:
    memory = Memory(timers=[TEA])
    assert asyncio.run(toolbox(memory=memory).by_intent("cancel_timer", "Pause the timer.")) == (
        "I can't do that with a timer. I can cancel it, or change how long it takes."
    )
    assert memory.timers == [TEA]


def test_a_question_which_timer_is_not_answered_by_another_order() -> None:
    memory = Memory(timers=[TEA, PASTA])
    box = toolbox(memory=memory)
    assert "Which one shall take longer" in (asyncio.run(box.by_intent("set_timer", "Add a minute.")) or "")
    assert asyncio.run(box.by_intent("cancel_timer", "Cancel the tea timer.")) == "Okay, it's cancelled."
    assert memory.timers == [PASTA]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Set a timer for 1 hour 15.", 4500),
        ("a quarter of a minute", 15),
        ("an hour and three quarters", 6300),
        ("one oh five minutes", None),
        ("30 minutes before six", None),
        ("another minute", 60),
    ],
)
def test_lengths_in_other_words(text: str, seconds: float | None) -> None:
    assert heard_length(text) == seconds


@pytest.mark.parametrize(
    ("intent", "text", "answer"),
    [
        ("set_timer", "a laundry timer for 40 minutes and a pasta timer for 9", "Okay, timers for 40 minutes and 9 minutes."),
        ("set_timer", "Set a reminder for 30 minutes before nine.", "at 8:30 AM"),
        ("set_timer", "Put on a timer for the laundry, fifty minutes.", "50 minutes"),
        ("set_timer", "Wake me at 0830.", "at 8:30 AM"),
        ("time", "How many minutes until 9 am?", "It's 1 hour and 47 minutes until 9:00 AM."),
        ("time", "What time is it on the west coast?", "It's 2:13 PM in Los Angeles."),
        ("time", "How many hours ahead is Berlin?", "It's 11:13 PM in Berlin."),
        ("date", "What is the date of the first Monday in May?", "That is Monday, May 6, 2024, in 173 days."),
        ("date", "When is Easter Monday?", "That is Monday, April 1, 2024"),
        ("date", "When is Mother's Day?", "That is Sunday, May 12, 2024"),
        ("set_timer", "Set a second timer for 5 minutes.", "5 minutes"),
        ("date", "What day is the 30th?", "That is Thursday, November 30, 2023, in 15 days."),
        (
            "date",
            "How many days between November first and December fifteenth?",
            "It's 44 days from November 1 to December 15, 2024.",
        ),
    ],
)
def test_what_is_asked_is_heard(intent: str, text: str, answer: str) -> None:
    assert answer in (asyncio.run(toolbox(clock=Stopped()).by_intent(intent, text)) or "")


def test_how_long_is_answered_by_a_bare_number_or_unit() -> None:
    for request, answer in (("Set a timer.", "ten"), ("Set a timer for ten.", "minutes")):
        memory = Memory()
        box = toolbox(memory=memory)
        assert asyncio.run(box.by_intent("set_timer", request)) == "For how long?"
        asyncio.run(box.by_intent("out_of_scope", answer))
        assert [timer.length_s for timer in memory.timers] == [600]


@pytest.mark.parametrize(
    ("text", "timers"),
    [
        ("Start a 3 minute egg timer and a 10 minute bread timer.", [(180, "egg"), (600, "bread")]),
        ("Set a timer for 5 minutes and a 10 minute pizza timer.", [(300, ""), (600, "pizza")]),
        ("Set a half hour nap timer.", [(1800, "nap")]),
        ("Set a timer for five minutes. Actually make it six.", [(360, "")]),
        ("Set a timer for 5 minutes, no, 7.", [(420, "")]),
        ("Set a timer for five minutes, sorry, ten minutes.", [(600, "")]),
    ],
)
def test_a_name_belongs_to_its_length_and_a_correction_to_its_unit(text: str, timers: list[tuple[float, str]]) -> None:
    memory = Memory()
    asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", text))
    assert [(timer.length_s, timer.name) for timer in memory.timers] == timers


def test_of_two_alarms_the_declined_one_is_not_set() -> None:
    memory = Memory()
    said = asyncio.run(
        toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", "Don't wake me at six, wake me at seven.")
    )
    assert len(memory.timers) == 1 and "7:00" in (said or "") and "6:00" not in (said or "")


def test_what_is_left_of_a_named_timer_is_asked() -> None:
    assert wanted("question", "What's left on the pasta?", [TEA, PASTA]) == "list_timers"
    assert wanted("question", "What's left on the agenda?", [TEA, PASTA]) == "question"


@pytest.mark.parametrize(
    ("text", "word"),
    [('Can you spell "accommodate" and use it in a sentence?', "accommodate"), ("Spell rhythm and blues.", "rhythm and blues")],
)
def test_what_else_is_wanted_of_a_word_is_not_spelled(text: str, word: str) -> None:
    said = asyncio.run(toolbox().by_intent("spell", text)) or ""
    assert said.startswith(f"{word} is spelled")
