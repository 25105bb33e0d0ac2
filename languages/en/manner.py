"""Which way somebody wants the voice to change: slower or faster, quieter or louder, or back to what it was."""

import re
from collections.abc import Mapping, Sequence

# 1 is faster or louder, -1 slower or quieter; those of WEAK count only where nothing else is said.
_PACES = {
    **dict.fromkeys("slow slowly slowed down reduce decrease drop lower half".split(), -1),
    **dict.fromkeys("fast quick quickly speedy hurry hurrying rush rushed rushing up rapid rapidly increase raise".split(), 1),
    **dict.fromkeys("follow understand double twice".split(), 1),
}
_VOLUMES = {
    **dict.fromkeys("quiet quietly soft softly low down reduce decrease drop whisper whispering mumble mumbling".split(), -1),
    **dict.fromkeys("faint half".split(), -1),
    **dict.fromkeys(
        "loud loudly high up increase raise boost shout shouting yell yelling scream screaming deafening".split(), 1
    ),
    **dict.fromkeys("blasting double twice".split(), 1),
}
_COMPARED = {
    **dict.fromkeys("slower quieter softer lower".split(), -1),
    **dict.fromkeys("faster quicker louder".split(), 1),
}
_WEAK = {"volume": 1, "speed": 1, "ears": -1}
_NORMAL = frozenset("normal normally usual default original ordinary regular reset".split())
# Before what the voice is, or is not to be: the opposite is wanted.
_COMPLAINS = frozenset("too so very no why really quite rather pretty awfully extremely incredibly such".split())
_DENIES = frozenset("not never less stop without dont cant".split())
_IS = frozenset("are you're were is it's that's this's was sound sounds seem seems i'm he's she's voice's".split())
_BETWEEN = frozenset("speaking talking reading going getting a bit little just all kind of sort still being always".split())
_REACH = 5  # words of the same clause before it
_CLAUSES = re.compile(r"[,.;!?]|\b(?:but|because|since|cause)\b")


def pace(text: str) -> int:
    """1 for faster, -1 for slower, 0 for the usual pace."""
    return _change(text, _PACES)


def volume(text: str) -> int:
    """1 for louder, -1 for quieter, 0 for the usual volume."""
    return _change(text, _VOLUMES)


def _change(text: str, words: Mapping[str, int]) -> int:
    """The first that is said tells; what tells nothing is taken for more."""
    clauses = [re.findall(r"[\w']+", clause) for clause in _CLAUSES.split(text.lower().replace("’", "'"))]
    for known in (words, _WEAK):
        for said in clauses:
            for at, word in enumerate(said):
                if way := known.get(word) or (_COMPARED.get(word) if known is words else 0):
                    return -way if _turned(said, at) else way
        if any(word in _NORMAL for said in clauses for word in said):
            return 0
    return 1


def _turned(said: Sequence[str], at: int) -> bool:
    """Whether the word at this place tells how the voice is, or is not to be, and not how it is to be."""
    before = said[max(0, at - _REACH) : at]
    denied = any(word in _DENIES or word.endswith("n't") for word in before)
    if said[at] in _COMPARED or (before and before[-1] == "more"):
        return denied
    if denied:
        return said[at + 1 : at + 2] != ["enough"]
    nearest = next((word for word in reversed(before) if word not in _BETWEEN), "")
    return nearest in _IS or any(word in _COMPLAINS for word in before)
