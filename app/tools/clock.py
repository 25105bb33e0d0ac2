"""The tools that tell the time and the date: here and elsewhere, now and on other days."""

import asyncio
import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from app.dialogue.context import AgentContext
from app.dialogue.memory import Memory
from app.tools.registry import Asks, ToolError, tool
from app.tools.timers import LONGEST_ABOUT, heard_length
from languages.en.dates import heard_day, heard_measure, heard_past, heard_span, heard_whole
from languages.en.places import answered_place, heard_place, zones_of


def now_of(context: AgentContext, zone: str = "") -> datetime:
    """The time now, of `zone` or else of the user. Raises ToolError for an unknown zone."""
    try:
        where = ZoneInfo(zone or context.settings.time_zone) if zone or context.settings.time_zone else None
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ToolError(f"{zone} is no time zone such as Europe/Berlin") from error
    return datetime.fromtimestamp(context.clock.epoch_ms() / 1000).astimezone(where)


def _clock_heard(text: str) -> dict[str, Any]:
    ago = -1 if re.search(r"\bago\b", text) else 1
    return {"place": heard_place(text), "seconds": ago * (heard_length(text) or 0)}


async def _clock_answered(text: str, memory: Memory) -> dict[str, Any] | None:
    place = await asyncio.to_thread(answered_place, text)
    return {"place": place} if place else None


def _date_heard(text: str) -> dict[str, Any]:
    named = heard_day(text, date(2000, 1, 1)) or heard_measure(text) or heard_whole(text, date(2000, 1, 1))
    place = heard_place(text)
    if place and (
        heard_day(place, date(2000, 1, 1)) or heard_span(text, date(2000, 1, 1)) or heard_whole(text, date(2000, 1, 1))
    ):
        place = ""
    return {"place": place, "day": text[:LONGEST_ABOUT] if named else ""}


async def _there(context: AgentContext, zone: str, place: str) -> tuple[datetime | None, str]:
    """The time now, of a place where one is named; None and a word on it where that cannot be told."""
    if not place:
        return now_of(context, zone), ""
    zones = await asyncio.to_thread(zones_of, place)
    times = {now_of(context, one).utcoffset(): now_of(context, one) for one in zones if one}
    if len(times) == 1 and len(zones) == len(list(filter(None, zones))):
        return next(iter(times.values())), ""
    if zones:
        return None, Asks(context.dialogue.line("place_several", place=place))
    return None, context.dialogue.line("place_unknown", place=place)


Zone = Annotated[str, Field(description="IANA name such as Europe/Berlin; empty for the user's own")]
Place = Annotated[
    str, Field(max_length=LONGEST_ABOUT, description="a city or country, where one is named; then no zone is needed")
]


@tool(intent="time", listen=_clock_heard, take=_clock_answered)
async def current_time(
    context: AgentContext,
    zone: Zone = "",
    place: Place = "",
    seconds: Annotated[float, Field(ge=-31_622_400, le=31_622_400, description="another moment: so long from now")] = 0,
) -> str:
    """The time of day, now."""
    apart = re.split(r",? and ", place)
    if len(apart) == 2 and all([await asyncio.to_thread(zones_of, one) for one in apart]):  # noqa: RUF100
        first, second = [await current_time(context, place=one, seconds=seconds) for one in apart]
        return f"{first} {second}"
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    then = f"{now + timedelta(seconds=seconds):%-I:%M %p}"
    if seconds:
        return context.dialogue.line("time_then_in" if place else "time_then", time=then, place=place)
    return context.dialogue.line("time_in" if place else "time", time=then, place=place)


@tool(intent="date", listen=_date_heard)
async def current_date(
    context: AgentContext,
    zone: Zone = "",
    place: Place = "",
    day: Annotated[
        str,
        Field(
            max_length=LONGEST_ABOUT,
            description="another day, as the user named it, or what is asked of it: 'next Friday', "
            "'days until Christmas', 'which week is May 1'",
        ),
    ] = "",
) -> str:
    """Today's weekday and date, or those of another day; its week, or how many days or weeks it is away."""
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    today = now.date()
    measure = heard_measure(day)
    if measured := _measured(context, day, measure, today):
        return measured
    then = heard_day(day, today) if day else today
    if then is None:
        return context.dialogue.line("day_unknown")
    days = (then - today).days
    far = f", in {days} days" if days > 1 else ""
    return context.dialogue.line("date" if not days else "date_then", date=f"{then:%A, %B %-d, %Y}{far}")


def _measured(context: AgentContext, asked: str, measure: str, today: date) -> str | None:
    """What is `asked` of a day, where it is not its date."""
    line = context.dialogue.line
    if whole := heard_whole(asked, today):
        return line("days_in", count=f"{(whole[1] - whole[0]).days} days")
    if measure and (span := heard_span(asked, today)):
        first, last = sorted(span)
        return line(
            "days_between", count=_count((last - first).days, measure), first=f"{first:%B %-d}", last=f"{last:%B %-d, %Y}"
        )
    since = re.search(r"\b(?:since|ago)\b", asked.lower()) is not None
    then = heard_past(asked, today) if since else heard_day(asked, today)
    if measure == "week":
        year, week, _ = (then or today).isocalendar()
        return line("date_week" if then in (None, today) else "date_then_week", week=str(week), year=str(year))
    if measure == "day of the year":
        return line("date_year_day", day=str(int(f"{then or today:%j}")), year=str((then or today).year))
    if not measure or then is None or then == today:
        return None
    count = _count(abs((then - today).days), measure)
    return line("days_until" if then > today else "days_since", count=count, date=f"{then:%A, %B %-d, %Y}")


def _count(days: int, measure: str) -> str:
    """So many days, or weeks and days, as they are said."""
    if measure != "weeks":
        return f"{days} day{'' if days == 1 else 's'}"
    weeks, rest = divmod(days, 7)
    parts = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((weeks, "week"), (rest, "day")) if count]
    return " and ".join(parts) or "0 weeks"
