"""Search in memory: sentence embeddings, with a light boost for shared words, and whether what is found holds the answer."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from documents.sections import Row, Section
from languages.base import KnowledgeWords
from services.base import Passage
from services.embedding import TokenVectors, Vectors
from services.retrieval.answerability import AnswerabilityModel, Asked, Narrow, features, spoken
from services.retrieval.tables import names_no_row, names_other_code, unmeant_rows

# How the score is made: 0.4 x similarity of the whole section + 0.6 x that of its best sentence or question + 0.2 x the share of
# the query's words (weighed by idf squared) that stand in the section. Measured against the alternatives by
# `python -m tests.bench answers` and `knowledge`: of spoken questions the sections alone find fewer at first place.
PART_WEIGHT = 0.6
WORDS_WEIGHT = 0.2
COARSE = 96  # principal components that choose the candidates among many sections
SAME = 0.85  # share of the words of two sections that are in both, from which they say the same
BESIDE = 50  # sections
CANDIDATES = 400  # sections that are looked at in full

Read = Callable[[str, str, Sequence[str]], float]  # see `services.retrieval.reader`
Halves = NDArray[np.float16]  # vectors as they are kept, shape (n, DIMENSIONS)
Kept = NDArray[np.float16 | np.float32]  # halves, but for so few sections that speed is worth more than room


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text as it is kept: its vector, shape (DIMENSIONS,), and its content words."""

    vector: Halves
    words: Narrow


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and how well it fits."""

    row: int
    score: float
    parts: Vectors  # the similarity of each sentence and question


@dataclass(frozen=True, slots=True)
class Index:
    """`whole` has one row a section, `coarse` is `whole @ axes`; `parts` one a sentence, then one a question, of each section in
    turn. Those of section i are rows starts[i] to starts[i + 1]; the words of part j are rows ends[j - 1] to ends[j] of `words`.
    `holders` maps a word stem to the sections that hold it."""

    language: KnowledgeWords
    sections: Sequence[Section]
    whole: Kept
    axes: Vectors
    coarse: Vectors
    parts: Kept
    starts: NDArray[np.int64]
    words: Narrow
    ends: NDArray[np.int64]
    holders: dict[str, NDArray[np.int32]]

    def search(self, text: str, reading: TokenVectors, judge: AnswerabilityModel, limit: int, read: Read) -> list[Passage]:
        """The best sections, best first; `reading` is that of `text`. Those of which the judge is in doubt are read with `read`."""
        hits = self.rank(text, reading.vector[0], limit)
        asked = judge.ask(text, reading, self.rarity)
        first = judge.probabilities(self.evidence(asked, hits))
        return [
            self._passage(asked, hit, self._holds(asked, hit, float(belief), judge, read))
            for hit, belief in zip(hits, first, strict=True)
        ]

    def _holds(self, asked: Asked, hit: Hit, first: float, judge: AnswerabilityModel, read: Read) -> float:
        """The belief that a section holds the answer, which was believed in so much at first. The reader has learned from
        articles: of tables it knows nothing."""
        section = self.sections[hit.row]
        if self._names_another(asked, hit):
            return 0.0
        if not judge.doubts(first) or any(isinstance(sentence, Row) for sentence in section.sentences):
            return first
        return judge.after_reading(first, read(asked.text, section.context, section.sentences), bool(section.asked))

    def _names_another(self, asked: Asked, hit: Hit) -> bool:
        """Whether what is asked about has a name that the section gives only others of its kind."""
        section = self.sections[hit.row]
        return names_other_code(asked, section) or names_no_row(asked, section, self._words(hit.row), hit.parts)

    def rank(self, text: str, vector: Vectors, limit: int) -> list[Hit]:
        """The best sections by score, best first, of those that say the same the first; `vector` is the embedding of `text`, shape
        (DIMENSIONS,)."""
        shared = WORDS_WEIGHT * self._shared_words(text)
        rows = np.arange(len(shared))
        if len(rows) > CANDIDATES:
            rough = self.coarse @ (vector @ self.axes) + shared
            rows = np.sort(np.argpartition(-rough, CANDIDATES)[:CANDIDATES])
        firsts, lasts = self.starts[rows], self.starts[rows + 1]
        sizes = lasts - firsts
        begins = np.cumsum(sizes) - sizes
        among = np.arange(sizes.sum()) + np.repeat(firsts - begins, sizes)
        parts = self.parts[among].astype(np.float32, copy=False) @ vector
        similarity = (1 - PART_WEIGHT) * (self.whole[rows].astype(np.float32, copy=False) @ vector)
        scores = similarity + PART_WEIGHT * np.maximum.reduceat(parts, begins) + shared[rows]
        best: list[int] = []
        for at in np.argsort(-scores, kind="stable"):
            if not any(self._says_the_same(int(rows[at]), int(rows[other])) for other in best):
                best.append(int(at))
                if len(best) == limit:
                    break
        return [Hit(int(rows[at]), float(scores[at]), parts[begins[at] :][: sizes[at]]) for at in best]

    def _says_the_same(self, one: int, other: int) -> bool:
        first, second = self.sections[one], self.sections[other]
        if first.sentences == second.sentences:
            return True
        words, others = spoken(first, self.language), spoken(second, self.language)
        return len(words & others) >= SAME * len(words | others)

    def evidence(self, asked: Asked, hits: Sequence[Hit]) -> Vectors:
        """The features (see `evidence`) of what was found, one row a hit."""
        rows = [
            features(asked, self.sections[hit.row], self._words(hit.row), hit.parts, hit.score, rank)
            for rank, hit in enumerate(hits)
        ]
        return np.array(rows, np.float32)

    def rarity(self, word: str) -> float:
        """BM25's idf of a stem (Robertson 2009), as if there were BESIDE more sections without it: in a folder of one or two every
        word that is there would count for nothing."""
        count = len(self.holders.get(word, ()))
        return math.log(1 + (BESIDE + len(self.sections) - count + 0.5) / (count + 0.5))

    def _words(self, row: int) -> list[Narrow]:
        return [self.words[self.ends[part] : self.ends[part + 1]] for part in range(self.starts[row], self.starts[row + 1])]

    def _shared_words(self, text: str) -> Vectors:
        """Share (0..1) of the query's words in each section, weighed by how rare they are."""
        share = np.zeros(len(self.sections), np.float32)
        total = 0.0
        for word in stems(text, self.language):
            weight = self.rarity(word) ** 2
            total += weight
            if word in self.holders:
                share[self.holders[word]] += weight
        return share / total if total else share

    def _passage(self, asked: Asked, hit: Hit, holds: float) -> Passage:
        """Rows that are not asked for fit the question by nothing."""
        section = self.sections[hit.row]
        unmeant = unmeant_rows(asked, section)
        said = [
            (sentence, min(0.0, float(score)) if at in unmeant else float(score))
            for at, (sentence, score) in enumerate(zip(section.sentences, hit.parts, strict=False))
        ]
        return Passage(section.id, section.title, section.text, hit.score, tuple(said), holds)


def texts_of(section: Section) -> list[str]:
    """What is embedded of a section: the whole, then its parts."""
    sentences = [f"{section.context}: {sentence}" for sentence in section.sentences]
    return [f"{section.context}. {section.text}", *sentences, *section.asked]


def build(sections: Sequence[Section], embedded: Sequence[Embedded], language: KnowledgeWords) -> Index:
    """An index from what was embedded of `texts_of` all sections, in order, and the words of their language."""
    sizes = np.array([1 + len(section.sentences) + len(section.asked) for section in sections], np.int64)
    wholes = set((np.cumsum(sizes) - sizes).tolist())
    whole = np.stack([embedded[at].vector for at in sorted(wholes)])
    parts = [one for at, one in enumerate(embedded) if at not in wholes]
    axes = _principal(whole)
    holders: dict[str, list[int]] = defaultdict(list)
    for row, section in enumerate(sections):
        for word in stems(" ".join([section.context, section.text, *section.asked]), language):
            holders[word].append(row)
    kind = np.float32 if len(sections) <= CANDIDATES else np.float16
    return Index(
        language,
        sections,
        whole.astype(kind),
        axes,
        whole.astype(np.float32) @ axes,
        np.stack([one.vector for one in parts]).astype(kind),
        np.concatenate([[0], np.cumsum(sizes - 1)]),
        np.concatenate([one.words for one in parts]),
        np.concatenate([[0], np.cumsum([len(one.words) for one in parts])]),
        {word: np.array(rows, np.int32) for word, rows in holders.items()},
    )


def _principal(vectors: Halves) -> Vectors:
    """The COARSE directions that keep most of the products between `vectors`, shape (DIMENSIONS, COARSE)."""
    wide = vectors.astype(np.float32)
    return np.asarray(np.linalg.eigh(wide.T @ wide)[1][:, -COARSE:], np.float32)


def stems(text: str, language: KnowledgeWords) -> set[str]:
    """The stems of the words of `text`."""
    return {language.stem(word) for word in re.findall(r"[^\W_]+", text.lower())}
