"""What people say who do not want a timer: "don't bother setting one", "no alarm tomorrow", "actually, never mind".

A turn is looked at clause by clause. What one clause declines, another may still order: "Don't set it for five minutes, set a
timer for ten." Tried on the turns of `tests/unit/tools/test_declining.py`.
"""

import re

_CLAUSES = re.compile(
    r"(?:(?<![,.;:!?])[,.;:!?]++\s++|(?<!\s)\s++(?:but|so|because|although|and)\s++)(?:(?:and|but|so|then)\s++)*+",
    re.IGNORECASE,
)
_VERB = (
    r"(?:set|sett?ing|start|starting|make|making|create|creating|add|adding|put|putting|use|using|cancel|cancell?ing|delete|deleting|"
    r"remove|removing|clear|clearing|stop|stopping|turn off|turning off|remind|reminding|wake|waking|time|timing|bother)\b"
)
_THING = r"(?:timers?|alarms?|reminders?|count ?downs?)\b"
_NOT = r"(?:don't|do not|didn't|did not|won't|will not|wouldn't|not)"
_NO = re.compile(
    "|".join(
        (
            # "Don't set", "you do not have to cancel", "needn't remind"
            rf"\b(?:{_NOT}|doesn't|needn't|need not|no need to|never|shouldn't|should not|mustn't|must not)"
            rf"(?: (?:really|ever|want|have|need|think|ask|asked|like|going|be|i|you|to|for|me|even))* {_VERB}",
            rf"\bno need (?:for|to)\b|\bno(?: more| new)? (?:\w+ )?{_THING}|\bwithout (?:an? |any |the )?(?:\w+ )?{_THING}",
            # "I don't need a timer"; of one that runs it is said that it is needed no more, and of another kind that it is not long
            rf"\b{_NOT}(?: (?:really|even|think|want|ask|asked|need|be|like|i|for|to|have|you|needing|wanting))*"
            r" (?:an?|any|another) "
            rf"(?!(?:long|short|big|loud|new)\b)(?:\w+ ){{0,2}}{_THING}(?!.*\b(?:any ?more|longer)\b)",
            rf"\bnot an? (?:\w+ ){{0,2}}{_THING}|\blet's not\b|\brather (?:you (?:didn't|did not|don't)|not)\b",
            rf"\b(?:skip|forget|leave|hold off on|hold off with) (?:about )?(?:setting )?(?:an? |any |the |that )(?:\w+ )?{_THING}"
            r"(?=\W*$| alone| (?:for|in|at)\b)",
            r"\b(?:stop|quit) (?:setting|reminding|waking|making)\b|\bnever asked\b",
            r"\b(?:didn't|did not) (?:want|need) (?:it|one|that)\b",
            rf"\bkeep (?:the|my|that|it) ?(?:{_THING})? ?(?:running|going|on)\b",
        )
    ),
    re.IGNORECASE,
)
# What sounds like it, and is an order: "don't let me forget", "why don't you set a timer".
_YES = re.compile(
    r"\bwhy (?:don't you|not)\b|\b(?:don't|do not|never) (?:let me )?forget to\b|"
    r"\b(?:don't|do not) let me (?:forget|miss|sleep|oversleep)\b|^(?:couldn't|can't|won't|wouldn't|don't) you\b|"
    r"\bremind me (?:not|never|that)\b|\bif i (?:don't|do not)\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"\A(?:(?:please|can|could|would|will|you|just|instead|then|now|okay|rather|i want|to)\b\W*+)*+"
    rf"(?:(?:set|start|make|add|put on|create)\b.*\b(?:{_THING}|one\b|minutes?|hours?|seconds?)|remind me\b|wake me\b|"
    rf"(?:cancel|stop|delete)\b.*{_THING})",
    re.IGNORECASE,
)
_SETS = re.compile(
    r"\A(?:(?:please|can|could|would|will|you|just|okay)\b\W*+)*+(?:set|start|make|put on|remind|wake)\b", re.IGNORECASE
)
_TAKES_BACK = re.compile(
    r"\A(?:(?:no(?!t)|oh|actually|wait|sorry|hm+|uh|um|well|on second thoughts?|i changed my mind|please|just)\b\W*+)*"
    r"(?:don't(?: do (?:it|that)| bother)?|never ?mind(?: (?:it|that))?|forget (?:it|that|about it|about that)|scrap (?:it|that)|"
    r"cancel (?:it|that)|scratch that|leave it|skip (?:it|that)|not now|i don't (?:need|want) (?:it|that|one)|no)\W*",
    re.IGNORECASE,
)


def declined(text: str) -> bool:
    """Whether `text`, which is about a timer, an alarm or a reminder, says that it is not wanted."""
    clauses = _clauses(text) or [text]
    if _TAKES_BACK.fullmatch(clauses[-1]) and any(map(_SETS.match, clauses[:-1])):
        return True
    refused = [_refuses(clause) for clause in clauses]
    ordered = any(_ORDERS.match(clause) for clause, no in zip(clauses, refused, strict=True) if not no)
    return any(refused) and not ordered and not any(map(_YES.search, clauses))


def wanted_of(text: str) -> str:
    """`text` without the clauses in which something is declined, where another orders it."""
    clauses = _clauses(text)
    kept = [clause for clause in clauses if not _refuses(clause)]
    return ", ".join(kept) if len(kept) < len(clauses) and any(map(_ORDERS.match, kept)) else text


def _clauses(text: str) -> list[str]:
    return [clause for clause in _CLAUSES.split(text.replace("’", "'").strip()) if clause]


def _refuses(clause: str) -> bool:
    return _NO.search(clause) is not None and _YES.search(clause) is None
