"""Days, times of day and places that people say."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from languages.en.dates import heard_day, heard_time
from languages.en.places import zones_of

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=ZoneInfo("Europe/Berlin"))  # a Monday


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("at five p.m.", 3),
        ("at 5", 3),
        ("set an alarm for seven o'clock", 5),
        ("wake me at half past six", 4.5),
        ("at quarter to six in the morning", 15.75),
        ("ten to five", 2 + 50 / 60),
        ("a quarter past four", 2.25),
        ("tomorrow at nine", 19),
        ("at 17:30", 3.5),
        ("at noon", 22),
        ("at midnight", 10),
        ("remind me at five thirty to call mom", 3.5),
        ("7 am", 17),
        ("tonight at eight", 6),
        ("at nine in the evening", 7),
        ("on Friday at 8", 90),
        ("05:30", 15.5),
        ("at five oh five", 3 + 5 / 60),
        ("at 17h30", 3.5),
        ("at eight tomorrow night", 30),
        ("tomorrow evening at six", 28),
        ("on Friday evening at 8", 102),
        ("this evening at six", 4),
    ],
)
def test_a_time_of_day_is_the_next_one(text: str, hours: float) -> None:
    assert heard_time(text, NOW) == NOW + timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["set a timer for ten minutes", "at 25:00", "at 5 percent", "in five minutes", "five", "", "at 13 am"]
)
def test_what_is_no_time_of_day_gives_none(text: str) -> None:
    assert heard_time(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("what's tomorrow's date", date(2026, 12, 1)),
        ("the day after tomorrow", date(2026, 12, 2)),
        ("yesterday", date(2026, 11, 29)),
        ("what day is Christmas", date(2026, 12, 25)),
        ("when is New Year's Eve", date(2026, 12, 31)),
        ("Thanksgiving", date(2027, 11, 25)),
        ("Easter", date(2027, 3, 28)),
        ("what's the date on Friday", date(2026, 12, 4)),
        ("next Monday", date(2026, 12, 7)),
        ("last Friday", date(2026, 11, 27)),
        ("in two weeks", date(2026, 12, 14)),
        ("in a week", date(2026, 12, 7)),
        ("three days ago", date(2026, 11, 27)),
        ("May the fifth", date(2027, 5, 5)),
        ("the fifth of May", date(2027, 5, 5)),
        ("December 24th", date(2026, 12, 24)),
        ("February 29", date(2028, 2, 29)),
        ("last Monday", date(2026, 11, 23)),
        ("the Friday before last", date(2026, 11, 20)),
        ("a week from today", date(2026, 12, 7)),
        ("a week from Friday", date(2026, 12, 11)),
        ("two days before Christmas", date(2026, 12, 23)),
        ("three days after the fifth of May", date(2027, 5, 8)),
        ("in a month", date(2026, 12, 30)),
        ("two months ago", date(2026, 9, 30)),
        ("a year ago", date(2025, 11, 30)),
        ("in a fortnight", date(2026, 12, 14)),
        ("Christmas last year", date(2025, 12, 25)),
        ("Easter next year", date(2027, 3, 28)),
        ("Easter 2030", date(2030, 4, 21)),
        ("May 3 2028", date(2028, 5, 3)),
        ("next month", date(2026, 12, 30)),
    ],
)
def test_a_day_is_known_by_its_name(text: str, day: date) -> None:
    assert heard_day(text, NOW.date()) == day


@pytest.mark.parametrize("text", ["what day is it", "February 30", "", "the date"])
def test_what_names_no_day_gives_none(text: str) -> None:
    assert heard_day(text, NOW.date()) is None


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("new york city", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("Zürich", "Europe/Zurich"),
        ("Munich", "Europe/Berlin"),
        ("San Francisco", "America/Los_Angeles"),
        ("Los Angeles, California", "America/Los_Angeles"),
        ("Japan", "Asia/Tokyo"),
        ("Mumbai", "Asia/Kolkata"),
        ("the UK", "Europe/London"),
        ("St. Petersburg", "Europe/Moscow"),
        ("UTC", "UTC"),
    ],
)
def test_a_place_has_its_zone(place: str, zone: str) -> None:
    assert zones_of(place) == [zone]


def test_a_place_that_is_not_clear_is_not_guessed() -> None:
    assert zones_of("Atlantis") == []
    assert len(zones_of("Springfield")) > 1
    assert len(zones_of("the United States")) > 1
