"""Several wishes in one turn: "set a timer for five minutes, and what time is it in Tokyo?" """

import re
from itertools import pairwise

from languages.en.alarms import heard_alarms
from languages.en.timers import heard_lengths

MOST = 6  # wishes of one turn that are answered one by one; a turn of more is taken as a whole

_UNITS = r"(?:hours?|hrs?|minutes?|mins?|seconds?|secs?)\b"
_POLITE = (
    r"(?:(?:please|can you|could you|would you|will you|i want you to|i need you to|i'd like you to|i want to|i'd like to|let's|"
    r"hey|okay|ok|parley|now|just|also|then|oh)\b,?+ ?+)*+"
)
# What is a wish for a tool by its first words.
_SETS = (
    rf"(?:set|start|create|make|add|put on|give me|i need|i want)\b[^.?!]{{0,40}}?\b(?:timers?|alarms?|reminders?|count ?down)\b|"
    rf"(?:set|start|make) (?:a |another )?(?:new )?one\b[^.?!]{{0,20}}?{_UNITS}|"
    r"(?:timer|alarm) (?:for|at) |remind me (?:to|in|at|about|that|of|on|tomorrow|tonight|when)\b|wake me\b"
)
_CHANGES = (
    r"(?:cancel|stop|delete|remove|clear|turn off|pause|end|extend|snooze)\b[^.?!]{0,30}?\b"
    rf"(?:timers?|alarms?|reminders?|count ?down)\b|(?:add|take)\b[^.?!]{{0,30}}?{_UNITS}"
)
_CLOCK = (
    r"what(?:'s| is) the (?:current |local |exact )?(?:time|date|day)\b|what (?:time|day|date|weekday) is\b|"
    r"what(?:'s| is) (?:today|tomorrow)\b|what(?:'s| is) (?:today|tomorrow)'s date|tell me (?:the|what) (?:time|date|day)\b|"
    r"how late is it\b|(?:do you know|have you got|do you have) (?:what time it is|the time)\b"
)
_TIMERS_LEFT = (
    r"how (?:long|much time|many \w+)\b[^.?!]{0,30}\b(?:left|until|till|since)\b|"
    r"(?:which|what|list|show)\b[^.?!]{0,20}\btimers\b"
)
_DECLINES = r"(?:don't|do not)\b[^.?!]{0,40}\b(?:timer|alarm|remind)"
_SPELLS = r"spell (?!check)|how (?:do|would) (?:you|i) spell\b"
_CERTAIN = re.compile(f"\\A{_POLITE}(?:{_SETS}|{_CHANGES}|{_CLOCK}|{_TIMERS_LEFT}|{_DECLINES}|{_SPELLS})", re.IGNORECASE)
# What begins like a question: with its verb before whom it is about, as "when the shop opens" has not.
_ASKS = re.compile(
    rf"\A{_POLITE}"
    r"(?:(?:who|what|when|where|why|how|which|whose)(?:'s|'re|(?: (?!the|my|your|an?|it|he|she|they|we|i|you)\w+){0,2} "
    r"(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have))\b|"
    r"(?:is|are|do|does|did|can|could|will|would|should) (?:there|it|the|you|i|we|they|your|my)\b|"
    r"tell me (?:about|a|something|more|how)\b|explain |describe |search |look up |find out |speak |talk |repeat )",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"(?:(?<![,;.!?])[,;.!?]++\s++(?:(?:and|but|or|plus)\s++)?+|(?<!\s)\s++(?:and|plus)\s++)"
    r"(?:(?:also|then|after that|as well),?+\s++)*+",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(r"\b(?:no|wait|actually|sorry|rather|i mean|i meant|instead|scratch that)\b", re.IGNORECASE)
_LEANS = re.compile(
    r"\b(?:until|till|to|since|before|after|by) (?:then|that)\b|\bwhen (?:it|that|they)\b|\bis it then\b", re.IGNORECASE
)
_SETTING = re.compile(f"\\A{_POLITE}(?:{_SETS})", re.IGNORECASE)
_BOTH = re.compile(
    r"\b(?:the |today's |current )?(?:(?:time|hour) (?:and|&) (?:the |today's |what )?(?:date|day)|"
    r"(?:date|day) (?:and|&) (?:the |current |what )?time)\b(?:(?: is it| it is)?\b(?P<rest>.*))",
    re.IGNORECASE | re.DOTALL,
)
# What may stand before "the time and the date", and behind it.
_OF_THE_CLOCK = re.compile(
    r"\A\W*+(?:(?:please|can|could|you|tell|give|me|what's|whats|what|is|i|need|know|do|want|to|hey|parley|okay)\b\W*+)*+",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\A\W*+(?:$|(?:in|at|for|on|here|there|now|right now|please|today)\b)", re.IGNORECASE)


def heard_parts(text: str) -> list[str]:
    """The wishes of `text`, in order, each as a turn of its own; `text` itself where it has one, or where that is not certain. Two
    times for timers or alarms are one wish: what they leave out is taken from each other."""
    said = text.replace("’", "'")
    if (both := _BOTH.search(said)) and _OF_THE_CLOCK.fullmatch(said[: both.start()]) and _WHERE.match(both["rest"]):
        rest = both["rest"].strip(" .?!")
        return [f"what time is it {rest}".strip() + "?", f"what is the date {rest}".strip() + "?"]
    pieces = _opened(said)
    parts = [piece for piece in pieces if _opens(piece)]
    if not 1 < len(parts) <= MOST or not any(map(_CERTAIN.match, parts)):
        return [text]
    if _TAKEN_BACK.search(said) or any(map(_LEANS.search, parts)):
        return [text]
    if all(map(_SETTING.match, parts)) and (heard_lengths(said) or heard_alarms(said)):
        return [text]
    return parts if pieces[0] == parts[0] else [f"{pieces[0]}, {parts[0]}", *parts[1:]]  # "For the pasta, set a timer ..."


def _opened(said: str) -> list[str]:
    """`said` cut where something begins that is a wish or a question by its first words."""
    cuts = [joint for joint in _JOINT.finditer(said) if _opens(said[joint.end() :])]
    edges = [(0, 0), *((joint.start(), joint.end()) for joint in cuts), (len(said), len(said))]
    pieces = [said[begin:end].strip(" ,;") for (_, begin), (end, _) in pairwise(edges)]
    return [piece for piece in pieces if piece] or [said]


def _opens(said: str) -> bool:
    return _CERTAIN.match(said) is not None or _ASKS.match(said) is not None
