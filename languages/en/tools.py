"""What is heard of the tools' arguments in spoken English, and how their values are said."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from languages.en.alarms import heard_alarms, in_turn, unclear
from languages.en.dates import figures, heard_day, heard_measure, heard_past, heard_span, heard_time, heard_whole
from languages.en.declining import wanted_of
from languages.en.parts import heard_parts
from languages.en.places import apart, zones_of
from languages.en.short_words import told_by_few
from languages.en.spelling import backwards, heard_word, letters, named_word
from languages.en.time_and_date import clock_answered, clock_follows, clock_heard, converts, date_follows, date_heard, is_beyond
from languages.en.timer_talk import (
    another_heard,
    factor_heard,
    heard_more,
    of_its_kind,
    other_number,
    snooze_heard,
    taken_back,
)
from languages.en.timers import (
    besides,
    called,
    chosen,
    corrected,
    ends,
    heard_about,
    heard_length,
    heard_lengths,
    heard_name,
    meant,
    of_all,
    of_last,
    only_length,
    renamed,
    said_length,
    what_for,
)
from languages.en.wishes import wanted
from languages.tools import LONGEST_ABOUT, LONGEST_S, Heard, Lately, Remembered, Sayings, Timer, Understanding

_EVERY = re.compile(r"\b(?:every|each|daily|weekly|weekdays)\b", re.IGNORECASE)
_MORE = re.compile(
    r"\b(?:add|extend|prolong|lengthen|snooze)\b|\bgive\b.*\b(?:another|more|extra)\b|\b(?:another|more)\b.*\bon\b",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\b(?:subtract|shorten|reduce|remove|deduct|minus)\b|\btake\b.*\b(?:off|away|from)\b|\bless\b", re.IGNORECASE
)
_OTHERWISE = re.compile(
    r"\b(?:make|change|set|switch|move|push|adjust|update|correct)\b "
    r"(?:it|that|this|(?:the|my|that) (?:[\w'’-]+ ){0,2}(?:timer|alarm|reminder)|"
    r"(?:the|my) [\w'’-]+)(?: one)?(?: (?:to|for|at|back to|into))? (?=\S*\d|\w)|\b(?:timer|alarm|reminder) should be\b",
    re.IGNORECASE,
)
_UNDONE = re.compile(r"\b(?:pause|unpause|resume|hold|freeze|restart|reset)\b", re.IGNORECASE)
_EITHER = re.compile(r"\btimer (?:for|of|to) \d{1,2}[:.]\d\d\b(?! ?[ap]\.?m)", re.IGNORECASE)
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


def _timer_heard(text: str) -> dict[str, Any] | None:
    text = wanted_of(text)
    length = heard_length(text)
    if length is None or length > LONGEST_S or _EVERY.search(text):
        return None
    return {"seconds": length, "about": heard_about(text), "name": heard_name(text)}


def _timer_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    """The answer to "For how long?" may be a bare number, of minutes, or the unit of a number that was said before."""
    if told := _timer_heard(text):
        return told
    request = memory.request.rstrip(" .,!?")
    if _ask_when(request) != "timer_how_long":
        return None
    bare = re.fullmatch(r"\A\W*+(?:for |uh |um |about |say )*(\d{1,3})\W*", figures(text))
    if bare:
        return {"seconds": 60.0 * int(bare[1]), "about": heard_about(request), "name": heard_name(request)}
    return _timer_heard(f"{request} {text}") if len(text.split()) == 1 else None


def _timers_heard(text: str) -> dict[str, Any] | None:
    timers = heard_lengths(text := wanted_of(text))
    if not timers or any(length > LONGEST_S for length, _ in timers):
        return None
    return {"seconds": [length for length, _ in timers], "names": [heard_name(words) for _, words in timers]}


def _alarm_heard(text: str) -> dict[str, Any] | None:
    """A time of day, a day, or a length that no timer has: what is said of it then is that it is too long. "A timer for 1:30" may
    be a length as well, and is asked for."""
    text = wanted_of(text)
    length, now = heard_length(text), datetime(2000, 1, 1, tzinfo=UTC)
    day = heard_day(text, now.date())
    told = heard_time(text, now) is not None and _EITHER.search(text) is None
    if unclear(text):
        return None
    far = (length or 0) > LONGEST_S or (day is not None and (day - now.date()).days > 1)
    if not told and not far and not _EVERY.search(text):
        return None
    return {"at": text[:LONGEST_ABOUT], "about": heard_about(text), "name": heard_name(text)}


def _alarm_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    """The time of day, of the day that was named before."""
    told = _alarm_heard(text)
    if told and heard_day(memory.request, date(2000, 1, 1)) is not None:
        told["at"] = f"{memory.request} {text}"[:LONGEST_ABOUT]
    return told


def _alarms_heard(text: str) -> dict[str, Any] | None:
    text = wanted_of(text)
    alarms = [] if _EVERY.search(text) or unclear(text) or heard_lengths(text) else heard_alarms(text)
    if not alarms:
        return None
    return {
        "at": [alarm.at[:LONGEST_ABOUT] for alarm in alarms],
        "abouts": [alarm.about for alarm in alarms],
        "names": [alarm.name for alarm in alarms],
    }


def _ask_when(text: str) -> str:
    """The line that asks for what is missing: a timer has a length, a reminder and an alarm a time."""
    order = re.search(r"\b(?:(remind|alarm|wake)|timer|count ?down)", text, re.IGNORECASE)
    if order is None or order[1] is None:
        return "timer_how_long"
    return "timer_what_time" if unclear(text) or heard_day(text, date(2000, 1, 1)) else "timer_when"


def _name_heard(text: str) -> dict[str, Any] | None:
    return {"name": name[:LONGEST_ABOUT]} if (name := renamed(text)) else None


def _more_heard(text: str) -> dict[str, Any] | None:
    if told := heard_more(text.replace("’", "'")):
        return {"seconds": told.seconds, "which": told.which[:LONGEST_ABOUT]}
    more, less = _MORE.search(text), _LESS.search(text)
    length = heard_length(text) if more or less else None
    if not length:
        return None
    return {"seconds": -length if less and not more else length, "which": besides(text)[:LONGEST_ABOUT]}


def _other_heard(text: str) -> dict[str, Any] | None:
    """Another length, or another time of day, for a timer that runs: "make it fifteen minutes". A bare number is left to what is
    known of the timer (`of_its_kind`)."""
    if number := other_number(text):
        return {"at": number[0], "which": number[1][:LONGEST_ABOUT]}
    if length := corrected(text):
        return {"at": length[:LONGEST_ABOUT], "which": ""}
    found = _OTHERWISE.search(text)
    if found and heard_length(text[: found.start()]) is not None:
        return None  # "A timer for five minutes. Actually, make it six."
    at = text[found.end() :] if found else ""
    if not found or (heard_length(at) is None and heard_time(f"at {at}", datetime(2000, 1, 1, tzinfo=UTC)) is None):
        return None
    at = at if heard_length(at) else f"at {at}"
    return {"at": at[:LONGEST_ABOUT], "which": found[0][:LONGEST_ABOUT], "name": heard_name(found[0])}


def _more_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    which = None if ends(text) else chosen(memory.timers, text)
    return {**told, "which": which} if which and (told := _more_heard(memory.request)) else None


def _other_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    """Which one it is, or how long where that was not clear: "make it ten" of an hour."""
    told = None if ends(text) else _other_heard(memory.request)
    if told is None:
        return None
    if which := chosen(memory.timers, text):
        return {**told, "which": which}
    said = text.strip(" .,!?")
    length = only_length(said) or only_length(f"{told['at']} {said}")
    return {**told, "at": f"{length:g} seconds"} if length else None


def _factor_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    which = None if ends(text) else chosen(memory.timers, text)
    return {**told, "which": which} if which and (told := factor_heard(memory.request)) else None


def _which_heard(text: str) -> dict[str, Any]:
    return {"which": text[:LONGEST_ABOUT]}


def _cancel_heard(text: str) -> dict[str, Any] | None:
    if taken_back(text):
        return {"last": True}
    return None if _UNDONE.search(text) else _which_heard(text)


def _which_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    """The answer is about those of which it was asked."""
    which = chosen(meant(memory.timers, memory.request), text)
    return {"which": which[:LONGEST_ABOUT], "among": memory.request[:LONGEST_ABOUT]} if which else None


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]


def _count(days: int, measure: str) -> str:
    """So many days, or weeks and days, as they are said."""
    if measure != "weeks":
        return f"{days} day{'' if days == 1 else 's'}"
    weeks, rest = divmod(days, 7)
    parts = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((weeks, "week"), (rest, "day")) if count]
    return " and ".join(parts) or "0 weeks"


def _either(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " or " + parts[-1] if len(parts) > 1 else "".join(parts)


def _spelling_heard(text: str) -> dict[str, Any] | None:
    return {"word": word, "backwards": backwards(text)} if (word := heard_word(text)) else None


def _spelling_answered(text: str, memory: Remembered) -> dict[str, Any] | None:
    return {"word": word, "backwards": backwards(text)} if (word := named_word(text)) else None


def _spelling_follows(text: str, before: dict[str, Any]) -> dict[str, Any] | None:
    """Another word: "And separate?" """
    found = re.fullmatch(r"\A\W*+(?:and|what about|how about)\W++([^\W\d_]{3,40})\W*+", text, re.IGNORECASE)
    return {"word": found[1]} if found else None


def _counted(text: str, today: date) -> date | None:
    past = re.search(r"\b(?:since|ago)\b", text.lower()) is not None
    return heard_past(text, today) if past else heard_day(text, today)


def _said_date(day: date) -> str:
    return f"{day:%A, %B %-d, %Y}"


def _said_day(day: date, today: date) -> str:
    days = (day - today).days
    return _said_date(day) + (f", in {days} days" if days > 1 else "")


def _said_time(time: datetime) -> str:
    return f"{time:%-I:%M %p}"


def _said_left(left: Sequence[tuple[float, str]]) -> str:
    return ", then ".join(said_length(seconds) + (f" for {name}" if name and len(left) > 1 else "") for seconds, name in left)


def _wanted(intent: str, text: str, timers: Sequence[Timer], lately: Lately) -> str:
    if converts(text):
        return "time"
    found = wanted(told_by_few(intent, text), text, timers, lately)
    return "question" if found == "date" and is_beyond(text) else found


UNDERSTANDING = Understanding(
    tools={
        "current_time": Heard(clock_heard, clock_answered, follows=clock_follows),
        "current_date": Heard(date_heard, follows=date_follows),
        "extend_timer": Heard(_more_heard, _more_answered),
        "change_timer": Heard(_other_heard, _other_answered),
        "set_timers": Heard(_timers_heard),
        "name_timer": Heard(_name_heard, lambda text, memory: None),
        "set_timer": Heard(_timer_heard, _timer_answered, _ask_when, what_for),
        "set_alarm": Heard(_alarm_heard, _alarm_answered, _ask_when, what_for),
        "set_alarms": Heard(_alarms_heard),
        "snooze_timer": Heard(snooze_heard, lambda text, memory: None),
        "repeat_timer": Heard(another_heard, lambda text, memory: None),
        "scale_timer": Heard(factor_heard, _factor_answered),
        "cancel_timers": Heard(_cancel_heard, _which_answered, lambda text: "timer_cannot"),
        "list_timers": Heard(_which_heard),
        "spell_word": Heard(_spelling_heard, _spelling_answered, follows=_spelling_follows),
    },
    length=heard_length,
    day=heard_day,
    moment=heard_time,
    moments=in_turn,
    measure=heard_measure,
    counted=_counted,
    span=heard_span,
    whole=heard_whole,
    repeats=lambda text: _EVERY.search(text) is not None,
    meant=meant,
    means_all=of_all,
    means_last=of_last,
    zones=zones_of,
    apart=apart,
    parts=heard_parts,
    sought=sought,
    wanted=_wanted,
    of_its_kind=of_its_kind,
)
SAYINGS = Sayings(
    together=_listed,
    either=_either,
    length=said_length,
    within=lambda seconds: f"in {said_length(seconds)}",
    time=_said_time,
    at=lambda time: f"at {_said_time(time)}",
    day=_said_day,
    full=_said_date,
    short=lambda day, year: f"{day:%B %-d, %Y}" if year else f"{day:%B %-d}",
    days=_count,
    letters=letters,
    timers=called,
    left=_said_left,
    reminder=lambda about: "reminder_due_of" if about.startswith(("that ", "about ", "not to ")) else "reminder_due",
)
