"""What a turn wants where its words tell for certain: "remind me ..." is a reminder, "what time is breakfast" is no question for
the clock. The examples of `intents.yaml` know no breakfast, and a sentence is near them by its first words."""

import re
from collections.abc import Sequence
from datetime import date, datetime

from languages.en.dates import figures, heard_day, heard_time
from languages.en.declining import declined
from languages.en.timer_talk import in_few_words, taken_back
from languages.en.timers import corrected, heard_length, meant, renamed
from languages.tools import Lately, Timer

_SOME_DAY = date(2000, 1, 1)
NOTHING = Lately()
_POLITE = re.compile(
    r"^\W*(?:(?:please|can|could|would|will|you|hey|okay|ok|parley|and|so|now|then|just|also|i want|i need|i'd like|to|oh|no|yes|"
    r"alright|well|let's|why don't you|why not)\b\W*)*",
    re.IGNORECASE,
)
_REMINDS = re.compile(
    r"(?:remind me\b(?! (?:what|how|who|whom|whose|why|where|which|when|if|again|of what|about what)\b)|wake me\b|"
    r"(?:alarm|timer)\b,? (?:for|at|in|of)? ?\w|set (?:\w+ ){1,4}(?:timer|alarm|reminder)s?\b|"
    r"(?:ping|alert|nudge|notify|buzz|warn|time) me\b.{0,40}\b(?:in|after|at|for) )",
    re.IGNORECASE,
)
# A question about timers and alarms as things, not an order.
_ABOUT_TIMERS = re.compile(
    r"(?:how (?:do|does|can|would|should|many|much|long)\b|"
    r"(?:do|does|did|is|are|was) (?:i|we|they|the|there|this|that|it|your|an?)\b"
    r"|why\b|where\b|who\b|which\b|what (?:is|are|does|do|can)\b)",
    re.IGNORECASE,
)
_RUNNING = re.compile(
    r"\bhow (?:long|much(?: time| longer)?|many minutes|far)\b.*\b(?:left|remain\w*|go|longer|more)\b|"
    r"\bwhen (?:will|does|is) (?:it|the timer|the alarm|my timer|my alarm)\b.*\b(?:off|ring|over|up|done|end)\b|"
    r"\b(?:is|are) (?:my|the|any|it) ?(?:timers?|alarms?)?\b.*\b(?:running|going|on|set)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"(?:where|when|who|whose|which)\b(?! (?:were|was|are) (?:we|you|i)\b)", re.IGNORECASE)
_ENDS = re.compile(
    r"(?:cancel|delete|remove|clear|kill|dismiss|forget|never ?mind|scrap|drop|turn off|switch off|stop|end)\b(.*)",
    re.IGNORECASE,
)
_TIMERS = ("set_timer", "change_timer", "cancel_timer", "list_timers")
_OF_TIMERS = re.compile(r"\b(?:timers?|alarms?|reminders?|ones?|countdown)\b", re.IGNORECASE)
_CALLS = re.compile(r"\b(?:remind|wake)", re.IGNORECASE)
_CLAUSES = re.compile(r"(?<![,.;!?])[,.;!?]++\s++")
_LISTS = re.compile(  # asks for the timers that there are
    r"\A(?:(?:do i have|have i got|did i set|are there|show me|show|list|what are|what|which|when is|when are)\b ?)"
    r"(?:(?:any|my|all|the|of)\b ?){0,3}(?:\w{1,20} )?(?:timers?|alarms?|reminders?)(?: (?:do i have|are there|are set|are running|"
    r"are on|set|running|going off))?\W*",
    re.IGNORECASE,
)
_IS_IT = re.compile(
    r"\Ais it (?:still |already )?(?:morning|afternoon|evening|night|noon|midnight|late|early)(?: yet)?\W*", re.IGNORECASE
)
_SUMS = re.compile(
    r"\Ahow (?:many|much) (?:seconds|minutes|hours|days) (?:are|is|in|make|makes|does|do)\b(?! (?:left|i have|the))",
    re.IGNORECASE,
)
_OF_CLOCK = re.compile(r"\Awhat time (?:is|was|will|would) (?:it|that)(?: be)? (?:in|after)\b", re.IGNORECASE)
_HOURS_OF = re.compile(
    r"\b(?:opening|closing|business|office|visiting|working|service|kitchen|store|shop|check-? ?in|check-? ?out|quiet) "
    r"(?:hours?|times?)\b|"
    r"\b(?:your|their|the) hours\b|"
    r"\b(?:it|that|this|they|you) (?:open|opens|opened|close|closes|closed|starts?|begins?|ends?|held|served|available)\b",
    re.IGNORECASE,
)
_IS_THE = re.compile(
    r"(?:is|are|will|do|does|did|was|were|can) (?:the|your|our|my|their|this|there|any|you|we|they) (?!(?:know|tell|say)\b)",
    re.IGNORECASE,
)
_TAKES_OFF = re.compile(r"\A(?:take|knock|shave|cut)\b", re.IGNORECASE)
_DONE = re.compile(
    r"\A(?:(?:are|is) .{1,40} (?:done|ready|finished|up)\b|how (?:long|much)\b|what(?:'s| is) (?:left|remaining)\b)",
    re.IGNORECASE,
)
_THESE = re.compile(r"\A\W*+(?:all|all of them|everything|both|both of them)\W*", re.IGNORECASE)
_SPELLS = re.compile(
    r"spell(?! ?check)\b|how (?:do|would|should) (?:you|i|we) spell\b|how (?:is|are) .+ (?:spelled|spelt)\b", re.IGNORECASE
)
UNTIL = re.compile(
    r"\bhow (?:long|much (?:time|longer)|many (?:more )?(?:hours?|minutes?|seconds?))\b.*?"
    r"\b(?:until|till|til|to|before)\b (?P<then>.+)",
    re.IGNORECASE,
)
# Of what the time or the date is asked, in "what time does the pool open" and "the date of the concert".
_OF_WHAT = re.compile(
    r"\b(?:(?:what|which) (?:time|times|hours?|day|days|date|dates|weekday|week|month|year)(?: of the (?:week|month|year))?|when|"
    r"(?:until|till|from|at|by) (?:what|which) time)"
    r"(?:'s|(?: (?:is|are|was|were|does|do|did|can|could|should|will|would|must|may|shall|has|have)(?:n't)?\b))(?P<verb>.*)|"
    r"\b(?:time|date|day|month|year) (?:of|for) (?P<of>.*)|"
    r"\bhow (?:long|many \w+|much \w+) (?:until|till|to|before|since) (?P<until>.*)",
    re.IGNORECASE,
)
_CALENDAR = frozenset(
    (
        "a an the it its it's is was will be be are were of in on at for to from by since until till before after and or now "
        "today tomorrow yesterday tonight morning noon midnight afternoon evening night day days week weeks weekday weekend "
        "month months year years hour hours minute minutes sec date dates time times clock right currently current here there "
        "please you we i your our my have has got make like ago this that next last first 2nd 3rd final other previous coming "
        "another eve leap holiday season century decade quarter half past o'clock oclock am pm a.m p.m exactly actually again "
        "say said know if away left many long more than do does fall come fell going th st nd rd birthday christmas xmas "
        "easter thanksgiving halloween mother's mothers father's fathers labor labour memorial presidents president's martin "
        "luther king columbus good ash palm whit pentecost ascension valentine valentine's valentines boxing new year's "
        "patrick's saint patricks april fool fools independence monday tuesday wednesday thursday friday saturday sunday "
        "mondays tuesdays wednesdays thursdays fridays saturdays sundays january february march april may june july august "
        "september october november december"
    ).split()
)
_NAMES_IT = re.compile(r"\b(?:call|name|label|rename)\b", re.IGNORECASE)
_PLACED = re.compile(r"(?<!\w)(?:in|at|for|on the) (?:the )?[A-Z].*")


def wanted(intent: str, text: str, timers: Sequence[Timer], lately: Lately = NOTHING) -> str:
    """The intent of `text`, which a classifier takes for `intent`, while `timers` are running and after what was spoken of
    `lately`."""
    said = _POLITE.sub("", text)
    if declined(text) and (intent in _TIMERS or _OF_TIMERS.search(text) or _CALLS.search(text)):
        return "no"
    if _REMINDS.match(said):
        return "set_timer"
    if any(_REMINDS.match(_POLITE.sub("", clause)) for clause in _CLAUSES.split(text)[1:]):
        return "set_timer"  # "Never mind the noise, set a timer for three minutes."
    if _SPELLS.match(said):
        return "spell"
    if _LISTS.fullmatch(said):
        return "list_timers"
    if _IS_IT.fullmatch(said):
        return "time"
    if intent in _TIMERS and (_SUMS.match(said) or _OF_CLOCK.match(said)):
        return "time" if _OF_CLOCK.match(said) else "question"
    if (until := UNTIL.search(figures(text))) and not is_strange(until["then"]) and _is_moment(until["then"]):
        return "time"
    if intent == "time" and _SUMS.match(said):
        return "question"
    if few := in_few_words(text, timers, lately):
        return few
    if intent in _TIMERS and taken_back(text):
        return "no"  # there is nothing that it could take back
    if timers and corrected(text):
        return "set_timer"
    if timers and renamed(text) and (_NAMES_IT.search(text) or not (timers[-1].name or timers[-1].about)):
        return "set_timer"
    if timers and (told := _of_timers(said, timers)):
        return told
    if intent in _TIMERS and _ABOUT_TIMERS.match(said) and not _of_mine(said, timers):
        return "question"
    if intent in ("time", "date") and (_of_something(text) or _HOURS_OF.search(text) or _of_a_thing(said)):
        return "question"
    if intent in ("go_on", "stop", "goodbye") and _ASKS.match(said):
        return "question"
    return intent


def _of_a_thing(said: str) -> bool:
    """Whether something is asked of a thing on a day: "is the pool open on Christmas"."""
    return _IS_THE.match(said) is not None and is_strange(said)


def _is_moment(said: str) -> bool:
    """Whether a time of day is named, and not a day alone."""
    return heard_day(said, _SOME_DAY) is None or heard_time(f"at {said}", datetime(2000, 1, 1, 12)) is not None


def _of_timers(said: str, timers: Sequence[Timer]) -> str:
    if _TAKES_OFF.match(said) and heard_length(said):
        return "set_timer"
    if _DONE.match(said) and _names(said, timers) and heard_length(said) is None:
        return "list_timers"
    ends = _ENDS.match(said)
    rest = ends[1] if ends else said
    named = _OF_TIMERS.search(rest) is not None or 0 < len(meant(timers, rest)) < len(timers) or _names(rest, timers)
    if ends and (named or (_THESE.fullmatch(rest) and not said.lower().startswith(("stop", "never", "forget")))):
        return "cancel_timer"
    if _RUNNING.search(said) and (named or heard_length(said) is None) and not _strange_running(said, timers):
        return "list_timers"
    return ""


def _names(said: str, timers: Sequence[Timer]) -> bool:
    words = set(re.findall(r"[\w'’]+", figures(said)))
    return any(words & set(figures(f"{timer.name} {timer.about}").split()) for timer in timers)


def _strange_running(said: str, timers: Sequence[Timer]) -> bool:
    """Whether it is asked how long something else goes on: "how long is left on my contract"."""
    known = {
        "timer",
        "timers",
        "alarm",
        "alarms",
        "reminder",
        "reminders",
        "countdown",
        "left",
        "remaining",
        "remain",
        "go",
        "off",
    }
    known |= {word for timer in timers for word in figures(f"{timer.name} {timer.about}").split()}
    known |= {
        "how",
        "much",
        "longer",
        "when",
        "ring",
        "up",
        "over",
        "done",
        "still",
        "running",
        "going",
        "set",
        "any",
        "one",
        "end",
    }
    return any(word not in _CALENDAR | known for word in re.findall(r"[\w']+", figures(said)))


def _of_mine(said: str, timers: Sequence[Timer]) -> bool:
    """Whether it is asked of the running timers, not of how such a thing works."""
    return (
        re.match(r"(?:how (?:many|much|long)|which|what (?:is|are)|(?:is|are) (?:there|the))\b", said, re.IGNORECASE)
        is not None
    )


def _of_something(text: str) -> bool:
    """Whether the time or the date of something is asked that is not in the calendar."""
    found = _OF_WHAT.search(text.replace("’", "'"))
    if found is None:
        return False
    rest = next(part for part in (found["verb"], found["of"], found["until"]) if part is not None).strip()
    return re.match(r"(?:it|that|this|there)\b", rest, re.IGNORECASE) is None and is_strange(_PLACED.sub("", rest))


def is_strange(said: str) -> bool:
    """Whether words stand there that are no part of a day or a time."""
    words = re.findall(r"[^\W\d_][\w.'-]*", figures(said))
    return any(word.strip(".") not in _CALENDAR for word in words)
