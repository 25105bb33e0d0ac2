"""What is spoken at once, and the words of the eye matched with those of the ear."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from languages.sentences import MARK, Sentences
from services.base import Word

LONGEST = 25  # words the voice is given at once
LONGEST_MARK = 20  # characters at the end of a word among which its marks are

_PHRASE_END = re.compile(r"[,;:—–)][\"'”’]*$")


def pieces(clause: str, sentences: Sentences) -> list[list[str]]:
    """The words of `clause` in pieces: each sentence, and a sentence of over LONGEST words after a comma or at LONGEST."""
    done: list[list[str]] = []
    words: list[str] = []
    every = clause.split()
    for word, after in zip(every, [*every[1:], ""], strict=False):
        words.append(word)
        if MARK.search(word[-LONGEST_MARK:]) and sentences.ends(" ".join(words), after, whole=True):
            done.append(words)
            words = []
        elif len(words) == LONGEST:
            cut = next((i for i in range(LONGEST, LONGEST // 2, -1) if _PHRASE_END.search(words[i - 1])), LONGEST)
            done.append(words[:cut])
            words = words[cut:]
    return [*done, words] if words else done


def align(words: Sequence[str], spoken: Sequence[Word]) -> list[Word]:
    """`words` with the times of the words as they are `spoken` ("$5" is said as "five dollars"). A word that is not said begins and
    ends with the end of the one before it."""

    def keys(texts: Sequence[str]) -> list[str]:
        return [re.sub(r"\W", "", text).casefold() for text in texts]

    timed: list[Word] = []
    last = 0.0
    said = keys([word.text for word in spoken])
    for _, i, to_i, j, to_j in SequenceMatcher(None, keys(words), said, autojunk=False).get_opcodes():
        for k in range(i, to_i):
            first, until = (j + round(n * (to_j - j) / (to_i - i)) for n in (k - i, k - i + 1))
            start, last = (spoken[first].start_ms, spoken[until - 1].end_ms) if until > first else (last, last)
            timed.append(Word(words[k], start, last))
    return timed
