"""Few words that only mean something after talk of a timer: "make it ten", "another one", "double it", "snooze", "never mind".

Each is taken for that only where it is all that is said, and where there is a timer that it can be about: tried on the turns of
`tests/unit/tools/test_timer_talk.py`, of which half are about something else.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from languages.en.dates import figures
from languages.en.timers import only_length
from languages.tools import LONGEST_ABOUT, Arguments, Lately, Timer

SNOOZE_S = 600.0  # where no time is named: what the clock of Android does

_LEAD = (
    r"\A\W*+(?:(?:please|and|or|oh|ah|um|uh|okay|ok|yes|yeah|alright|hey|parley|well|so|then|now|just|can you|could you|would you|"
    r"will you|let's|actually|wait|no|nope|sorry|hm+|on second thoughts?|you know what)\b\W*+)*+"
)
_TAIL = r"(?:\W*+\b(?:please|instead|then|now|thanks|thank you|parley|rather|though|actually|again))*+\W*"
_TIMER = r"(?:the|my|that|this) (?:[^\W\d_][\w'’-]*+ ){0,2}?(?:timer|alarm|reminder)"
_IT = rf"(?:that one|this one|it|that|this|{_TIMER})"


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(f"{_LEAD}(?:{pattern}){_TAIL}", re.IGNORECASE)


_OTHER_NUMBER = _whole(
    rf"(?:make|change|set|switch|move|push|adjust|update|turn) (?P<which>{_IT})(?: (?:back to|to|for|at|into))?(?: about)? "
    r"(?P<number>\d{1,3})"
)
_CORRECTION = re.compile(
    r"\A\W*+(?:(?:oh|um|uh|okay|ok|please)\b\W*+)*+"
    r"(?:(?:no|wait|sorry|rather|actually|i meant?|i said|correction|not \d{1,3})\b\W*+)++"
    rf"(?P<number>\d{{1,3}}){_TAIL}",
    re.IGNORECASE,
)
_ANOTHER = _whole(
    r"(?:(?:set|start|make|do|add|give me|i need|i want|i'd like) )?"
    r"(?:(?P<count>[1-9]) more(?= (?:like|of) )|another(?: one)?|one more|the same(?: one)? again|same again)"
    r"(?: (?:like|of) (?:it|that|this|those|these|them|the same))?"
)
_ANOTHER_OF = _whole(r"(?:(?:set|start|make|add|give me) )?(?:another|one more|a new)(?: \S{1,12}){0,4}? one(?: for .{1,40})?")
_GIVEN = r"(?:(?:give|gimme|add|put|need|have|want|i need|i want|i'd like|leave)(?: me| us| it| that)?(?: on)? )?"
_MORE = _whole(
    rf"{_GIVEN}(?:(?:another|an extra|an additional) (?P<first>.{{1,40}}?)|(?P<count>.{{1,30}}?) (?:more|extra|additional) "
    r"(?P<unit>(?:second|sec|minute|min|hour)s?)|(?P<last>.{1,40}?) (?:more|extra|longer))"
    rf"(?: (?:on|to|for|onto) (?P<which>{_IT}))?"
)
_FACTORS = {"double": 2.0, "twice": 2.0, "triple": 3.0, "treble": 3.0, "quadruple": 4.0, "halve": 0.5, "half": 0.5}
_TIMES = _whole(
    rf"(?P<verb>double|triple|treble|quadruple|halve|half) (?P<which>{_IT}|the time|the length)|"
    rf"(?:make (?P<made>{_IT}) )?(?P<times>twice|double|triple|half|\d times) (?:as long|the time|the length)|"
    rf"(?:cut|split) (?P<cut>{_IT}) (?:in|by) half"
)
_SNOOZE = _whole(rf"(?:snooze|snooze (?:it|that|this|{_TIMER}))(?: (?:for )?(?P<length>.{{1,40}}?))?")
_TAKES_BACK = _whole(
    r"never ?mind(?: (?:it|that|this|about (?:it|that)))?|forget (?:about )?(?:it|that|this)|scratch that|scrap (?:it|that)|"
    r"undo (?:it|that|this)|take (?:it|that) back|i(?:'ve)? changed my mind|don't bother|"
    r"i (?:don't|do not|no longer|won't) (?:need|want) (?:it|that|this|that one)(?: any ?more| any longer| after all)?"
)
_CANCELS = _whole(
    r"(?:cancel|delete|remove|clear|kill|dismiss|turn off|switch off|scrap|drop|end) (?:that one|this one|it|that|this|them|those)"
)


def in_few_words(text: str, timers: Sequence[Timer], lately: Lately) -> str:
    """The intent of a turn that is about a timer by what was said or rang before; "" for any other. For what changes one it is
    enough that a timer runs: nothing else can be meant. What takes something back, or wants the same again, must follow it."""
    said = text.replace("’", "'")
    if _CANCELS.fullmatch(said):
        return "cancel_timer" if lately.changed or lately.timers else ""
    if _TAKES_BACK.fullmatch(said):
        return "cancel_timer" if lately.changed else ""
    near = bool(lately.timers) or lately.rang is not None
    more = heard_more(said)
    if _another(said) or _ANOTHER_OF.fullmatch(said) or _CORRECTION.fullmatch(figures(said)) or (more and more.bare):
        return "set_timer" if near else ""
    if _SNOOZE.fullmatch(said) or (more and (timers or near)):
        return "set_timer"
    return "set_timer" if timers and (other_number(said) or heard_factor(said)) else ""


def taken_back(text: str) -> bool:
    """Whether `text` takes back what was just done: "never mind", "cancel that"."""
    said = text.replace("’", "'")
    return _TAKES_BACK.fullmatch(said) is not None or _CANCELS.fullmatch(said) is not None


class More(NamedTuple):
    """More time for a timer; `bare`: the unit was not named."""

    seconds: float
    which: str
    bare: bool


def heard_more(text: str) -> More | None:
    """What `text`, which is nothing else, gives a timer: "another five minutes", "ten more minutes for the tea". A bare number is
    one of minutes."""
    found = _MORE.fullmatch(text) if _another(text) is None else None
    if found is None:
        return None
    named = found["first"] or found["last"] or f"{found['count']} {found['unit']}"
    which = found["which"] or ""
    if (seconds := only_length(named) or only_length(f"1 {named}")) is not None:
        return More(seconds, which, False)
    number = figures(named)
    return More(60.0 * int(number), which, True) if re.fullmatch(r"[1-9]\d{0,2}", number) else None


def other_number(text: str) -> tuple[str, str] | None:
    """The bare number that `text`, which is nothing else, gives a timer instead of its own, and what it says of which: "make it
    ten", "no, ten"."""
    said = figures(text)
    if found := _CORRECTION.fullmatch(said):
        return found["number"], ""
    found = _OTHER_NUMBER.fullmatch(said)
    return (found["number"], found["which"]) if found and "alarm" not in found["which"] else None


def of_its_kind(at: str, timer: Timer) -> str:
    """`at` as it is meant of `timer`: a bare number is one of the unit in which that was set, or a time of day; "" where that is
    not clear, as of "ten" for an hour and "ninety" for a minute."""
    if not re.fullmatch(r"\d{1,3}", at):
        return at
    number, length = int(at), timer.length_s
    if timer.at_time:
        return f"at {at}"
    if length < 60:
        return f"{at} seconds" if number >= 5 else ""
    if length < 3600:
        return f"{at} minutes" if number and not length % 60 and (length > 120 or number <= 30) else ""
    if number >= 15:
        return f"{at} minutes"
    return f"{at} hours" if 0 < number <= 5 and not length % 3600 else ""


def heard_factor(text: str) -> tuple[float, str] | None:
    """How many times as long a timer is to take, and which: "double it" """
    found = _TIMES.fullmatch(figures(text))
    if found is None:
        return None
    word = found["verb"] or found["times"] or "half"
    factor = float(word[0]) if word[0].isdigit() else _FACTORS[word]
    return factor, found["which"] or found["made"] or found["cut"] or ""


def snooze_heard(text: str) -> Arguments | None:
    """The arguments of `snooze_timer`. A bare number is one of minutes."""
    found = _SNOOZE.fullmatch(text.replace("’", "'"))
    if found is None:
        return None
    length = found["length"] or ""
    seconds = only_length(length) or only_length(f"{length} minutes") if length else SNOOZE_S
    return {"seconds": seconds} if seconds else None


def factor_heard(text: str) -> Arguments | None:
    """The arguments of `scale_timer`."""
    found = heard_factor(text)
    return {"factor": found[0], "which": found[1][:LONGEST_ABOUT]} if found else None


def another_heard(text: str) -> Arguments | None:
    """The arguments of `repeat_timer`."""
    found = _another(text)
    return {"count": int(found["count"] or 1)} if found else None


def _another(text: str) -> re.Match[str] | None:
    return _ANOTHER.fullmatch(text) or _ANOTHER.fullmatch(figures(text))
