"""What people say of timers: lengths, names, and which one is meant."""

import re
from collections.abc import Sequence

from languages.en.dates import figures
from languages.tools import LONGEST_ABOUT, MOST, T, Timer

_UNITS = {"day": 86_400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}
_UNIT = r"(day|hour|minute|second)s?\b"
_PART = re.compile(rf"(?<![\d.])(\d++(?:\.\d+)?) ?{_UNIT}")
_JOINT = re.compile(r"\A\s*+(?:,(?: and)?|and)?\s*")
_OPEN = re.compile(
    r"\b\d++ (?:to|or|and) (?=\d++(?:\.\d+)? (?:day|hour|minute|second))|\b(?:few|several|some|many) (?:day|hour|minute|second)s\b"
    r"|\b(?:day|hour|minute|second)s? or \d"
)
_SHARED = re.compile(rf"(?<![\d.])(\d++)(?=(?:,| and|, and) \d++(?:(?:,| and|, and) \d++)* {_UNIT})")
_OF_A_TIME = re.compile(r"\d (?:hour|minute)s? (?:before|after|past|to|ahead of|prior to) (?:\d|noon|midnight|at \d)")
_BARE = re.compile(
    r"((?<!\d)\d++ (hour|minute|second)s?\b.{0,80}?\b(?:timer|alarm|another|one|other)\b(?: \w+){0,2} (?:for|of) \d++)"
    r"(?=$|[.,!?](?!\d)| and\b)"
)
_CORRECTED = re.compile(r"\b(?:no|sorry|rather|actually|i mean|i meant|make (?:that|it)|wait)\b")
_NOT_OF_IT = r"(?!(?<=\b1)\b|[\d:]|\.\d| ?(?:hour|minute|second|day|percent|%|o'?clock|[ap]\.?m))"  # "the ten minute one"
_SMALLER = {"hour": "minute", "minute": "second"}
_SPELLINGS = [  # of spoken lengths, brought to the form "2.5 minute"
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"(?<=\d)(?=(?:h|hrs?|m|mins?|s|secs?|d)(?:\d|\b))", lambda m: " "),
        (r"(?<=[\d ])(h|hrs?|m|mins?|s|secs?|d)(?=\d)", lambda m: f"{m[1]} "),
        (
            r"\b(?:(?<=\d )([hmsd])|(hrs?|mins?|secs?))\b",
            lambda m: {"h": "hour", "m": "minute", "s": "second", "d": "day"}[(m[1] or m[2])[0]],
        ),
        (r" plus (?=an? |\d)", lambda m: " and "),
        (r"(?<=\d) (?:more|or so|full|whole|good|extra|additional) (?=(?:hour|minute|second|sec|min|day)s?\b)", lambda m: " "),
        (r"\b(\d++):([0-5]\d) (hour|minute)s?\b", lambda m: f"{m[1]} {m[3]} {m[2]} {_SMALLER[m[3]]}"),
        (rf"(?<![\d.])(\d++) and (?:3|three|a 3|a three) quarters? {_UNIT}", lambda m: f"{m[1]}.75 {m[2]}"),
        (r"\b(?:an?|one) (hour|minute|day) and (?:3|three) quarters?\b", lambda m: f"1.75 {m[1]}"),
        (rf"(?<![\d.])(\d++) {_UNIT} and (?:3|three) quarters?\b", lambda m: f"{m[1]}.75 {m[2]}"),
        (rf"(?<![\d.])(\d++) and a half {_UNIT}", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<![\d.])(\d++) and (?:a quarter|0.25) {_UNIT}", lambda m: f"{m[1]}.25 {m[2]}"),
        (r"\b(?:a )?half (?:an? )?(?=hour|minute|day)", lambda m: "0.5 "),
        (r"\b(?:3|three) quarters of an? (?=hour|minute|day)|\b(?:3|three) quarter (?=hour)", lambda m: "0.75 "),
        (r"\b(?:a )?quarter (?:of an? )?(?=hour|minute|day)", lambda m: "0.25 "),
        (r"\banother (?=(?:hour|minute|second|sec|day)\b)", lambda m: "1 "),
        (r"\ba couple of\b|\ba couple(?= (?:hour|minute|second|day))", lambda m: "2"),
        (r"\ba dozen\b", lambda m: "12"),
        (r"(?<!\d)\b(\d++) 1/2(?= (?:hour|minute|day))", lambda m: f"{m[1]}.5"),
        (
            r"\b(?:an?|one) (?=(?:hour|minute|second|day)s?\b)|(?<!\d )(?<!\d)\b(?=(?:hour|minute) and )",
            lambda m: "1 ",
        ),
        (rf"(?<![\d.])(\d++) {_UNIT} and (?:a half|0.5)\b(?! (?:hour|minute))", lambda m: f"{m[1]}.5 {m[2]}"),
        (rf"(?<![\d.])(\d++) {_UNIT} and (?:a quarter|0.25)\b", lambda m: f"{m[1]}.25 {m[2]}"),
        # "Five minutes, no, make it six": of the same unit.
        (
            r"(?<![\d.])(\d++(?:\.\d+)?) (hour|minute|second)s?"
            r"(\W++(?:(?:oh|no|sorry|rather|actually|i mean|i meant|wait|make (?:that|it))\b\W*+)++)"
            r"(\d++)(?![\d:]|\.\d| ?(?:hour|minute|second|day|h|m|s|percent|%|o'?clock|[ap]\.?m)\b)",
            lambda m: f"{m[1]} {m[2]}{m[3]}{m[4]} {m[2]}",
        ),
        # "One hour thirty", "two minutes twenty": of the next smaller unit.
        (
            rf"(?<![\d.])(\d++) hours? (?:and )?(\d{{1,2}}){_NOT_OF_IT}",
            lambda m: f"{m[1]} hour {m[2]} minute",
        ),
        (
            rf"(?<![\d.])(\d++) minutes? (?:and )?(\d{{1,2}}){_NOT_OF_IT}",
            lambda m: f"{m[1]} minute {m[2]} second",
        ),
    )
]

_REMINDS = re.compile(r"\b(?:remind me|reminder|timer|alarm)\b", re.IGNORECASE)
_TO_DO = re.compile(r"\b(?:to (?!\d)|(?=(?:that|about) ))", re.IGNORECASE)
_WHEN = re.compile(
    r" ?\b(?:in|for|after) (?:(?!\b(?:in|for|after)\b)[\w .-]){0,40}?(?:hour|minute|second|day)s?\b"
    r"(?: and a (?:half|quarter)| (?:and )?(?:ten|fifteen|twenty|thirty|forty|fifty|\d\d)(?:[ -]five)?\b)?",
    re.IGNORECASE,
)
_HOUR = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|quarter|noon|midnight"
_AT = re.compile(
    rf" ?\b(?:at (?=(?:{_HOUR})\b|\d)|for (?=\w{{1,9}} o'?clock\b|noon|midnight))(?:half past |quarter (?:past|to) )?[\w:]{{1,9}}"
    r"(?: (?:o'?clock|thirty|fifteen|forty[ -]five|[ap]\.?m\b\.?|in the (?:morning|afternoon|evening))){0,3}"
    r"(?: (?:tomorrow|today|tonight))?|\b(?:tomorrow|tonight)\b",
    re.IGNORECASE,
)
_NAMED = (
    re.compile(r"\b(?:called|named|labell?ed|call it|name it) ([\w'’ -]{1,40})"),
    re.compile(r"(?:^|\b(?:an?|the|my|another|set|start|cancel|stop) )((?:[^\W\d_][\w'’-]{0,20} ){1,3})(?:timer|alarm)\b"),
    re.compile(r"\b(?:timer|alarm) (?:for|on) (?:the |my |some )?([^\W\d_][\w'’ -]{0,40})"),
)
_NO_NAME = frozenset(
    "a an the my our some me please now timer timers alarm reminder new another more one other second first last next long "
    "short quick hour hours minute minutes sec seconds day days half quarter and of to for in on it that this cancel set "
    "i'd i'll i'm start stop past o'clock oclock am pm add "
    "put i need want make give get have create begin run let's can could would you like "
    "use turn off switch delete remove clear kill silence dismiss snooze shut is are was do does did which what how many any still "
    "left running change move take subtract reduce shorten lengthen extend increase there's there end ends go goes "
    "countdown when where show list have got check".split()
)
_ALL = re.compile(
    r"\b(?:all|both|every|everything|each|them|(?<!of )(?<!of the )(?<!of my )(?:timers|alarms|reminders))\b", re.IGNORECASE
)
_BUT = re.compile(r"\b(?:except|but|other than|apart from|besides)\b(.*)", re.IGNORECASE)
_NAMED_BEHIND = re.compile(
    r"s?[ -](?!(?:and|or|plus|then|in|for|at|to)\b)(?:[^\W\d_][\w'’-]{0,20} ){1,2}timer\b"
)  # "3 minute egg timer"
_LONG = re.compile(r"(?<=\ba )(?:[\w.]{1,12}[ -]){1,3}?(?:hour|minute|second|min|sec)s?[ -](?=[^\W\d_])")
_COUNTED = re.compile(  # "3 timers of 5 minutes", "3 5-minute timers"
    r"\b(\d{1,2})(?: more| new)?(?: \d{1,4}(?:\.\d{1,2})?[ -](?:hour|minute|second)s?)? timers\b"
)
_SEVERAL = re.compile(
    r"\b(?:timers|alarms|reminders|another (?!(?:hour|minute|second|day)\b)|one for .*\bone for|"
    r"and one (?:for|in)|one (?:of|at) .*\band)\b|"
    r"\b(?:timer|alarm)\b.*\btimer",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"^\W*(?:please )?(?:set|start|remind|wake|what|how|when|where|why|who|tell|add|search|can|could|is|are|do|does|did|has|have|"
    r"any|which|give|make|change|move|show|list|spell|repeat)\b",
    re.IGNORECASE,
)
_ALSO = re.compile(rf"\b(\d++)(?= and (?:the )?\d++ {_UNIT})")  # "the five and the ten minute timer"
_PLACES = {
    0: {"first", "1st", "next", "shorter", "shortest", "earlier", "former"},
    1: {"sec", "2nd"},
    2: {"third", "3rd"},
    3: {"fourth", "4th"},
    -1: {"last", "latest", "longer", "longest", "later", "latter"},
}
_NTH = ("first ", "second ", "third ", "fourth ", "other ")
_LONGEST_CHOICE = 10  # words of an answer to "Which one?", which may be as long as what a reminder is about


def heard_length(text: str) -> float | None:
    """The length of time that a spoken text names, in seconds; None when it names none, or several of which it is not clear which
    is meant. "An hour and a half" is 5400, "ten minutes to boil the eggs for five minutes" is 600."""
    said = _spelled(text)
    if _OPEN.search(said) or re.search(r"\bminus \d|\bevery \d|\d oh \d", said) or _OF_A_TIME.search(said):
        return None
    runs = _runs(said)
    if len(runs) > 1:
        to_do = re.search(r"\bto (?!\d)", said)
        before = [run for run in runs if to_do and run[0] < to_do.start()]
        announced = [run for run in runs if said[: run[0]].endswith(("in ", "after "))]
        corrected = runs[-1:] if _CORRECTED.search(said[runs[-2][1] : runs[-1][0]]) else []
        runs = next((some for some in (corrected, before, announced) if len(some) == 1), [])
    return (runs[0][2] or None) if runs else None


def heard_lengths(text: str) -> list[tuple[float, str]]:
    """Of a text that names several timers the length of each, and the words that belong to it: "two timers, 5 and 10 minutes"."""
    if not _SEVERAL.search(text):
        return []
    said = _spelled(text)
    said = _BARE.sub(r"\1 \2", _SHARED.sub(lambda match: f"{match[1]} {match[2]};", said))
    runs = _runs(said)
    if len(runs) == 1 and (counted := _COUNTED.search(said)) and 1 < int(counted[1]) <= MOST:
        return [(runs[0][2], "")] * int(counted[1])
    ends = [named.end() if (named := _NAMED_BEHIND.match(said, end)) else end for _, end, _ in runs]
    return (
        [(run[2], said[start:end]) for start, end, run in zip([0, *ends], ends, runs, strict=False) if run[2]]
        if len(runs) > 1
        else []
    )


def _spelled(text: str) -> str:
    said = re.sub(r"\b(?:a|the|my) sec (?=timer|alarm|reminder)", "another ", figures(text))
    for pattern, spelling in _SPELLINGS:
        said = pattern.sub(spelling, said)
    return said


def _runs(said: str) -> list[tuple[int, int, float]]:
    """Where each length begins and ends, and its seconds: "1 hour and 5 minute" is one."""
    runs: list[tuple[int, int, float]] = []
    unit = 0.0
    for part in _PART.finditer(said):
        seconds = float(part[1]) * _UNITS[part[2]]
        smaller = _UNITS[part[2]] < unit
        unit = _UNITS[part[2]]
        if runs and smaller and _JOINT.fullmatch(said[runs[-1][1] : part.start()]):
            runs[-1] = (runs[-1][0], part.end(), runs[-1][2] + seconds)
        else:
            runs.append((part.start(), part.end(), seconds))
    return runs


def said_length(seconds: float) -> str:
    """A length of time as it is said: "1 hour and 30 minutes"."""
    left, parts = max(1, round(seconds)), []
    for unit, size in _UNITS.items():
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count} {unit}" + ("s" if count > 1 else ""))
    return " and ".join(parts) if len(parts) < 3 else f"{parts[0]}, {parts[1]} and {parts[2]}"


def heard_about(text: str) -> str:
    """What somebody wants to be reminded of: "remind me in an hour to check the oven" is about "check the oven"."""
    rest = " ".join(_WHEN.sub("", " ".join(text.split())).split())
    reminds = _REMINDS.search(rest)
    to_do = _TO_DO.search(rest, reminds.end()) if reminds else None
    negated = rest[: to_do.start()].lower().endswith(("not ", "never ")) if to_do else False
    about = _AT.sub("", rest[to_do.end() :]).strip(".,?! ")[:LONGEST_ABOUT] if to_do else ""
    about = "" if re.fullmatch(r"(?:go off|ring|beep|buzz|sound|end|finish|start|expire)", about.lower()) else about
    if re.fullmatch(r"[\d: .]*(?:minutes?|hours?|sec|[ap]m)?", figures(about)):
        return ""
    return f"not to {about}" if negated else about


def heard_name(text: str) -> str:
    """What a timer is called: "a pasta timer", "a timer for the pasta", "a timer called pasta"."""
    rest = _AT.sub("", _WHEN.sub("", " ".join(text.lower().split())))
    rest = re.sub(r"\bfor (?:a )?(?:half|quarter)\b.*", "", rest)
    rest = _LONG.sub("", rest)
    for pattern in _NAMED:
        if found := pattern.search(rest):
            words = [word for word in re.findall(r"[^\W_][\w'’]*", found[1]) if word not in _NO_NAME and figures(word) == word]
            if words:
                return " ".join(words)
    return ""


_WHAT_FOR = re.compile(
    r"\A\W*+(?:(?:oh|um|uh|well|please|it's|it is|that's|that is|this is|this one is|that one is|the timer is|make it|one)\b\W*+)*+"
    r"(?:(?:for|on) (?:the |my |some |our )?(?P<name>[^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*){0,2})|"
    r"(?:called|named|labell?ed) (?P<called>[^\W\d_][\w'’-]*(?: [\w'’-]+){0,3}))\W*",
    re.IGNORECASE,
)
_CALL_IT = re.compile(
    r"\A\W*+(?:(?:please|and|can you|could you|let's|oh|just)\b\W*+)*+(?:call|name|label|rename) "
    r"(?:it|that|this|that one|this one|(?:the|my|that) (?:last |new )?timer)(?: to| as)? (?:the )?"
    r"(?P<called>[^\W\d_][\w'’-]*(?: [\w'’-]+){0,3}?)(?: timer)?(?:,? please)?\W*",
    re.IGNORECASE,
)


def what_for(text: str) -> str:
    """What `text`, which is nothing else, says a timer is for, as an order would: "for the eggs", "to boil the eggs"."""
    about = re.fullmatch(r"\A\W*+((?:to|about|that) (?!\d)[^\W\d_][\w'’ -]{1,60}?)\W*", text, re.IGNORECASE)
    name = renamed(text)
    return about[1] if about else f"for the {name}" if name else ""


_CORRECTS = re.compile(
    r"\A\W*+(?:(?:oh|uh|um|no|sorry|wait|actually|please|i mean|i meant|i said|rather|correction|make (?:it|that)|"
    r"change (?:it|that) to)\b\W*+)++"
    r"(?:for )?(?P<rest>[^\W_].{0,60}?)(?: instead| please| rather|, sorry)?\W*",
    re.IGNORECASE,
)


def corrected(text: str) -> str:
    """The length that `text`, which is nothing else, gives a timer that was just set: "no, ten minutes"; "" for none."""
    found = _CORRECTS.fullmatch(text)
    return found["rest"] if found and only_length(found["rest"]) is not None else ""


def only_length(text: str) -> float | None:
    """The length in seconds that `text` names and nothing else; None where it is not that."""
    said = _spelled(text)
    runs = _runs(said)
    return (runs[0][2] or None) if len(runs) == 1 and (runs[0][0], runs[0][1]) == (0, len(said)) else None


def renamed(text: str) -> str:
    """What `text`, which is nothing else, calls a timer: "it's for the eggs", "call it pasta"; "" for nothing."""
    found = _CALL_IT.fullmatch(text) or _WHAT_FOR.fullmatch(text)
    name = next((one for one in found.groupdict().values() if one), "").lower() if found else ""
    words = name.split()
    return "" if figures(name) != name or any(word in _NO_NAME for word in words) else name


def meant(timers: Sequence[T], which: str) -> list[T]:
    """Those of `timers` that `which` names by length, name, purpose or place in the row in which they are over; all where it names
    none."""
    ordered = sorted(timers, key=lambda timer: timer.due_ms)
    if (but := _BUT.search(which)) and len(kept := _named(ordered, but[1])) < len(timers):
        return [timer for timer in ordered if timer not in kept]
    return _named(ordered, which)


def _named(ordered: list[T], which: str) -> list[T]:
    said = figures(which)
    words = set(re.findall(r"[\w'’]+", said))
    lengths = {run[2] for run in _runs(_ALSO.sub(r"\1 \2", _spelled(which)))}
    if lengths:
        return [timer for timer in ordered if timer.length_s in lengths]
    named = [timer for timer in ordered if words & (_words(f"{timer.name} {timer.about}") - _NO_NAME)]
    if named or heard_name(which):
        return named
    counted = [
        timer
        for timer in ordered
        if words & {word for word in _words(said_length(timer.length_s)) if word.isdigit() and word != "1"}
    ]
    if counted and not _ALL.search(which):
        return counted
    place = next((at for at, names in _PLACES.items() if words & names), None)
    return ordered if place is None else ordered[place:][:1]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w'’]+", figures(text)))


def ends(text: str) -> bool:
    """Whether `text` wants a timer to end."""
    return (
        re.match(
            r"\A\W*+(?:please |no,? |actually,? )*(?:cancel|stop|delete|remove|clear|end|turn off|never ?mind)\b", text.lower()
        )
        is not None
    )


def besides(text: str) -> str:
    """What is said of a timer beside a length: "give the tea another minute" is about the tea."""
    return _PART.sub(" ", _spelled(text))


def chosen(timers: Sequence[Timer], text: str) -> str | None:
    """`text` where it answers which of `timers` is meant, None where it is something else."""
    if len(text) > LONGEST_ABOUT or len(text.split()) > _LONGEST_CHOICE or _COMMAND.match(text):
        return None
    return text if _ALL.search(text) or 0 < len(meant(timers, text)) < len(timers) else None


def of_all(which: str) -> bool:
    """Whether `which` names several at once."""
    return _ALL.search(which) is not None or _BUT.search(which) is not None or " and " in which


def of_last(which: str) -> bool:
    """Whether `which` may be the timer that was spoken of last: "it", and not "the timer" where there are several."""
    return re.search(r"\b(?:timer|alarm|reminder)s?\b", which, re.IGNORECASE) is None


def called(timers: Sequence[Timer]) -> str:
    """What the user may call each; those of one name are told apart by their places in the row."""
    ordered = sorted(timers, key=lambda timer: timer.due_ms)
    names = [timer.name or timer.about or said_length(timer.length_s) for timer in ordered]
    told = []
    for at, name in enumerate(names):
        place = _NTH[min(names[:at].count(name), len(_NTH) - 1)] if names.count(name) > 1 else ""
        told.append(f"the {place}one for {name}")
    return " and ".join(told)
