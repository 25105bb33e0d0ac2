"""Days and times of day that people say, without a language model. What is not understood for certain is None: it is asked for.

parsedatetime was tried for this: it takes "the day after tomorrow" for tomorrow and adds up all lengths of a sentence. text2num
reads the numbers, dateutil counts months and knows Easter, and what stands around them is told here.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta
from text_to_num import alpha2digit

_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_MONTHS = "january february march april may june july august september october november december".split()
_FEASTS = {  # month and day
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year": (1, 1),
    "valentine": (2, 14),
    "st patrick": (3, 17),
    "saint patrick": (3, 17),
    "april fool": (4, 1),
    "may day": (5, 1),
    "independence day": (7, 4),
    "halloween": (10, 31),
}
_HALF = (
    r"(?P<half>[ap]\.?m\b\.?|in the (?:morning|afternoon|evening)|at night|tonight|"
    r"(?:this|tomorrow) (?:morning|afternoon|evening|night))"
)
_PART = re.compile(
    rf"\b(?:(?:this|tomorrow|(?:on )?(?:{'|'.join(_DAYS)})|in the) (?P<part>morning|afternoon|evening|night)|"
    r"(?P<tonight>tonight))\b"
)
_CLOCK = (
    re.compile(
        r"\b(?P<minutes>\d{1,2}|quarter|half)(?: minutes?)? (?P<side>past|after|to|before|till|of) (?P<hour>\d{1,2})\b"
        rf"(?! ?(?:hour|minute|second|day))(?: o'?clock)?(?:,? {_HALF})?"
    ),
    re.compile(rf"\b(?P<hour>\d{{1,2}})(?:[:.h ](?P<minutes>[0-5]\d))?(?: o'?clock)?,? ?{_HALF}"),
    re.compile(r"\b(?P<hour>\d{1,2})[:h](?P<minutes>[0-5]\d)\b"),
    re.compile(r"\b(?P<hour>\d{1,2}) o'?clock\b"),
    re.compile(
        r"\b(?:at|alarm for|until|till|by) (?P<hour>\d{1,2})(?: (?P<minutes>[0-5]\d))?\b"
        r"(?! ?(?:hour|minute|second|day|week|percent|%|[:.]\d))"
    ),
)
_AWAY = re.compile(
    r"\b(?:in )?(?P<count>\d{1,4}) (?P<unit>day|week|fortnight|month|year)s?\b"
    r"(?: (?P<side>ago|earlier|before|from|after)\b(?P<other>.*))?"
)
_ON = re.compile(rf"\b(?P<which>next |last |this )?(?P<day>{'|'.join(_DAYS)})\b")
_DATED = re.compile(
    rf"\b(?:(?P<month>{'|'.join(_MONTHS)}) (?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?|"
    rf"(?:the )?(?P<day2>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month2>{'|'.join(_MONTHS)}))\b"
)
_YEAR = re.compile(r"\b(?:(?P<year>(?:19|20)\d\d)|(?P<which>this|last|next) year)\b")


def figures(text: str) -> str:
    """Lower case, numbers in figures; "second" stays a word, as it is a length and no place in a row."""
    said = re.sub(r"\bseconds?\b", "sec", " ".join(re.sub(r"[-–]", " ", text.lower().replace("’", "'")).split()))
    spelled: str = alpha2digit(said, "en", threshold=0)
    return spelled


def heard_time(text: str, now: datetime) -> datetime | None:
    """The next moment at which the clock shows what `text` says: "at five p.m.", "tomorrow at half past nine"."""
    said = re.sub(r"\bnoon\b|\bmidday\b", "12 pm", re.sub(r"\bmidnight\b", "12 am", figures(text)))
    said = re.sub(r"(?<=\d )(?:oh|o) (?=\d\b)", "0", said)
    found = next((match for pattern in _CLOCK if (match := pattern.search(said))), None)
    if found is None:
        return None
    parts = found.groupdict()
    hour, minute = int(parts["hour"]), {"quarter": 15, "half": 30}.get(parts.get("minutes") or "", -1)
    minute = minute if minute >= 0 else int(parts.get("minutes") or 0)
    if parts.get("side") in ("to", "before", "till", "of"):
        hour, minute = (hour - 1) % 24, 60 - minute
    half = (parts.get("half") or "").replace(".", "").rpartition(" ")[2]
    if not half and (part := _PART.search(said)):
        half = part["part"] or part["tonight"]
    if hour > 24 or minute > 59 or (half and hour > 12 and half in ("am", "morning")):
        return None
    if half and hour <= 12:
        late = half not in ("am", "morning") and not (half in ("night", "tonight") and hour == 12)
        hour = hour % 12 + (12 if late else 0)
    open_half = not half and 1 <= hour <= 12 and not (":" in found[0] and found[0].lstrip("at ").startswith("0"))
    day = heard_day(text, now.date())
    if day is not None and day != now.date():
        return datetime.combine(day, time(hour % 24, minute), now.tzinfo)
    hours = (hour % 12, hour % 12 + 12) if open_half else (hour % 24,)
    moments = [datetime.combine(now.date() + timedelta(days), time(h, minute), now.tzinfo) for days in (0, 1) for h in hours]
    return min((moment for moment in moments if moment > now), default=None)


def heard_day(text: str, today: date) -> date | None:
    """The day that `text` names, None where it names none: "tomorrow", "next Friday", "May the fifth", "Christmas"."""
    said = re.sub(r"\ban? (?=day|week|fortnight|month|year)", "1 ", figures(text))
    if (away := _AWAY.search(said)) and away["side"] in ("from", "after", "before"):
        other = heard_day(away["other"], today) if not away["other"].startswith(" now") else today
        return _away(away, other) if other else None
    for words, days in (
        ("day after tomorrow", 2),
        ("day before yesterday", -2),
        ("tomorrow", 1),
        ("yesterday", -1),
        ("today", 0),
    ):
        if re.search(rf"\b{words}", said):
            return today + timedelta(days)
    if dated := _DATED.search(said):
        month = _MONTHS.index(dated["month"] or dated["month2"]) + 1
        return _in_year(said, today, lambda year: date(year, month, int(dated["day"] or dated["day2"])))
    if feast := next((day for name, day in _FEASTS.items() if name in said), None):
        return _in_year(said, today, lambda year: date(year, *feast))
    if "easter" in said:
        return _in_year(said, today, easter)
    if "thanksgiving" in said:  # the fourth Thursday of November
        return _in_year(said, today, lambda year: date(year, 11, 22 + (3 - date(year, 11, 22).weekday()) % 7))
    if away:
        return _away(away, today)
    if on := _ON.search(said):
        ahead = (_DAYS.index(on["day"]) - today.weekday()) % 7
        if f"{on['day']} before last" in said:
            return today + timedelta(ahead - 14)
        return today + timedelta(ahead - 7 if on["which"] == "last " else ahead or (7 if on["which"] == "next " else 0))
    if which := re.search(r"\b(next|last) (week|month|year)\b", said):
        found: date = today + relativedelta(**{f"{which[2]}s": 1 if which[1] == "next" else -1})
        return found
    return None


def _away(away: re.Match[str], day: date) -> date | None:
    """The day so far from `day`."""
    unit, count = away["unit"], int(away["count"])
    count, unit = (2 * count, "week") if unit == "fortnight" else (count, unit)
    try:
        found: date = day + relativedelta(**{f"{unit}s": -count if away["side"] in ("ago", "earlier", "before") else count})
    except (ValueError, OverflowError):
        return None
    return found


def _in_year(said: str, today: date, day_of: Callable[[int], date]) -> date | None:
    """The day of the year that `said` names, of the coming ones otherwise: the next that exists."""
    named = _YEAR.search(said)
    first = (
        (int(named["year"] or 0) or today.year + {"last": -1, "this": 0, "next": 1}[named["which"]]) if named else today.year
    )
    for year in range(first, first + (1 if named else 9)):
        try:
            found = day_of(year)
        except ValueError:
            continue
        if named or found >= today:
            return found
    return None
