"""How English texts to answer from, and questions to them, are worded."""

import re
from functools import lru_cache, partial

import snowballstemmer

from languages.base import KnowledgeWords

_SHORT = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Ft|Rev|Sgt|Capt|Lt|Gen|Col|Gov|Sen|Bldg|Apt|Dept|Jan|Feb|Aug|Sept|Oct|Nov|Dec|Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun|vs|etc|"
    r"e\.g|i\.e|approx|max|min|fig|figs|pp|tel|Tel|Fig|Nos|Inc|Ltd|Ph\.D|M\.D|U\.S))\.[\"'”’)]*\s*$"
)
_BEFORE_NUMBER = re.compile(r"\b(?:[Nn]os?|[Pp]|[Rr]m|[Aa]rt|[Ss]ec|[Cc]h|[Vv]ol|[Ee]xt|[Cc]a|[Ff]ig)\.\s*$")
_QUESTION_LABEL = re.compile(r"\A(?:Q|Question|FAQ) ?\d{0,3} ?[.:)] ?(?=\S)", re.IGNORECASE)
_ANSWER_LABEL = re.compile(r"\A(?:A|Answer) ?\d{0,3} ?[.:)] ?(?=\S)", re.IGNORECASE)
# The end of a line that goes on in the next.
_OPEN = re.compile(
    r"(?:[,–—-]|\b(?:a|an|the|of|to|in|on|at|by|for|from|with|and|or|but|as|is|are|was|were|be|been|has|have|had|that|which|who|"
    r"than|into|over|under|between|see|via|visit|its|their|his|her|our|your|my|this|these|those|not|no|will|can|may|must))$"
)
# A sentence that begins like this leans on the one before it.
_LEANING = re.compile(
    r"(?:It|Its|That|This|These|Those|They|Their|Then|So|But|And|Or|Both|Such|There|Also|Either|If not|With it|Without)\b"
)
_EMPTY = frozenset(  # words that need no counterpart in an answer
    (
        "a about after an and another any are as at be been before being but by can could did do does down during else for from "
        "had has have he her his how i if in into is it its many may me might much must my no not of on one or other our out "
        "over s shall she should so some t than that the their them then there these they this those to under up us was we were "
        "what when where which who whom whose why will with would you your"
    ).split()
)
_FILLERS = frozenset(
    (
        "please thanks today tomorrow tonight now currently right exactly actually roughly approximately usually normally really "
        "still also just each every per again all only here there available got place"
    ).split()
)
_NUMBER = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundred|thousand|million|billion|dozen|half|third|quarter|tenth|once|twice)\b"
)
_TIME = (
    r"\b1\d{3}\b|\b20\d\d\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|spring|"
    r"summer|autumn|winter|\w+day|century|dawn|dusk|night|morning)\b"
)
# What is asked for, and what a sentence must hold to tell it. The first kind that fits is taken.
_KINDS = (
    (r"\b(?:when|since when|(?:what|which) (?:year|date|day|month|time))\b", _TIME),
    (r"\bhow (?:many|much|long|old|tall|high|large|big|far|fast|often|deep|\w+ (?:is|was|are))\b", _NUMBER),
    (r"\bwhat (?:percent|share|number|temperature)", _NUMBER),
    (
        r"\bwhy\b|\b(?:what (?:caused|was the)|for what) reason",
        r"because|due|since|so that|in order|reason|caus|led|result|to \w+",
    ),
)
_COUNTED = re.compile(r"\bhow many (?:\w+ing )?([^\W\d_]+)")
_NAMED = re.compile(r"\b(?:who|whom|whose)\b")
_PLACED = re.compile(r"\bwhere\b|\b(?:what|which) (?:city|country|town|place|island|river)\b")
_PLACE = re.compile(r"\b(?:in|at|on|near|under|by|along|from)\b")
_NAME_INSIDE = re.compile(r"(?<=[\w,] )[A-Z]\w+")  # a capital that no sentence begins with
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_YEAR = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (
    r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?s?",
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|"
    r"dec(?:ember)?)",
)
_CYCLES = tuple(
    (
        names,
        re.compile(rf"\b({pattern})\b\.?(?:\s*(?:-|–|—|to|through|till|until)\s*\b({pattern})\b)?"),
    )
    for names, pattern in zip((_WEEK, _YEAR), _NAMES, strict=True)
)
_EVERY = (
    (re.compile(r"\bweekdays?\b|\bworkdays?\b|\bworking days?\b|\bduring the week\b"), range(5)),
    (re.compile(r"\bweekends?\b"), range(5, 7)),
    (re.compile(r"\bdaily\b|\bevery ?day\b|\ball week\b|\beach day\b|\b7 days\b|\bseven days\b|\b24/7\b"), range(7)),
)
_MAY = re.compile(r"\bmay(?= (?:i|we|you|one|he|she|they|my|the|a)\b)")  # the verb
_SPAN = re.compile(r"\b(\d{1,4})\s*(?:-|–|—|to)\s*(\d{1,4})\b")
_MEASURED = re.compile(r"\bhow (\w+)")
LONGEST_WORD = 50  # letters; English words have 45 at most
LONGEST_KEPT = 300  # characters of a text of which it is kept what times it names; a question may be longer
_stemmer = snowballstemmer.stemmer("english")


def stem(word: str) -> str:
    """What a lower-case English word has in common with its inflections. What is too long to be one is left as it is, and not kept:
    anybody can think of such."""
    return _stem(word) if len(word) <= LONGEST_WORD else word


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def _times(text: str, cycle: int) -> frozenset[int]:
    return (_times_of if len(text) <= LONGEST_KEPT else _times_of.__wrapped__)(text, cycle)


@lru_cache(maxsize=10_000)
def _times_of(text: str, cycle: int) -> frozenset[int]:
    """The days of the week (`cycle` 0) or the months (1) that `text` names, with those between the ends of a range."""
    names, pattern = _CYCLES[cycle]
    found = set[int]()
    for match in pattern.finditer(_MAY.sub(" ", text)):
        first = names.index(match[1][:3])
        last = names.index(match[2][:3]) if match[2] else first
        found |= {(first + step) % len(names) for step in range((last - first) % len(names) + 1)}
    for every, days in _EVERY if cycle == 0 else ():
        found |= set(days) if every.search(text) else set()
    return frozenset(found)


KNOWLEDGE = KnowledgeWords(
    short=_SHORT,
    before_number=_BEFORE_NUMBER,
    question_label=_QUESTION_LABEL,
    answer_label=_ANSWER_LABEL,
    open_line=_OPEN,
    leaning=_LEANING,
    empty=_EMPTY,
    number=re.compile(_NUMBER),
    kinds=tuple((re.compile(asks), re.compile(tells)) for asks, tells in _KINDS),
    counted=_COUNTED,
    who=_NAMED,
    where=_PLACED,
    place=_PLACE,
    name=_NAME_INSIDE,
    name_in_text=re.compile(r"(?<=[a-z,] )[A-Z][\w-]*[^\W_]"),
    stem=stem,
    measured=_MEASURED,
    portion=re.compile(r"\b(?:an?|one|two|three|four|five|six|\d{1,3}) (\w+) of\b"),
    span=_SPAN,
    auxiliaries=frozenset("do does did can could will would should may might must has have had be".split()),
    before_verb=frozenset("i you we they he she it to".split()),
    fillers=_FILLERS,
    cycles=(partial(_times, cycle=0), partial(_times, cycle=1)),
)
