"""Tools: their schema, what a language model gets back, and reaching them without one."""

import asyncio
import json
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
from pydantic import Field

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.settings import Settings
from app.tools.registry import TOOLS, Toolbox, ToolError, tool
from languages.en import LANGUAGE as ENGLISH
from tests.unit.fakes import VirtualClock, fake_services
from tests.unit.virtual_time import run


class Stopped(VirtualClock):
    def epoch_ms(self) -> float:
        return 1_700_000_000_000.0


def toolbox(
    committed: bool = True, memory: Memory | None = None, clock: VirtualClock | None = None, zone: str = "Asia/Tokyo"
) -> Toolbox:
    services, settings = fake_services(), Settings(_env_file=None, time_zone=zone)  # type: ignore[call-arg]
    dialogue = Dialogue(Phrasebook(ENGLISH), services.retrieval.topics())
    over = asyncio.Event()
    if committed:
        over.set()
    return Toolbox(AgentContext(services, dialogue, memory or Memory(), settings, clock or VirtualClock()), over)


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
    assert "context" not in schema["properties"]
    assert TOOLS["set_timer"].description.startswith("Sets a timer")


def test_arguments_without_end_are_refused_and_not_remembered() -> None:
    memory, names = Memory(), ["x" * 190] * 40
    for arguments in ({"seconds": [60] * 2, "names": names}, {"seconds": [60] * 2, "names": [""] * 40}):
        assert call("set_timers", json.dumps(arguments), memory).startswith("Wrong arguments")
    assert call("search_knowledge", json.dumps({"query": "x" * 3000}), memory).startswith("Wrong arguments")
    assert not memory.done and not memory.timers


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


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("Set 3 timers of 5 minutes", [300, 300, 300]),
        ("set two timers for ten minutes each", [600, 600]),
        ("set a couple of five-minute timers", [300, 300]),
        ("three 5 minute timers please", [300, 300, 300]),
        ("start two more timers of 90 seconds", [90, 90]),
        ("set two timers, five and ten minutes", [300, 600]),
        ("set a timer for 5 minutes", [300]),
    ],
)
def test_so_many_timers_of_one_length_are_set(text: str, lengths: list[float]) -> None:
    memory = Memory()
    said("set_timer", text, memory)
    assert [timer.length_s for timer in memory.timers] == lengths


@pytest.mark.parametrize("text", ["When is my alarm?", "Show me my timers", "Do I have an alarm?", "Check the timer"])
def test_a_question_for_timers_is_no_name_of_one(text: str) -> None:
    memory = Memory()
    said("set_timer", "set a timer for ten minutes", memory)
    assert said("list_timers", text, memory) == "It's 10 minutes from now."


def test_what_is_not_to_be_done_is_not_reminded_of_as_what_is() -> None:
    memory = Memory()
    said("set_timer", "Remind me not to drink coffee at five p.m.", memory)
    assert [timer.about for timer in memory.timers] == ["not to drink coffee"]
    assert ENGLISH.says.reminder("not to drink coffee") == "reminder_due_of"


def test_a_timer_has_a_name_by_which_it_is_cancelled_and_asked_for() -> None:
    memory = Memory()
    said("set_timer", "set a pasta timer for ten minutes", memory)
    said("set_timer", "set a timer for five minutes for the eggs", memory)
    said("set_timer", "remind me in an hour to check the oven", memory)
    assert [timer.name or timer.about for timer in memory.timers] == ["pasta", "eggs", "check the oven"]
    assert said("list_timers", "how long is left on the pasta timer", memory) == "It's 10 minutes from now."
    assert said("list_timers", "which timers are running", memory) == (
        "It's 5 minutes for eggs, then 10 minutes for pasta, then 1 hour from now."
    )
    assert said("cancel_timer", "cancel the rice timer", memory) == (
        "There is no such timer. There is the one for eggs and the one for pasta and the one for check the oven."
    )
    assert (said("cancel_timer", "cancel the timer", memory) or "").startswith("Which one shall I cancel: the one for eggs and")
    assert len(memory.timers) == 3
    assert "cancelled" in (said("cancel_timer", "cancel the pasta timer", memory) or "")
    assert "cancelled" in (said("cancel_timer", "forget the reminder about the oven", memory) or "")
    assert [timer.name for timer in memory.timers] == ["eggs"]
    assert "cancelled" in (said("cancel_timer", "cancel the timer", memory) or "")
    assert memory.timers == []


def test_a_time_of_day_sets_an_alarm_and_a_day_is_the_longest() -> None:
    memory = Memory()  # it is 7:13 in the morning
    assert "5:00 PM" in (said("set_timer", "remind me at five p.m. to call home", memory) or "")
    assert memory.timers[0].about == "call home"
    assert memory.timers[0].length_s == (9 * 60 + 46) * 60 + 40
    assert "6:30 AM" in (said("set_timer", "wake me tomorrow at half past six", memory) or "")
    assert said("set_timer", "remind me in two days to call", memory) == "I can keep a timer for a day at most."
    assert said("set_timer", "remind me on Friday at nine", memory) == "I can keep a timer for a day at most."
    assert len(memory.timers) == 2
    assert said("set_timer", "set a timer for five to ten minutes", memory) == "For how long?"
    assert "8:00 AM" in (said("out_of_scope", "until 8 a.m.", memory) or "")
    assert len(memory.timers) == 3


@pytest.mark.parametrize(
    ("intent", "text", "answer"),
    [  # 2023-11-14 22:13:20 UTC, and the user lives in Tokyo
        ("time", "What time is it in London?", "It's 10:13 PM in London."),
        ("time", "what time is it in new york right now", "It's 5:13 PM in new york."),
        ("time", "what time is it in Atlantis", "I don't know the time zone of Atlantis."),
        ("time", "what time is it on Mars", "I don't know the time zone of Mars."),
        ("time", "what time is it on the moon", "I don't know the time zone of the moon."),
        ("time", "what's the time on Saturn right now", "I don't know the time zone of Saturn."),
        ("time", "what time is it aboard the ISS", "I don't know the time zone of the ISS."),
        ("time", "what time is it near the Eiffel Tower", "I don't know the time zone of the Eiffel Tower."),
        ("time", "what time is it in Narnia and in Tokyo", "I don't know the time zone of Narnia. It's 7:13 AM in Tokyo."),
        ("time", "what time is it on my watch", "It's 7:13 AM."),
        ("time", "what time is it on Friday", "It's 7:13 AM."),
        ("time", "what time is it in Sydney and in London", "It's 9:13 AM in Sydney. It's 10:13 PM in London."),
        ("time", "what time is it in Sydney and London", "It's 9:13 AM in Sydney. It's 10:13 PM in London."),
        (
            "time",
            "what time is it in Tokyo, London and New York?",
            "It's 7:13 AM in Tokyo. It's 10:13 PM in London. It's 5:13 PM in New York.",
        ),
        ("time", "what time is it in Tokyo, Japan", "It's 7:13 AM in Tokyo, Japan."),
        ("time", "what time is it in Paris, Texas, and in Rome", "It's 4:13 PM in Paris, Texas. It's 11:13 PM in Rome."),
        ("time", "what time is it in Trinidad and Tobago", "It's 6:13 PM in Trinidad and Tobago."),
        (
            "date",
            "what's the date in Sydney and in London",
            "It's Wednesday, November 15, 2023 in Sydney. It's Tuesday, November 14, 2023 in London.",
        ),
        ("date", "what day is it on the moon", "I don't know the time zone of the moon."),
        ("date", "what's the date on Friday", "That is Friday, November 17, 2023, in 2 days."),
        ("time", "what time is it in Brazil", "There are several time zones in Brazil. Which city do you mean?"),
        ("time", "what's the time at the moment", "It's 7:13 AM."),
        ("date", "what's tomorrow's date", "That is Thursday, November 16, 2023."),
        ("date", "what day is Christmas", "That is Monday, December 25, 2023, in 40 days."),
        ("date", "is it Wednesday today", "Today is Wednesday, November 15, 2023."),
        ("date", "what day is it in London", "Today is Tuesday, November 14, 2023."),
        ("date", "what week is it", "It's week 46."),
        ("date", "which calendar week is Christmas in", "That is in week 52 of 2023."),
        ("date", "what day of the year is it", "That is day 319 of 2023."),
        ("date", "what's the last day of the month", "That is Thursday, November 30, 2023, in 15 days."),
        ("date", "what is the last day of February", "That is Thursday, February 29, 2024, in 106 days."),
        ("date", "when is the last Friday of this month", "That is Friday, November 24, 2023, in 9 days."),
        ("date", "what's the first day of next month", "That is Friday, December 1, 2023, in 16 days."),
        ("date", "what day is the last day of the year", "That is Sunday, December 31, 2023, in 46 days."),
        ("date", "how many days until Christmas", "It's 40 days until Monday, December 25, 2023."),
        ("date", "how many weeks until Christmas", "It's 5 weeks and 5 days until Monday, December 25, 2023."),
        ("date", "how many days until tomorrow", "It's 1 day until Thursday, November 16, 2023."),
        ("date", "how many days are left this year", "It's 46 days until Sunday, December 31, 2023."),
        ("date", "how many days since January first", "It's 318 days since Sunday, January 1, 2023."),
        ("date", "how long ago was July 4th", "It's 134 days since Tuesday, July 4, 2023."),
        ("date", "how many days are there between May 1 and May 10", "It's 9 days from May 1 to May 10, 2024."),
        ("date", "how many days are in February", "That's 29 days."),
        ("date", "how many days does this month have", "That's 30 days."),
    ],
)
def test_the_clock_tells_what_was_asked(intent: str, text: str, answer: str) -> None:
    assert asyncio.run(toolbox(clock=Stopped()).by_intent(intent, text)) == answer  # places are looked up in a thread


def test_what_is_missing_is_asked_for_and_taken_from_the_next_turn() -> None:
    memory = Memory()
    assert said("set_timer", "set a timer", memory) == "For how long?"
    assert "5 minutes" in (said("out_of_scope", "five minutes please", memory) or "")
    assert len(memory.timers) == 1
    said("set_timer", "set a timer", memory)
    assert said("question", "what is latency", memory) is None
    assert said("out_of_scope", "five minutes please", memory) is None  # nobody waits for it any more


@pytest.mark.parametrize(
    ("text", "alarms"),
    [  # it is 7:13 in the morning
        ("set an alarm for 7 and 8 am", {"7:00 AM": "", "8:00 AM": ""}),
        ("wake me at seven and at eight", {"7:00 PM": "", "8:00 PM": ""}),
        ("set two alarms, one at 7 am and one at 7:30 am", {"7:00 AM": "", "7:30 AM": ""}),
        ("set alarms for six, seven and eight a.m.", {"6:00 AM": "", "7:00 AM": "", "8:00 AM": ""}),
        ("alarms at 11 and 1 pm", {"11:00 AM": "", "1:00 PM": ""}),
        ("set an alarm for half past seven and a quarter to eight", {"7:30 AM": "", "7:45 AM": ""}),
        ("set an alarm for 9 pm and another for 10 pm", {"9:00 PM": "", "10:00 PM": ""}),
        ("wake me at 7 and remind me at 8 to call mom", {"7:00 PM": "", "8:00 PM": "call mom"}),
        ("remind me at 9 pm to call mom and at 10 pm to call dad", {"9:00 PM": "call mom", "10:00 PM": "call dad"}),
        ("remind me to take the pill at 9 and at 10 pm", {"9:00 PM": "take the pill", "10:00 PM": "take the pill"}),
        ("set an alarm at 9 a.m. and a timer for ten minutes", {"9:00 AM": "", "7:23 AM": ""}),
        ("remind me at 9 to call mom and dad", {"9:00 AM": "call mom and dad"}),
        ("wake me at 9 and tell me the weather", {"9:00 AM": ""}),
    ],
)
def test_several_alarms_are_set_in_one_sentence(text: str, alarms: dict[str, str]) -> None:
    memory = Memory()
    answer = asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent("set_timer", text)) or ""
    zone = ZoneInfo("Asia/Tokyo")
    assert {f"{datetime.fromtimestamp(t.due_ms / 1000, zone):%-I:%M %p}": t.about for t in memory.timers} == alarms
    assert all(time in answer or time == "7:23 AM" for time in alarms)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("remind me to call mom", "When?"),
        ("remind me to turn the timer off", "When?"),
        ("set an alarm", "When?"),
        ("remind me tomorrow to call mom", "At what time?"),
        ("set an alarm for 7 or 8", "At what time?"),
        ("remind me between 7 and 8", "At what time?"),
        ("set a timer", "For how long?"),
        ("set a timer to remind me of the eggs", "For how long?"),
    ],
)
def test_a_reminder_is_asked_when_and_a_timer_for_how_long(text: str, question: str) -> None:
    memory = Memory()
    assert said("set_timer", text, memory) == question
    assert memory.timers == []


def test_of_timers_of_one_length_it_is_asked_which() -> None:
    memory = Memory()
    for order in ("set a pasta timer for five minutes", "set a timer for ten minutes", "set another timer for ten minutes"):
        said("set_timer", order, memory)
    first = memory.timers[1]
    assert said("cancel_timer", "cancel the ten minute timer", memory) == (
        "Which one shall I cancel: the first one for 10 minutes and the second one for 10 minutes?"
    )
    assert len(memory.timers) == 3
    said("out_of_scope", "the second one", memory)
    assert memory.timers[1] is first and len(memory.timers) == 2
    said("set_timer", "set another timer for ten minutes", memory)
    said("cancel_timer", "cancel both ten minute timers", memory)
    assert [timer.name for timer in memory.timers] == ["pasta"]


@pytest.mark.parametrize("length", ["36 hours", "25 hours", "three days", "two weeks", "a fortnight", "a day and a half"])
def test_a_timer_of_more_than_a_day_is_refused_in_words(length: str) -> None:
    memory = Memory()
    assert said("set_timer", f"set a timer for {length}", memory) == "I can keep a timer for a day at most."
    assert memory.timers == []


def test_a_search_finds_passages() -> None:
    assert call("search_knowledge", '{"query": "turns"}') == "One: The first passage."
    assert ENGLISH.hears.sought("Search the knowledge base for jitter buffers") == "jitter buffers"
    assert ENGLISH.hears.sought("How does it work?") == "How does it work?"


@pytest.fixture
def own_tools() -> object:
    before = dict(TOOLS)
    yield
    TOOLS.clear()
    TOOLS.update(before)


def test_a_tool_that_hangs_or_breaks_does_not_stop_the_conversation(
    own_tools: object, caplog: pytest.LogCaptureFixture
) -> None:
    @tool(intent="hang")
    async def hang(context: AgentContext) -> str:
        """Takes for ever."""
        await asyncio.sleep(1000)
        return ""

    @tool(intent="broken")
    async def broken(context: AgentContext, much: Annotated[int, Field(ge=1)] = 1) -> str:
        """Divides."""
        return str(much / 0)

    @tool(intent="refuses")
    async def refuses(context: AgentContext) -> str:
        """Will not."""
        raise ToolError("not today")

    assert call("hang", "{}") == "It failed: it took too long"
    assert "ZeroDivisionError" in call("broken", "{}")
    assert call("refuses", "{}") == "It failed: not today"
    assert "orry" in (said("hang", "", Memory()) or "")
    assert "orry" in (said("broken", "", Memory()) or "")
    assert "orry" in (said("refuses", "", Memory()) or "")
    assert "ToolError" in caplog.text and "not today" not in caplog.text, "what was said is in the log"


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


def test_words_are_spelled() -> None:
    assert said("spell", "how do you spell latency", Memory()) == "latency is spelled L, A, T, E, N, C, Y."
    assert said("spell", "spell that", Memory()) == "Which word shall I spell?"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("how do you spell José", "José is spelled J, O, S, E with an acute accent."),
        ("spell Zoë please", "Zoë is spelled Z, O, E with two dots."),
        ("can you spell the name Zoe\u0308 for me", "Zoë is spelled Z, O, E with two dots."),
        ("how is Redis spelled", "Redis is spelled R, E, D, I, S."),
        ("spell Muñoz", "Muñoz is spelled M, U, N with a tilde, O, Z."),
        ("how do you spell O'Brien", "O'Brien is spelled O, apostrophe, B, R, I, E, N."),
        ("spell François", "François is spelled F, R, A, N, C with a cedilla, O, I, S."),
        ("spell Groß", "Groß is spelled G, R, O, sharp S."),
        ("what's the spelling of Łukasz?", "Łukasz is spelled L with a stroke, U, K, A, S, Z."),
        ("spell San Francisco", "San Francisco is spelled S, A, N; F, R, A, N, C, I, S, C, O."),
        ("spell my name, Nguyễn", "Nguyễn is spelled N, G, U, Y, E with a circumflex and tilde, N."),
        ("spell B2B", "B2B is spelled B, 2, B."),
        ("spell Straße", "Straße is spelled S, T, R, A, sharp S, E."),
        ("spell mother-in-law", "mother-in-law is spelled M, O, T, H, E, R, hyphen, I, N, hyphen, L, A, W."),
        ("how do you spell don't", "don't is spelled D, O, N, apostrophe, T."),
        ("spell naïve backwards", "naïve backwards is E, V, I with two dots, A, N."),
        ("how do you spell Zoë backwards?", "Zoë backwards is E with two dots, O, Z."),
        ("spell backwards the word cat", "cat backwards is T, A, C."),
        ("spell café in reverse", "café backwards is E with an acute accent, F, A, C."),
        ("how do you spell backwards", "backwards is spelled B, A, C, K, W, A, R, D, S."),
        ("spell AT&T", "AT&T is spelled A, T, ampersand, T."),
        ("spell C++", "C++ is spelled C, plus, plus."),
        ("spell cœur", "cœur is spelled C, O E joined, U, R."),
        ("spell Ærø", "Ærø is spelled A E joined, R, O with a stroke."),
        ("spell Þór", "Þór is spelled thorn, O with an acute accent, R."),
        ("spell Wałęsa", "Wałęsa is spelled W, A, L with a stroke, E with an ogonek, S, A."),
        ("spell Жан", "Жан is spelled zhe, a, en."),
        ("spell restaurant letter by letter", "restaurant is spelled R, E, S, T, A, U, R, A, N, T."),
        ("spell façade without the accent", "façade is spelled F, A, C with a cedilla, A, D, E."),
        ("can you spell something for me", "Which word shall I spell?"),
        ("spell a word", "Which word shall I spell?"),
        ("spell it for me", "Which word shall I spell?"),
        ("could you spell the name", "Which word shall I spell?"),
    ],
)
def test_a_name_is_spelled_with_its_accents(text: str, spelled: str) -> None:
    assert said("spell", text, Memory()) == spelled


KITCHEN = ("set a pasta timer for ten minutes", "set a rice timer for twenty minutes", "remind me in an hour to call mom")


def kitchen() -> Memory:
    memory = Memory()
    for order in KITCHEN:
        said("set_timer", order, memory)
    return memory


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("the pasta one", [1200, 3600]),
        ("rice", [600, 3600]),
        ("the ten minute one", [1200, 3600]),
        ("the twenty", [600, 3600]),
        ("the first one", [1200, 3600]),
        ("the second one please", [600, 3600]),
        ("the last", [600, 1200]),
        ("the longest one", [600, 1200]),
        ("the one about mom", [600, 1200]),
        ("all of them", []),
        ("the pasta and the rice", [3600]),
        ("all but the rice", [1200]),
        ("what time is it", [600, 1200, 3600]),
        ("set a rice timer for ten minutes", [600, 1200, 3600]),
        ("never mind", [600, 1200, 3600]),
    ],
)
def test_which_timer_is_cancelled_may_be_said_next(answer: str, left: list[int]) -> None:
    memory = kitchen()
    assert (said("cancel_timer", "cancel the timer", memory) or "").startswith("Which one")
    said("out_of_scope", answer, memory)
    assert sorted(timer.length_s for timer in memory.timers) == left


@pytest.mark.parametrize(
    ("order", "left"),
    [
        ("cancel one of the timers", [600, 1200, 3600]),
        ("cancel the pasta and the rice timer", [3600]),
        ("cancel all timers except the pasta one", [600]),
        ("cancel both the pasta and the rice timer", [3600]),
    ],
)
def test_several_timers_are_cancelled_at_once(order: str, left: list[int]) -> None:
    memory = kitchen()
    said("cancel_timer", order, memory)
    assert sorted(timer.length_s for timer in memory.timers) == left


@pytest.mark.parametrize(
    ("text", "timers"),
    [
        ("set two timers: 5 and 10 minutes", [(300, ""), (600, "")]),
        ("set timers for 5, 10 and 15 minutes", [(300, ""), (600, ""), (900, "")]),
        ("set two timers, one for five minutes and one for ten minutes", [(300, ""), (600, "")]),
        ("set a timer for 5 minutes and another for an hour and a half", [(300, ""), (5400, "")]),
        ("a pasta timer for ten minutes and a rice timer for twenty minutes", [(600, "pasta"), (1200, "rice")]),
    ],
)
def test_several_timers_are_set_at_once(text: str, timers: list[tuple[float, str]]) -> None:
    memory = Memory()
    assert "timers for" in (said("set_timer", text, memory) or "")
    assert [(timer.length_s, timer.name) for timer in memory.timers] == timers


def test_an_answer_keeps_what_was_said_before_it() -> None:
    memory = Memory()
    said("set_timer", "set a pasta timer", memory)
    said("out_of_scope", "ten minutes", memory)
    said("set_timer", "remind me to call mom", memory)
    said("out_of_scope", "in an hour", memory)
    said("set_timer", "remind me to feed the cat tomorrow", memory)
    said("out_of_scope", "at seven in the morning", memory)
    assert [(timer.name, timer.about) for timer in memory.timers] == [("pasta", ""), ("", "call mom"), ("", "feed the cat")]
    assert [timer.length_s for timer in memory.timers][:2] == [600, 3600]


def test_a_timer_is_given_more_time_and_no_second_one_is_set() -> None:
    memory = Memory()
    assert said("set_timer", "add five minutes to the timer", memory) == "There is no timer running."
    for order in KITCHEN[:2]:
        said("set_timer", order, memory)
    said("set_timer", "add five minutes to the pasta timer", memory)
    assert [timer.length_s for timer in memory.timers] == [900, 1200]
    assert (said("set_timer", "extend the timer by a minute", memory) or "").startswith("Which one shall take longer")
    said("out_of_scope", "the rice", memory)
    assert [timer.length_s for timer in memory.timers] == [900, 1260]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("set a timer for 1:30", "For how long?"),
        ("set a timer for minus five minutes", "For how long?"),
        ("remind me every day at eight to water the plants", "I can remind you only once, within a day."),
        ("remind me every ten minutes to drink", "I can remind you only once, within a day."),
        ("remind me on Friday to pay the rent", "I can keep a timer for a day at most."),
    ],
)
def test_no_timer_is_set_that_was_not_meant(text: str, answer: str) -> None:
    memory = Memory()
    assert said("set_timer", text, memory) == answer
    assert not memory.timers


@pytest.mark.parametrize(
    ("text", "about", "name"),
    [
        ("remind me in ten minutes that the laundry is done", "that the laundry is done", ""),
        ("remind me about the meeting in 5 minutes", "about the meeting", ""),
        ("remind me to call Ann at the office in ten minutes", "call Ann at the office", ""),
        ("set the timer to twenty-five minutes", "", ""),
        ("set an alarm for quarter to eight", "", ""),
        ("set a timer for half past four", "", ""),
        ("twenty minute nap timer", "", "nap"),
        ("set a timer for the cake for 40 minutes", "", "cake"),
        ("set a timer for an egg for six minutes", "", "egg"),
    ],
)
def test_what_a_timer_is_for_is_not_taken_from_its_time(text: str, about: str, name: str) -> None:
    memory = Memory()
    said("set_timer", text, memory)
    assert [(timer.about, timer.name) for timer in memory.timers] == [(about, name)]


def told(intent: str, text: str, memory: Memory) -> str | None:
    """`said` where a place is looked up in a thread."""
    return asyncio.run(toolbox(memory=memory, clock=Stopped()).by_intent(intent, text))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what's the time in the UK", "It's 10:13 PM in the UK."),
        ("what is the time in London, please?", "It's 10:13 PM in London."),
        ("what time is it in Paris, Texas", "It's 4:13 PM in Paris, Texas."),
        ("what time is it at home", "It's 7:13 AM."),
        ("what time is it in the morning in Berlin", "It's 11:13 PM in Berlin."),
        ("what time will it be in two hours", "That is 9:13 AM."),
        ("what time was it in London an hour ago", "That is 9:13 PM in London."),
        ("what's the time difference between Berlin and Tokyo?", "It's 11:13 PM in Berlin. It's 7:13 AM in Tokyo."),
        ("what time is it in Mumbai and Delhi", "It's 3:43 AM in Mumbai. It's 3:43 AM in Delhi."),
    ],
)
def test_the_clock_of_another_place_or_moment(text: str, answer: str) -> None:
    assert told("time", text, Memory()) == answer


def test_the_city_that_is_asked_for_may_be_said_next() -> None:
    memory = Memory()
    assert "Which city" in (told("time", "what time is it in the United States", memory) or "")
    assert told("out_of_scope", "Chicago, please", memory) == "It's 4:13 PM in Chicago."
    assert told("out_of_scope", "Tokyo", memory) is None  # nobody has asked
    told("time", "what time is it in Australia", memory)
    assert told("out_of_scope", "never mind", memory) is None


def test_the_word_that_is_asked_for_may_be_said_next() -> None:
    memory = Memory()
    said("spell", "spell a word", memory)
    assert said("out_of_scope", "the name Zoë", memory) == "Zoë is spelled Z, O, E with two dots."
    said("spell", "spell that", memory)
    assert said("question", "what is echo cancellation", memory) is None


@pytest.mark.parametrize(
    ("now", "text", "said_then"),
    [
        # In Berlin the clocks went from 2:00 to 3:00 on March 31, 2024, and from 3:00 to 2:00 on October 27.
        ("2024-03-31T01:30", "what time will it be in three hours", "That is 5:30 AM."),
        ("2024-10-27T01:30", "what time will it be in three hours", "That is 3:30 AM."),
        ("2024-10-27T04:00", "what time was it four hours ago", "That is 1:00 AM."),
        ("2024-03-30T22:00", "how long until 7 am", "It's 8 hours until 7:00 AM."),
        ("2024-10-26T22:00", "how long until 7 am", "It's 10 hours until 7:00 AM."),
    ],
)
def test_hours_are_counted_over_the_change_of_the_clocks(now: str, text: str, said_then: str) -> None:
    assert asked_at(now, "time", text, Memory()) == said_then


@pytest.mark.parametrize(("now", "hours"), [("2024-03-30T22:00", 8), ("2024-10-26T22:00", 10), ("2024-06-01T22:00", 9)])
def test_an_alarm_rings_when_the_clock_shows_its_time_also_behind_a_change(now: str, hours: float) -> None:
    memory = Memory()
    assert "7:00 AM" in (asked_at(now, "set_timer", "wake me at 7 am", memory) or "")
    assert [timer.length_s for timer in memory.timers] == [3600 * hours]


def asked_at(now: str, intent: str, text: str, memory: Memory) -> str | None:
    """What is answered in Berlin at this time of its clocks."""
    moment = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo("Europe/Berlin"))

    class At(VirtualClock):
        def epoch_ms(self) -> float:
            return moment.timestamp() * 1000

    box = toolbox(memory=memory, clock=At(), zone="Europe/Berlin")
    return asyncio.run(box.by_intent(intent, text))
