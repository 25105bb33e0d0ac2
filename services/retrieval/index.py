"""Search in memory: sentence embeddings, with a light boost for shared words."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import snowballstemmer
from numpy.typing import NDArray

from services.base import Passage
from services.embedding import Vectors
from services.retrieval.documents import Section

# How the score is made: 0.4 x similarity of the whole section + 0.6 x that of its best sentence or question + 0.2 x the share of
# the query's words (weighed by idf squared) that stand in the section. Measured against the alternatives by
# `python -m tests.bench answers` and `knowledge`: of spoken questions the sections alone find fewer at first place.
PART_WEIGHT = 0.6
WORDS_WEIGHT = 0.2
CANDIDATES = 200  # sections whose sentences are looked at


@dataclass(frozen=True, slots=True)
class Index:
    """`whole` has one row a section; `parts` one a sentence, then one a question, of each section in turn. Those of section i
    are rows starts[i] to starts[i + 1]. `words` maps a word stem to the sections that hold it."""

    sections: Sequence[Section]
    whole: Vectors
    parts: Vectors
    starts: NDArray[np.int64]
    words: dict[str, NDArray[np.int64]]

    def search(self, text: str, vector: Vectors, limit: int) -> list[Passage]:
        """The best sections, best first; `vector` is the embedding of `text`, shape (1, DIMENSIONS)."""
        shared = WORDS_WEIGHT * self._shared_words(text)
        rough = (1 - PART_WEIGHT) * (self.whole @ vector[0]) + shared
        count = min(CANDIDATES, len(rough))
        rows = np.argpartition(-rough, count - 1)[:count]
        parts = [self.parts[self.starts[row] : self.starts[row + 1]] @ vector[0] for row in rows]
        scores = rough[rows] + PART_WEIGHT * np.array([similarity.max() for similarity in parts])
        best = np.argsort(-scores)[:limit]
        return [self._passage(self.sections[rows[at]], float(scores[at]), parts[at]) for at in best]

    def _shared_words(self, text: str) -> NDArray[np.float32]:
        """Share (0..1) of the query's words in each section, weighed by how rare they are."""
        share = np.zeros(len(self.sections), np.float32)
        total = 0.0
        for word in stems(text):
            rows = self.words.get(word, ())
            weight = math.log(1 + (len(share) - len(rows) + 0.5) / (len(rows) + 0.5)) ** 2  # BM25's idf (Robertson 2009)
            total += weight
            if len(rows):
                share[rows] += weight
        return share / total if total else share

    def _passage(self, section: Section, score: float, parts: Vectors) -> Passage:
        said = zip(section.sentences, map(float, parts), strict=False)
        return Passage(section.id, section.title, section.text, score, tuple(said))


def texts_of(section: Section) -> list[str]:
    """What is embedded of a section: the whole, then its parts."""
    sentences = [f"{section.context}: {sentence}" for sentence in section.sentences]
    return [f"{section.context}. {section.text}", *sentences, *section.asked]


def build(sections: Sequence[Section], vectors: Vectors) -> Index:
    """An index from the vectors of `texts_of` all sections, in order."""
    sizes = np.array([1 + len(section.sentences) + len(section.asked) for section in sections], np.int64)
    wholes = np.cumsum(sizes) - sizes
    words: dict[str, list[int]] = defaultdict(list)
    for row, section in enumerate(sections):
        for word in stems(" ".join([section.context, section.text, *section.asked])):
            words[word].append(row)
    return Index(
        sections,
        vectors[wholes],
        np.delete(vectors, wholes, axis=0),
        np.concatenate([[0], np.cumsum(sizes - 1)]),
        {word: np.array(rows, np.int64) for word, rows in words.items()},
    )


def stems(text: str) -> set[str]:
    """The stems of the words of `text`."""
    return {stem(word) for word in re.findall(r"[^\W_]+", text.lower())}


_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """What a lower-case English word has in common with its inflections."""
    return str(_stemmer.stemWord(word))
