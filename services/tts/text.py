"""Text made ready for the ear, and the words of the eye matched with those of the ear."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

LONGEST = 25  # words the voice is given at once
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]*_`]*$")
_ABBREVIATION = re.compile(
    r"\W*(?:[A-Za-z]|[A-Za-z](?:\.[A-Za-z])+|mrs?|ms|dr|st|prof|no|vs|approx|fig|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.$",
    re.I,
)
_PHRASE_END = re.compile(r"[,;:—–)][\"'”’]*$")


def pieces(clause: str) -> list[list[str]]:
    """The words of `clause` in pieces: each sentence, and a sentence of over LONGEST words after a comma or at LONGEST."""
    done: list[list[str]] = []
    words: list[str] = []
    for word in clause.split():
        words.append(word)
        if _SENTENCE_END.search(word) and not _ABBREVIATION.match(word):
            done.append(words)
            words = []
        elif len(words) == LONGEST:
            cut = next((i for i in range(LONGEST, LONGEST // 2, -1) if _PHRASE_END.search(words[i - 1])), LONGEST)
            done.append(words[:cut])
            words = words[cut:]
    return [*done, words] if words else done


def align(words: Sequence[str], spoken: Sequence[str], ends: Sequence[float]) -> list[float]:
    """The time at which each of `words` ends, given the times of the words as `spoken` ("$5" is said as "five dollars"). A word
    that is not said ends with the one before it."""

    def keys(texts: Sequence[str]) -> list[str]:
        return [re.sub(r"\W", "", text).casefold() for text in texts]

    times: list[float] = []
    last = 0.0
    for _, i, to_i, j, to_j in SequenceMatcher(None, keys(words), keys(spoken), autojunk=False).get_opcodes():
        for k in range(i, to_i):
            upto = j + round((k - i + 1) * (to_j - j) / (to_i - i))
            last = max(last, ends[upto - 1]) if upto > j else last
            times.append(last)
    return times


def speakable(text: str) -> str:
    return text if re.search(r"[A-Za-z0-9]", text) else ""
