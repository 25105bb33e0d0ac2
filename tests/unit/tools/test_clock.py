"""The clock and the calendar: places, other times, and turns that only make sense after the one before."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.dialogue.memory import Memory
from languages.en import LANGUAGE as ENGLISH
from tests.unit.fakes import VirtualClock
from tests.unit.tools.test_registry import toolbox

NOW = datetime(2026, 11, 30, 14, 0, 5, tzinfo=ZoneInfo("Europe/Berlin"))  # a Monday


class Afternoon(VirtualClock):
    def epoch_ms(self) -> float:
        return NOW.timestamp() * 1000


def answered(intent: str, text: str, memory: Memory | None = None) -> str:
    memory = memory or Memory()
    wanted = ENGLISH.hears.wanted(intent, text, memory.timers, memory.lately())
    box = toolbox(memory=memory, clock=Afternoon(), zone="Europe/Berlin")
    return asyncio.run(box.by_intent(wanted, text)) or f"({wanted})"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tokyo time", "It's 10:00 PM in tokyo."),
        ("time tokyo", "It's 10:00 PM in tokyo."),
        ("what time is it in the UAE", "It's 5:00 PM in the UAE."),
        ("What time is it in Newfoundland?", "It's 9:30 AM in Newfoundland."),
        ("What time is it in Spain?", "It's 2:00 PM in Spain."),
        ("What time is it in Portugal?", "It's 1:00 PM in Portugal."),
        ("What time is it in New Zealand?", "It's 2:00 AM in New Zealand."),
        ("What time is it in Chile?", "There are several time zones in Chile. Which city do you mean?"),
        ("What time is it UTC?", "It's 1:00 PM in UTC."),
        ("What time is it Eastern?", "It's 8:00 AM in Eastern."),
        ("what time is it in eastern standard time", "It's 8:00 AM in eastern standard."),
        ("what time is it in IST", "It's 6:30 PM in IST."),
        ("what time is it AEST", "It's 12:00 AM in AEST."),
        ("what's SGT time", "It's 9:00 PM in SGT."),
        ("what time is it in central european time", "It's 2:00 PM in central european."),
        ("What time is it in GMT+5?", "It's 6:00 PM in GMT+5."),
        ("what time is it in UTC minus eight", "It's 5:00 AM in UTC minus eight."),
        ("What time zone is Denver in?", "It's 6:00 AM in Denver."),
        ("What time will it be in London in three hours?", "That is 4:00 PM in London."),
        ("What time will it be in 90 minutes?", "That is 3:30 PM."),
        ("What is 3 p.m. Eastern in Berlin?", "That is 9:00 PM in Berlin."),
        ("What time is it in Sydney when it's noon in London?", "That is 11:00 PM in Sydney."),
        ("When it's 9 a.m. in New York, what time is it in London?", "That is 2:00 PM in London."),
        ("If it's 8 pm here, what time is it in Tokyo?", "That is 4:00 AM in Tokyo."),
        ("What time is 3 p.m. Eastern in Berlin?", "That is 9:00 PM in Berlin."),
        ("What time is it here when it's noon in New York?", "That is 6:00 PM."),
        ("How long until Friday at noon?", "It's 3 days and 22 hours until 12:00 PM."),
        ("What are your opening hours?", "(question)"),
        ("what time is dinner time", "(question)"),
    ],
)
def test_the_time_that_is_asked_for_is_told(text: str, said: str) -> None:
    assert answered("time", text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What is the date the day before Christmas?", "That is Thursday, December 24, 2026, in 24 days."),
        ("what is the day after tomorrow", "That is Wednesday, December 2, 2026, in 2 days."),
        ("What day did Christmas fall on last year?", "That is Thursday, December 25, 2025."),
        ("Is it already tomorrow in Sydney?", "Today is Tuesday, December 1, 2026."),
        ("What day is it tomorrow in Sydney?", "That is Wednesday, December 2, 2026."),
        ("How many months until July?", "It's 213 days until Thursday, July 1, 2027."),
        ("Is the pool open on Christmas?", "(question)"),
        ("When is Thanksgiving in Canada?", "(question)"),
        ("What's the date two Fridays from now?", "(question)"),
        ("what day of the week was 9/11 2001", "(question)"),
        ("On what day is it closed?", "(question)"),
        ("Is it a leap year?", "(question)"),
        ("When do the clocks go back?", "(question)"),
        ("How many years since 1990?", "(question)"),
        ("Is it Monday today?", "Today is Monday, November 30, 2026."),
    ],
)
def test_the_day_that_is_asked_for_is_told(text: str, said: str) -> None:
    assert answered("date", text) == said


@pytest.mark.parametrize(
    ("intent", "turns"),
    [
        (
            "time",
            [
                ("What time is it?", "It's 2:00 PM."),
                ("And in Tokyo?", "It's 10:00 PM in Tokyo."),
                ("And London?", "It's 1:00 PM in London."),
                ("What about New York then?", "It's 8:00 AM in New York."),
                ("and here?", "It's 2:00 PM."),
                ("Sorry, Los Angeles.", "It's 5:00 AM in Los Angeles."),
                ("No, I meant Lisbon.", "It's 1:00 PM in Lisbon."),
                ("and in three hours?", "That is 4:00 PM in Lisbon."),
                ("What about children?", "(question)"),
            ],
        ),
        (
            "date",
            [
                ("What day is it today?", "Today is Monday, November 30, 2026."),
                ("And tomorrow?", "That is Tuesday, December 1, 2026."),
                ("What about the day after tomorrow?", "That is Wednesday, December 2, 2026, in 2 days."),
                ("And in Sydney?", "Today is Tuesday, December 1, 2026."),
            ],
        ),
        (
            "date",
            [
                ("How many days until Christmas?", "It's 25 days until Friday, December 25, 2026."),
                ("And until Easter?", "It's 118 days until Sunday, March 28, 2027."),
                ("What about Halloween?", "It's 335 days until Sunday, October 31, 2027."),
            ],
        ),
        (
            "date",
            [
                ("When is Easter next year?", "That is Sunday, March 28, 2027, in 118 days."),
                ("And in 2028?", "That is Sunday, April 16, 2028, in 503 days."),
            ],
        ),
        (
            "date",
            [
                ("What day was July 20th 1969?", "That is Sunday, July 20, 1969."),
                ("And the day before?", "That is Saturday, July 19, 1969."),
            ],
        ),
        (
            "spell",
            [('Spell "rhythm".', "rhythm is spelled R, H, Y, T, H, M."), ("And cat?", "cat is spelled C, A, T.")],
        ),
    ],
)
def test_a_turn_leans_on_the_one_before_it(intent: str, turns: list[tuple[str, str]]) -> None:
    memory = Memory()
    first, *others = turns
    assert answered(intent, first[0], memory) == first[1]
    for text, said in others:
        assert answered("question", text, memory) == said


def test_a_turn_that_may_go_on_leaves_nothing_to_lean_on() -> None:
    async def scene() -> None:
        memory = Memory()
        draft = toolbox(committed=False, memory=memory, clock=Afternoon())
        assert await draft.by_intent("time", "What time is it?")
        assert memory.told == ("", {}) and draft.told is not None
        draft.committed.set()
        draft.remember("", {})
        assert memory.told == ("", {})

    asyncio.run(scene())
