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
_OF_EASTER = {  # days from Easter Sunday
    "easter monday": 1,
    "good friday": -2,
    "palm sunday": -7,
    "ash wednesday": -46,
    "ascension": 39,
    "pentecost": 49,
    "whit sunday": 49,
    "whit monday": 50,
}
_MOVABLE = {  # as the United States keep them
    "mother'?s'? day": "the 2nd sunday in may",
    "father'?s'? day": "the 3rd sunday in june",
    "labou?r day": "the 1st monday in september",
    "memorial day": "the last monday in may",
    "martin luther king": "the 3rd monday in january",
    "president'?s'? day": "the 3rd monday in february",
    "columbus day": "the 2nd monday in october",
    "thanksgiving": "the 4th thursday in november",
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
    re.compile(r"\b(?:at|alarm for|until) (?P<hour>[01]\d|2[0-3])(?P<minutes>[0-5]\d)\b(?! (?:steps|times|people))"),
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
_BESIDE = re.compile(r"\bthe (day|week|month|year) (before|after)\b(?! (?:yesterday|tomorrow|last|next|that\b|$))(?=.)")
_MONTH_BEGINS = re.compile(rf"\b(?:until|till|til|to|before|since) ({'|'.join(_MONTHS)})\b")
YEAR = re.compile(r"\b(?:(?P<year>(?:19|20)\d\d)|(?P<which>this|last|next) year)\b")

_EDGE = re.compile(
    rf"\b(?P<edge>first|last|final|1st)(?: (?P<day>{'|'.join(_DAYS)}|(?:work|working |business |week)day|day))? (?:of|in) "
    rf"(?:(?P<which>the|this|next|last) (?P<unit>month|year)|(?P<month>{'|'.join(_MONTHS)})|(?P<year>(?:19|20)\d\d)\b)"
)
_ENDS = re.compile(
    rf"\b(?:end of|rest of|left in|left of|left|remain(?:ing|s)?(?: in| of)?) (?P<which>the|this|next) (?P<unit>month|year)\b|"
    rf"\b(?P<which2>this|next|the) (?P<unit2>month|year) (?:end|over|is over)|\b(?P<month>{'|'.join(_MONTHS)}) (?:end|is over)"
)
_MEASURES = (  # what is asked of a day: the first that fits
    (
        "week",
        r"\bweek(?:'s)? (?:number|no\b)|\bnumber of (?:the|this) week|\bweek of the year|\b(?:what|which|calendar) week\b",
    ),
    ("day of the year", r"(?<!first )(?<!last )\bday of the year|\bday number|\bnumber of (?:the|this) day"),
    ("weeks", r"\b(?:how many|number of) weeks\b|\bweeks (?:until|till|to|before|since|left)\b"),
    (
        "days",
        r"\b(?:how many|number of) (?:more )?(?:days|sleeps|nights|months)\b|\bhow (?:long|far|soon)\b|"
        r"\bdays (?:until|till|to|before|since|left)\b|\bcount ?down\b",
    ),
)
_HOLDS = re.compile(
    rf"\bhow (?:many days|long)\b(?!.{{0,80}}\b(?:until|till|to|before|since|ago|left|remain\w*|between)\b)"
    rf".{{0,80}}?\b(?P<month>{'|'.join(_MONTHS)}|(?:this|next|last|the) (?:month|year))\b(?! (?:the )?\d{{1,2}}(?!\d))"
)
_NTH = re.compile(
    rf"\b(?P<nth>first|1st|2nd|3rd|4th|5th|second|sec|third|fourth|fifth) (?P<day>{'|'.join(_DAYS)}) (?:of|in) "
    rf"(?:(?P<which>the|this|next|last) month|(?P<month>{'|'.join(_MONTHS)}))"
)
_THE_NTH = re.compile(r"\b(?:the|on) (?P<day>\d{1,2})(?:st|nd|rd|th)\b(?! (?:of\b|day|week|month|century|one\b|time))")
_APART = re.compile(
    r"\b(?P<count>\d{1,3}(?:\.\d)?) (?P<unit>hour|minute)s? (?P<side>before|after|past|ahead of|prior to) (?P<other>.+)"
)
_BETWEEN = re.compile(r"\b(?:between|from) (.{1,60}?) (?:and|to|until|till) (.{1,60})")


def figures(text: str) -> str:
    """Lower case, numbers in figures; "second" stays a word, as it is a length and no place in a row."""
    said = re.sub(r"\bseconds?\b", "sec", " ".join(re.sub(r"[-–]", " ", text.lower().replace("’", "'")).split()))
    spelled: str = alpha2digit(said, "en", threshold=0)
    return spelled


def heard_time(text: str, now: datetime) -> datetime | None:
    """The next moment at which the clock shows what `text` says: "at five p.m.", "tomorrow at half past nine"."""
    said = re.sub(r"\bnoon\b|\bmidday\b", "12 pm", re.sub(r"\bmidnight\b", "12 am", figures(text)))
    said = re.sub(r"(?<=\d )(?:oh|o) (?=\d\b)", "0", said)
    if (apart := _APART.search(said)) and apart["side"] != "past":
        return _apart(apart, now)
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


def _apart(apart: re.Match[str], now: datetime) -> datetime | None:
    """ "30 minutes before six"."""
    length = timedelta(**{f"{apart['unit']}s": float(apart["count"])})
    length = length if apart["side"] == "after" else -length
    other = heard_time(f"at {apart['other'].removeprefix('at ')}", now - length)
    return other + length if other else None


def heard_day(text: str, today: date) -> date | None:
    """The day that `text` names, None where it names none: "tomorrow", "next Friday", "May the fifth", "Christmas"."""
    said = _BESIDE.sub(r"1 \1 \2", re.sub(r"\ban? (?=day|week|fortnight|month|year)", "1 ", figures(text)))
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
    if edge := _at_edge(said, today) or _nth(said, today):
        return edge
    if dated := _DATED.search(said):
        month = _MONTHS.index(dated["month"] or dated["month2"]) + 1
        return _in_year(said, today, lambda year: date(year, month, int(dated["day"] or dated["day2"])))
    if feast := next((day for name, day in _FEASTS.items() if name in said), None):
        return _in_year(said, today, lambda year: date(year, *feast))
    if church := next((days for name, days in _OF_EASTER.items() if name in said), None):
        return _in_year(said, today, lambda year: easter(year) + timedelta(church))
    if "easter" in said:
        return _in_year(said, today, easter)
    if movable := next((day for name, day in _MOVABLE.items() if re.search(rf"\b{name}", said)), None):
        return _nth(f"{movable} {said}", today) or _at_edge(f"{movable} {said}", today)
    if away:
        return _away(away, today)
    if on := _ON.search(said):
        ahead = (_DAYS.index(on["day"]) - today.weekday()) % 7
        if f"{on['day']} before last" in said:
            return today + timedelta(ahead - 14)
        return today + timedelta(ahead - 7 if on["which"] == "last " else ahead or (7 if on["which"] == "next " else 0))
    if begins := _MONTH_BEGINS.search(said):
        month = _MONTHS.index(begins[1]) + 1
        return _in_year(said, today, lambda year: date(year, month, 1))
    if nth := _THE_NTH.search(said):
        return _day_of_month(int(nth["day"]), today)
    if which := re.search(r"\b(next|last) (week|month|year)\b", said):
        found: date = today + relativedelta(**{f"{which[2]}s": 1 if which[1] == "next" else -1})
        return found
    return None


def _nth(said: str, today: date) -> date | None:
    """ "The second Tuesday in May"."""
    found = _NTH.search(said)
    if found is None:
        return None
    places = {"first": 1, "1st": 1, "second": 2, "sec": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
    weeks, weekday = places.get(found["nth"], 5) - 1, _DAYS.index(found["day"])

    def day_of(year: int, month: int) -> date:
        first = date(year, month, 1)
        return date(year, month, 1 + (weekday - first.weekday()) % 7 + 7 * weeks)

    if found["month"]:
        return _in_year(said, today, lambda year: day_of(year, _MONTHS.index(found["month"]) + 1))
    month = today.replace(day=1) + relativedelta(months={"next": 1, "last": -1}.get(found["which"], 0))
    try:
        return day_of(month.year, month.month)
    except ValueError:
        return None


def _day_of_month(day: int, today: date) -> date | None:
    """The next day of that number."""
    for ahead in range(3):
        month = today.replace(day=1) + relativedelta(months=ahead)
        try:
            found: date = month.replace(day=day)
        except ValueError:
            continue
        if found >= today:
            return found
    return None


def heard_measure(text: str) -> str:
    """What is asked of a day, where it is not its date: its "week", its "day of the year", or how many "days" or "weeks" it is
    away."""
    said = figures(text)
    return next((name for name, pattern in _MEASURES if re.search(pattern, said)), "")


def heard_past(text: str, today: date) -> date | None:
    """The day that is named, which has been: "since January the first"."""
    found = heard_day(text, today)
    if found is None or found <= today:
        return found
    last = [heard_day(f"{text} {year} year", today) for year in ("this", "last")]
    return next((day for day in last if day is not None and day <= today), found)


def heard_span(text: str, today: date) -> tuple[date, date] | None:
    """Two days, "between" which time is counted."""
    between = _BETWEEN.search(figures(text))
    first = heard_day(between[1], today) if between else None
    # "Between March 1 and April 15" are days of one year, also where one of them has been.
    since = first if first is not None and first > today else today
    last = heard_day(between[2], since) if between else None
    return (first, last) if first is not None and last is not None else None


def heard_whole(text: str, today: date) -> tuple[date, date] | None:
    """The first day of the month or the year of which it is asked how many days it has, and that of the next."""
    said = figures(text)
    holds = _HOLDS.search(said)
    if holds is None:
        return None
    which, _, unit = holds["month"].rpartition(" ")
    if not which:
        month = _MONTHS.index(unit) + 1
        first = _in_year(said, today.replace(day=1), lambda year: date(year, month, 1))
        return (first, first + relativedelta(months=1)) if first else None
    first = today.replace(day=1) if unit == "month" else today.replace(month=1, day=1)
    first += relativedelta(**{f"{unit}s": {"next": 1, "last": -1}.get(which, 0)})
    return first, first + relativedelta(**{f"{unit}s": 1})


def _at_edge(said: str, today: date) -> date | None:
    """The first or the last day of a month or a year: "the last Friday of the month", "the end of the year"."""
    found = _EDGE.search(said) or _ENDS.search(said)
    if found is None:
        return None
    parts = {name.removesuffix("2"): value for name, value in found.groupdict().items() if value}
    ahead = {"next": 1, "last": -1}.get(parts.get("which", ""), 0)
    if "month" in parts:
        month = _MONTHS.index(parts["month"]) + 1
        named = _in_year(said, today.replace(day=1), lambda year: date(year, month, 1))
        if named is None:
            return None
        first, after = named, named + relativedelta(months=1)
    elif parts.get("unit") == "month":
        first = today.replace(day=1) + relativedelta(months=ahead)
        after = first + relativedelta(months=1)
    else:
        first = date(int(parts.get("year", today.year + ahead)), 1, 1)
        after = first + relativedelta(years=1)
    starts = parts.get("edge") in ("first", "1st")
    day, step = (first, 1) if starts else (after - timedelta(1), -1)
    wanted = [_DAYS.index(parts["day"])] if parts.get("day") in _DAYS else range(5 if len(parts.get("day", "day")) > 3 else 7)
    while day.weekday() not in wanted:
        day += timedelta(step)
    return day


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
    named = YEAR.search(said)
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
