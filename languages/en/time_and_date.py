"""What is asked of the clock and the calendar: now or at another time, here or elsewhere, and after what was asked before."""

import asyncio
import re
from collections.abc import Awaitable
from datetime import UTC, date, datetime
from typing import Any

from languages.en.dates import (
    YEAR,
    figures,
    heard_day,
    heard_measure,
    heard_span,
    heard_time,
    heard_whole,
)
from languages.en.places import answered_place, heard_place, zones_of
from languages.en.timers import heard_length
from languages.en.wishes import UNTIL, is_strange
from languages.tools import LONGEST_ABOUT, Arguments, Remembered

SOME_DAY = date(2000, 1, 1)
_NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)
_HALF = r"(?:[ap]\.?m\b\.?|o'clock)"
_PLAIN_TIME = rf"(?:\d{{1,2}}(?:[:.]\d\d)? ?{_HALF}|\d{{1,2}}:\d\d|noon|midday|midnight|[a-z]{{3,9}} {_HALF})"
_TIME = rf"(?:{_PLAIN_TIME}|\d{{1,2}}(?:\.\d\d)?)"
_WHEN = re.compile(  # "when it's noon in London"
    rf"(?:,\s)?\b(?:when|if) (?:it's|it is|it was|its) (?P<at>{_TIME})"
    r"(?: (?:in|at) (?P<place>[^,?!.]{2,40}?)| (?:here|there))?(?=[,?!.]|\s*\Z| what\b)",
    re.IGNORECASE,
)
_OF_ONE_PLACE = r"(?:in |at )?(?P<place>[^\W\d_][^,?!.]{1,40}?)(?: time)? in (?=[^\W\d_])"
_OF_ZONE = (  # "what time is 3 Eastern in Berlin", "what is noon Eastern in Berlin"; "20 degrees in Fahrenheit" is no time
    re.compile(rf"\bwhat time (?:is|would|will)(?: be)? (?P<at>{_TIME}) {_OF_ONE_PLACE}", re.IGNORECASE),
    re.compile(rf"\bwhat (?:is|would|will)(?: be)? (?P<at>{_PLAIN_TIME}) {_OF_ONE_PLACE}", re.IGNORECASE),
)
_GOES_ON = re.compile(
    r"\A\W*+(?:(?:and|but|okay|ok|so|also|then|oh|well|right|thanks|thank you|great)\W++){0,4}"
    r"(?:(?:what|how) about|and)\W++(?P<rest>.{1,80})",
    re.IGNORECASE | re.DOTALL,
)
_CORRECTS = re.compile(
    r"\A\W*+(?:(?:no|sorry|oh|wait|actually|well|oops|pardon|i'm)\W++){0,4}"
    r"(?:i (?:mean|meant|said)|make (?:it|that)|sorry|no|actually)\W++(?P<rest>.{1,80})",
    re.IGNORECASE | re.DOTALL,
)
_BARE = re.compile(r"\A\W*+(?P<rest>(?:in|at) [^\W\d].{0,60}|[^?]{2,40}\?)\W*+\Z", re.IGNORECASE | re.DOTALL)
_BESIDE = re.compile(
    r"\A(?:over|in|for|at|on|the one|until|till|til|to|since|by)\s+|\s(?:please|then|now|instead|time|there)\W*\Z|"
    r",? not .{1,60}\Z|(?<!\W)\W+\Z",
    re.IGNORECASE,
)
_ONLY_LENGTH = re.compile(
    r"\A(?:[\w/.]{1,20} (?:and )?(?:a )?(?:hours?|hrs?|minutes?|mins?|sec|half|quarter)(?: and )?){1,4}"
    r"(?: ago| earlier| later| from now)?"
)
LONGEST_PLACE = 5  # words
_BEYOND = re.compile(
    r"\bleap year\b|\b(?:clocks|time) (?:go|change|spring|fall|turn)|\bdaylight\b|\bquarter are we\b", re.IGNORECASE
)
_ALREADY = re.compile(r"\A\W*+is it (?:already |still |yet )?(?:tomorrow|yesterday)\b", re.IGNORECASE)
_FEAST_OF_A_COUNTRY = re.compile(r"\b(?:thanksgiving|(?:mother|father)'?s'? day|labou?r day|independence day)\b", re.IGNORECASE)
_NAMED = re.compile(r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days\b", re.IGNORECASE)  # a day, in words that are not known
_COUNTS = re.compile(r"\A\W*+(?:(?:and|so|but|okay|ok)\W++){0,4}how (?:many|old|long|far|much|often)\b", re.IGNORECASE)
_HERE = frozenset(("here", "my time", "me", "where i am", "my place", "us"))
_NEXT_TO = re.compile(r"(?:on )?(?:the )?(day|week|month|year) (before|after)(?: that)?")
_ASKED = {
    "days": "how many days until ",
    "weeks": "how many weeks until ",
    "week": "what week is ",
    "day of the year": "what day of the year is ",
}


def clock_heard(text: str) -> dict[str, Any]:
    """What is asked of the clock."""
    if found := _converted(text):
        return found
    ago = -1 if re.search(r"\bago\b", text) else 1
    if until := UNTIL.search(text):
        return {"until": f"at {until['then'].removeprefix('at ')}"[:LONGEST_ABOUT]}
    return {"place": heard_place(text), "seconds": ago * (heard_length(text) or 0)}


def _converted(text: str) -> dict[str, Any] | None:
    """The time at one place, of which that at another is asked."""
    said = text.replace("’", "'")
    found = next(filter(None, (one.search(said) for one in (_WHEN, *_OF_ZONE))), None)
    if found is None or heard_time(f"at {found['at']}", _NOON) is None:
        return None
    before, after = said[: found.start()], said[found.end() :]
    there = (found["place"] or "").removesuffix(" time").strip()
    return {
        "at": found["at"],
        "at_place": there[:LONGEST_ABOUT],
        "place": heard_place(f"{before} {after}" if found.re is _WHEN else f"in {after}"),
    }


def converts(text: str) -> bool:
    """Whether it is asked what another time is somewhere else."""
    return _converted(text) is not None


def is_beyond(text: str) -> bool:
    """Whether more is asked than the calendar tells."""
    heard = date_heard(text)
    unknown = not heard["day"] and (_COUNTS.match(text) or _NAMED.search(text))
    return bool(_BEYOND.search(text) or unknown or (heard["place"] and heard["day"] and _FEAST_OF_A_COUNTRY.search(text)))


async def clock_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    """The place that was asked for."""
    place = await asyncio.to_thread(answered_place, text)
    return {"place": place} if place else None


def date_heard(text: str) -> dict[str, Any]:
    """What is asked of the calendar."""
    if _ALREADY.search(text):
        return {"place": heard_place(text), "day": ""}
    named = heard_day(text, SOME_DAY) or heard_measure(text) or heard_whole(text, SOME_DAY)
    place = heard_place(text)
    if place and (heard_day(place, SOME_DAY) or heard_span(text, SOME_DAY) or heard_whole(text, SOME_DAY)):
        place = ""
    return {"place": place, "day": text[:LONGEST_ABOUT] if named else ""}


def _rest(text: str) -> str:
    """What a turn names that only makes sense after the one before it: "and in London?" names London."""
    said = text.strip().replace("’", "'")
    found = _GOES_ON.fullmatch(said) or _CORRECTS.fullmatch(said) or _BARE.fullmatch(said)
    rest, before = (found["rest"] if found else "").strip(), None
    while rest != before:
        before, rest = rest, _BESIDE.sub("", rest).strip()
    return rest


def clock_follows(text: str, before: Arguments) -> Arguments | Awaitable[Arguments | None] | None:
    """Another place, or another time."""
    rest = _rest(text)
    if not rest or before.get("until"):
        return None
    kept = {name: value for name, value in before.items() if name in ("at", "at_place")}
    if rest.lower() in _HERE:
        return {**kept, "place": ""}
    if _ONLY_LENGTH.fullmatch(figures(rest)) and (length := heard_length(rest)):
        return {"place": before.get("place", ""), "seconds": -length if rest.endswith(("ago", "earlier")) else length}
    return _at_place(rest, kept)


def date_follows(text: str, before: Arguments) -> Arguments | Awaitable[Arguments | None] | None:
    """Another day, another year of the same, or another place."""
    rest, asked = _rest(text), str(before.get("day", ""))
    said = figures(rest)
    if not rest:
        return None
    if asked and (beside := _NEXT_TO.fullmatch(said)):
        return {"day": f"1 {beside[1]} {beside[2]} {asked}"[:LONGEST_ABOUT]}
    if asked and YEAR.fullmatch(said):
        return {"day": f"{YEAR.sub('', figures(asked))} {said}"[:LONGEST_ABOUT]}
    if heard_day(rest, SOME_DAY) is not None and not is_strange(rest):
        asks = _ASKED.get("" if heard_measure(rest) else heard_measure(asked), "")
        return {"day": f"{asks.replace('until', 'since') if 'since' in asked.lower() else asks}{rest}"[:LONGEST_ABOUT]}
    return _at_place(rest, {})


async def _at_place(rest: str, kept: Arguments) -> Arguments | None:
    if len(rest.split()) > LONGEST_PLACE or not await asyncio.to_thread(zones_of, rest):
        return None
    return {**kept, "place": rest}
