"""The tools that tell the time and the date: here and elsewhere, now and on other days."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.tz import tzlocal
from pydantic import Field

from app.dialogue.agent_context import AgentContext
from app.tools.registry import Asks, ToolError, tool
from languages.tools import LONGEST_ABOUT


def now_of(context: AgentContext, zone: str = "") -> datetime:
    """The time now in `zone`, or in the user's zone. Raises ToolError for an unknown zone."""
    try:
        where = ZoneInfo(zone or context.settings.time_zone) if zone or context.settings.time_zone else tzlocal()
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ToolError(f"{zone} is no time zone such as Europe/Berlin") from error
    return datetime.fromtimestamp(context.clock.epoch_ms() / 1000, where)


def later(moment: datetime, seconds: float) -> datetime:
    """What clocks show `seconds` after `moment`, also where they are changed in between."""
    return (moment.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(moment.tzinfo)


def seconds_between(first: datetime, last: datetime) -> float:
    """How many seconds pass, also where the clocks are changed in between: the difference of two times of one zone is that of what
    the clocks show."""
    return (last.astimezone(UTC) - first.astimezone(UTC)).total_seconds()


async def _there(context: AgentContext, zone: str, place: str) -> tuple[datetime | None, str]:
    """The time now, of a place where one is named; None and a word on it where that cannot be told."""
    if not place:
        return now_of(context, zone), ""
    zones = await asyncio.to_thread(context.language.hears.zones, place)
    times = {now_of(context, one).utcoffset(): now_of(context, one) for one in zones if one}
    if len(times) == 1 and len(zones) == len(list(filter(None, zones))):
        return next(iter(times.values())), ""
    if zones:
        return None, Asks(context.dialogue.line("place_several", place=place))
    return None, context.dialogue.line("place_unknown", place=place)


async def _apart(context: AgentContext, place: str) -> list[str]:
    """The places of which several are named, one of them known at least."""
    hears = context.language.hears
    names = await asyncio.to_thread(hears.apart, place) if place else []
    return names if len(names) > 1 and any([await asyncio.to_thread(hears.zones, name) for name in names]) else []


async def _date_in(context: AgentContext, place: str) -> str:
    now, problem = await _there(context, "", place)
    today = now.date() if now is not None else None
    return context.dialogue.line("date_in", date=context.language.says.day(today, today), place=place) if today else problem


def _together(told: list[str]) -> str:
    return (Asks if any(isinstance(one, Asks) for one in told) else str)(" ".join(told))


Zone = Annotated[str, Field(description="IANA name such as Europe/Berlin; empty for the user's own")]
Place = Annotated[
    str, Field(max_length=LONGEST_ABOUT, description="a city or country, where one is named; then no zone is needed")
]


@tool(intent="time")
async def current_time(
    context: AgentContext,
    zone: Zone = "",
    place: Place = "",
    seconds: Annotated[float, Field(ge=-31_622_400, le=31_622_400, description="another moment: so long from now")] = 0,
    until: Annotated[str, Field(max_length=LONGEST_ABOUT, description="how long it is until then: '17:30', 'noon'")] = "",
    at: Annotated[
        str, Field(max_length=LONGEST_ABOUT, description="what it is in `place` when it is this: '17:30', 'noon'")
    ] = "",
    at_place: Annotated[str, Field(max_length=LONGEST_ABOUT, description="where it is `at`; empty: where the user is")] = "",
) -> str:
    """The time of day, now, how long it is until another, or what another is elsewhere."""
    hears, says = context.language.hears, context.language.says
    if until:
        moment = hears.moment(until, now_of(context, zone))
        if moment is None:
            raise ToolError(f"{until} is no time of day such as 17:30")
        left = seconds_between(now_of(context, zone), moment)
        return context.dialogue.line("time_until", length=says.length(max(60, 60 * round(left / 60))), time=says.time(moment))
    if apart := await _apart(context, place):
        return _together([await current_time(context, place=one, seconds=seconds) for one in apart])
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    if at:
        return await _converted(context, at, at_place, now, place)
    then = says.time(later(now, seconds))
    if seconds:
        return context.dialogue.line("time_then_in" if place else "time_then", time=then, place=place)
    return context.dialogue.line("time_in" if place else "time", time=then, place=place)


async def _converted(context: AgentContext, at: str, at_place: str, now: datetime, place: str) -> str:
    """What it is at a place where it is `now` when it is `at` somewhere else."""
    there, problem = await _there(context, "", at_place)
    if there is None:
        return problem
    moment = context.language.hears.moment(f"at {at}", there)
    if moment is None:
        raise ToolError(f"{at} is no time of day such as 17:30")
    then = context.language.says.time(moment.astimezone(now.tzinfo))
    return context.dialogue.line("time_then_in" if place else "time_then", time=then, place=place)


@tool(intent="date")
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
    if apart := await _apart(context, place):
        return _together([await _date_in(context, one) for one in apart])
    now, problem = await _there(context, zone, place)
    if now is None:
        return problem
    today = now.date()
    hears, says = context.language.hears, context.language.says
    if measured := _measured(context, day, hears.measure(day), today):
        return measured
    then = hears.day(day, today) if day else today
    if then is None:
        return context.dialogue.line("day_unknown")
    return context.dialogue.line("date" if then == today else "date_then", date=says.day(then, today))


def _measured(context: AgentContext, asked: str, measure: str, today: date) -> str | None:
    """What is `asked` of a day, where it is not its date."""
    line, hears, says = context.dialogue.line, context.language.hears, context.language.says
    if whole := hears.whole(asked, today):
        return line("days_in", count=says.days((whole[1] - whole[0]).days, "days"))
    if measure and (span := hears.span(asked, today)):
        first, last = sorted(span)
        count = says.days((last - first).days, measure)
        return line("days_between", count=count, first=says.short(first, False), last=says.short(last, True))
    then = hears.counted(asked, today)
    if measure == "week":
        year, week, _ = (then or today).isocalendar()
        return line("date_week" if then in (None, today) else "date_then_week", week=str(week), year=str(year))
    if measure == "day of the year":
        return line("date_year_day", day=str(int(f"{then or today:%j}")), year=str((then or today).year))
    if not measure or then is None or then == today:
        return None
    count = says.days(abs((then - today).days), measure)
    return line("days_until" if then > today else "days_since", count=count, date=says.full(then))
