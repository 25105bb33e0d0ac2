"""German, as far as a first conversation needs it."""

import re
from pathlib import Path

from languages.base import FollowUpWords, IntentWords, Language
from languages.sentences import Sentences
from languages.tools import Heard, Sayings, Understanding
from languages.wording import Wording

NUMBERS = dict(enumerate("null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()))
FIGURES = {word: number for number, word in NUMBERS.items()} | {"eine": 1, "einen": 1, "eins": 1}
UNITS = {"sekunde": 1.0, "minute": 60.0, "stunde": 3600.0}
LENGTH = re.compile(rf"\b(\d+|{'|'.join(FIGURES)}) ({'|'.join(UNITS)})n?\b")


def length(text: str) -> float | None:
    """Seconds: "fünf Minuten" is 300."""
    found = LENGTH.search(text.lower())
    return (FIGURES.get(found[1]) or float(found[1])) * UNITS[found[2]] if found else None


def said_length(seconds: float) -> str:
    """ "5 Minuten"."""
    unit = max((unit for unit in UNITS if seconds >= UNITS[unit]), key=lambda unit: UNITS[unit], default="sekunde")
    count = round(seconds / UNITS[unit])
    return f"{count} {unit.title()}" + ("n" if count != 1 else "")


def speakable(text: str) -> str:
    """Small numbers in words."""
    return re.sub(r"\b\d{1,2}\b", lambda match: NUMBERS.get(int(match[0]), match[0]), text)


def timer(text: str) -> dict[str, object] | None:
    """The arguments of `set_timer`."""
    seconds = length(text)
    return {"seconds": seconds} if seconds else None


GERMAN = Language(
    "de",
    "German",
    Path(__file__).parent,
    wording=Wording(
        backchannels=frozenset("ja genau okay gut mhm hm aha ach so".split()),
        non_lexical=frozenset("mhm hm äh ähm".split()),
        calls=frozenset("stopp halt warte nein was wie warum wer wo".split()),
        open_ends=frozenset("und oder weil dass der die das ein eine mein ich wir ist sind".split()),
        asking=frozenset("was wer wie wo wann warum welche welcher".split()),
        ordering=frozenset("stelle stell nenne erkläre suche".split()),
        polite=frozenset({"bitte"}),
        closing=re.compile(r"\b(danke|tschüss|auf wiedersehen)\b"),
    ),
    sentences=Sentences(short=("bzw", "usw", "ca", "nr"), starters=frozenset("der die das ich wir und aber".split())),
    phrase=re.compile(r"\s(?=(?:und|oder|aber|weil|dass|wenn)\s)"),
    speakable=speakable,
    intents=IntentWords(
        asks=re.compile(r"(?:was|wer|wie|wo|wann|warum|kannst du)\b"),
        padding=frozenset("bitte also ja".split()),
        pace=lambda text: -1 if re.search(r"\blangsamer\b|\bzu schnell\b", text.lower()) else 1,
    ),
    follow_ups=FollowUpWords(
        more=re.compile(r"(?:und )?(?:weiter|mehr|warum|erzähl mehr)(?: bitte)?"),
        offer="Ich kann auch von {title} erzählen.",
        accepts=re.compile(r"(?:ja|gern|bitte|ja bitte)"),
    ),
    hears=Understanding(tools={"set_timer": Heard(timer)}, length=length),
    says=Sayings(either=" oder ".join, together=" und ".join, length=said_length),
)
