"""The tools that come with Parley: the clock, timers, and a search in the knowledge."""

import re
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from app.timers import LONGEST_S, MOST, Timer, heard_length, said_length
from app.tools import Desk, ToolError, tool

PASSAGES = 3
LONGEST_ABOUT = 200  # characters of what a reminder is about

_REMINDS = re.compile(r"\b(?:remind me|timer|alarm)\b", re.IGNORECASE)
_TO_DO = re.compile(r"\bto (?!\d)", re.IGNORECASE)
_WHEN = re.compile(r" ?\b(?:in|for|after) [\w .-]{0,40}?(?:hour|minute|second)s?\b(?: and a half)?", re.IGNORECASE)
_SEARCH = re.compile(
    r"^\W*(?:(?:please|can you|could you|would you|okay|hey|parley)\W+)*"
    r"(?:search(?: (?:in |through )?(?:the|your|my) [\w ]+?)? for|"
    r"look (?:up|for)|find (?:me |out )?(?:something |anything )?(?:about|on)|"
    r"what (?:do|does) (?:you|the|your|my) ?[\w ]*? (?:have on|have about|say about))\s+(\S.*)",
    re.IGNORECASE | re.DOTALL,
)


def sought(text: str) -> str:
    """What `text` wants to have looked up: "search the knowledge base for jitter buffers" seeks "jitter buffers"."""
    match = _SEARCH.fullmatch(text)
    return match[1] if match else text


def _now(desk: Desk, zone: str = "") -> datetime:
    try:
        where = ZoneInfo(zone or desk.settings.time_zone) if zone or desk.settings.time_zone else None
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ToolError(f"{zone} is no time zone such as Europe/Berlin") from error
    return datetime.fromtimestamp(desk.clock.epoch_ms() / 1000).astimezone(where)


Zone = Annotated[str, Field(description="IANA name such as Europe/Berlin; empty for the user's own")]


@tool(intent="time")
async def current_time(desk: Desk, zone: Zone = "") -> str:
    """The time of day, now."""
    return desk.dialogue.line("time", time=f"{_now(desk, zone):%-I:%M %p}")


@tool(intent="date")
async def current_date(desk: Desk, zone: Zone = "") -> str:
    """Today's weekday and date."""
    return desk.dialogue.line("date", date=f"{_now(desk, zone):%A, %B %-d, %Y}")


def _timer_heard(text: str) -> dict[str, Any] | None:
    length = heard_length(text)
    return None if length is None else {"seconds": length, "about": _about(text)}


def _about(text: str) -> str:
    """What somebody wants to be reminded of: "remind me in an hour to check the oven" is about "check the oven"."""
    rest = " ".join(_WHEN.sub("", " ".join(text.split())).split())
    reminds = _REMINDS.search(rest)
    to_do = _TO_DO.search(rest, reminds.end()) if reminds else None
    return rest[to_do.end() :].rstrip(".?! ")[:LONGEST_ABOUT] if to_do else ""


@tool(intent="set_timer", listen=_timer_heard, ask="timer_how_long", acts=True)
async def set_timer(
    desk: Desk,
    seconds: Annotated[float, Field(ge=1, le=LONGEST_S, description="length, at most a day")],
    about: Annotated[
        str, Field(max_length=LONGEST_ABOUT, description="what it is for, if the user said so: 'take out the bread'")
    ] = "",
) -> str:
    """Sets a timer, or a reminder. You will speak up when it is over."""
    if len(desk.memory.timers) >= MOST:
        return desk.dialogue.line("timer_full", count=str(MOST))
    desk.memory.timers.append(Timer(desk.clock.epoch_ms() + seconds * 1000, seconds, about))
    return desk.dialogue.line("timer_set", length=said_length(seconds))


@tool(intent="cancel_timer", listen=lambda text: {"seconds": heard_length(text)}, acts=True)
async def cancel_timers(
    desk: Desk,
    seconds: Annotated[float | None, Field(description="only the timer of this length; none: all")] = None,
) -> str:
    """Cancels running timers."""
    timers = desk.memory.timers
    gone = [timer for timer in timers if seconds is None or timer.length_s == seconds]
    timers[:] = [timer for timer in timers if timer not in gone]
    return desk.dialogue.line("timer_cancelled" if gone else "timer_none")


@tool(intent="list_timers")
async def list_timers(desk: Desk) -> str:
    """How long the running timers still take."""
    now = desk.clock.epoch_ms()
    left = [said_length(max(0.0, timer.due_ms - now) / 1000) for timer in sorted(desk.memory.timers, key=lambda t: t.due_ms)]
    return desk.dialogue.line("timer_left", left=", then ".join(left)) if left else desk.dialogue.line("timer_none")


@tool()
async def search_knowledge(
    desk: Desk, query: Annotated[str, Field(min_length=1, description="a question or a few words")]
) -> str:
    """Searches the knowledge base for more than the passages that came with the question."""
    passages = await desk.services.retrieval.search(query, PASSAGES)
    return "\n".join(f"{passage.title}: {passage.text}" for passage in passages)
