"""Whether a passage holds the answer: a logistic regression on how the question's words are met in the passage.

Similarity alone takes every passage on the same subject for an answer. Late interaction (the nearest word of the passage for each
word of the question, after ColBERT, Khattab & Zaharia 2020), missing words and the kind of answer asked for tell them apart.
What else the knowledge holds does not enter. `python -m services.making.answerability` makes `evidence.npz`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from documents.sections import Section
from languages.base import KnowledgeWords, Language
from languages.wording import Words
from services.embedding import WORD, TokenVectors, Vectors

MODEL = Path(__file__).with_name("evidence.npz")
WIDTH = 64  # dimensions kept of a word's vector: with 32 the training passages are told apart less well (AUC 0.927 for 0.935)

DOUBT = (0.05, 0.98)  # first beliefs between which a passage is read

Narrow = NDArray[np.int8]  # word vectors, shape (n, WIDTH), each row of length 127


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its content words by their stems, their narrow vectors (unit length), how rare they are in English (0..1) and
    their shares of its weight, which counts how rare they are in the knowledge too. `words` are those of its language."""

    words: KnowledgeWords
    text: str
    stems: Sequence[str]
    vectors: Vectors
    rare: Vectors
    weights: Vectors


@dataclass(frozen=True, slots=True)
class AnswerabilityModel:
    """`projection` is (DIMENSIONS, WIDTH); `mean`, `scale` and `weights` have one entry a feature. `after` has those of the
    judgement after reading, see `told`."""

    words: KnowledgeWords
    projection: Vectors
    mean: Vectors
    scale: Vectors
    weights: Vectors
    bias: float
    after: Vectors

    @classmethod
    def load(cls, language: Language, path: Path = MODEL) -> "AnswerabilityModel":
        """The weights as they are kept."""
        with np.load(path) as stored:
            projection = stored["projection"].astype(np.float32)
            judge = (stored["mean"], stored["scale"], stored["weights"], float(stored["bias"]), stored["after"])
            return cls(language.knowledge, projection, *judge)

    def probabilities(self, features: Vectors) -> Vectors:
        """The belief (0..1) that each passage holds the answer; `features` is (passages, features)."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    def doubts(self, first: float) -> bool:
        """Whether a passage that is believed in so much at first is worth reading."""
        return DOUBT[0] < first < DOUBT[1]

    def after_reading(self, first: float, read: float, tells: bool) -> float:
        """The belief (0..1) in a passage that was believed in so much at first, see `told`."""
        return float(1 / (1 + np.exp(-(self.after @ told(first, read, tells)))))

    def narrow(self, reading: TokenVectors) -> Narrow:
        """The content words of a sentence, to be kept."""
        return narrow(content(reading, self.words.empty)[1], self.projection)

    def ask(self, text: str, reading: TokenVectors, rarity: Callable[[str], float]) -> Asked:
        """`rarity` is the weight of a stem in this knowledge."""
        words, vectors = content(reading, self.words.empty)
        stems = [self.words.stem(word) for word, _ in words]
        rare = np.array([share for _, share in words], np.float32)
        weights = rare * np.array([rarity(one) for one in stems], np.float32)
        return Asked(self.words, text, stems, unit(narrow(vectors, self.projection)), rare, weights / max(weights.sum(), 1e-9))


def told(first: float, read: float, tells: bool) -> Vectors:
    """What the judgement after reading goes by: a constant, the `first` belief as log odds, those that were `read`, what either
    says against the passage, the lesser of both, and what was read again where the section `tells` which questions it answers."""
    sure = np.clip(first, 1e-6, 1 - 1e-6)
    odds = float(np.log(sure / (1 - sure)))
    return np.array([1.0, odds, read, min(read, 0.0), min(odds, 0.0), min(odds, read), read * tells, tells], np.float32)


def content(reading: TokenVectors, empty: Words) -> tuple[list[tuple[str, float]], Vectors]:
    """The words that carry meaning, all but those of `empty`; all words where none does."""
    words, vectors = reading.words()
    full = [at for at, (word, _) in enumerate(words) if word not in empty] or list(range(len(words)))
    return [words[at] for at in full], vectors[full]


def narrow(vectors: Vectors, projection: Vectors) -> Narrow:
    """The vectors of tokens on fewer axes."""
    return np.round(_norm(vectors @ projection) * 127).astype(np.int8)


def features(
    asked: Asked, section: Section, parts: Sequence[Narrow], similarity: Vectors, score: float, rank: int
) -> list[float]:
    """How `section` answers, however much or little else the knowledge holds. `parts` are the words of its sentences and
    questions, `similarity` their cosines to what is asked, `score` and `rank` (0: the best) are those of the search."""
    nearest = _nearest(asked.vectors, parts)
    best = int((nearest @ asked.weights).argmax())
    texts = [*section.sentences, *section.asked]
    alike = texts[int(similarity.argmax())]
    row = [
        score,
        rank,
        similarity.max(),
        similarity.max() - similarity.mean(),
        similarity[len(section.sentences) :].max(initial=0.0),
        len(section.asked) > 0,
        similarity[best],
        len(WORD.findall(asked.text)),
        _tells(asked, texts[best]),
        _tells(asked, alike),
        _counts(asked, texts[best]),
        *_meeting(asked, section, nearest, best),
        *_naming(asked, section),
    ]
    # A section that says which questions it answers is judged by weights of its own: words matter less there.
    return row + [value if section.asked else 0.0 for value in row]


def _meeting(asked: Asked, section: Section, nearest: Vectors, best: int) -> list[float]:
    """How the question's words are met: in the whole section, and in its best sentence; with its heading, and apart from it."""
    words = _stems(section, asked.words)
    missing = _lacking(asked, _vocabulary(section, asked.words)[1])
    met = nearest.max(axis=0)
    unmet = missing * (1 - met)
    apart = asked.weights * _lacking(asked, words[0])  # what the heading does not say has to be said in the section
    apart = apart / max(apart.sum(), 1e-6)
    around = frozenset().union(*words[max(1, best) : best + 3])
    lacking = _lacking(asked, words[best + 1] | words[0])
    near = nearest[best]
    soft = np.sort(nearest @ apart)
    return [
        near @ asked.weights,
        met @ asked.weights,
        met.min(initial=1.0),
        (asked.rare * (1 - met)).max(initial=0.0),
        (1 - missing) @ asked.weights,
        (missing * asked.weights).max(initial=0.0),
        (missing * asked.rare).max(initial=0.0),
        unmet.max(initial=0.0),
        (unmet * asked.rare).max(initial=0.0),
        missing.sum(),
        missing @ asked.rare,
        len(missing),
        (1 - _lacking(asked, words[best + 1])) @ asked.weights,
        (1 - _lacking(asked, around)) @ asked.weights,
        max(float((1 - _lacking(asked, one | words[0])) @ asked.weights) for one in words[1:]),
        (lacking * asked.weights).max(initial=0.0),
        (lacking * asked.rare).max(initial=0.0),
        lacking @ asked.rare,
        (lacking * (1 - near)).max(initial=0.0),
        (lacking * (1 - near)) @ asked.rare,
        soft[-1],
        soft[-2] if len(soft) > 1 else 0.0,
        near.min(initial=1.0),
        float(np.sort(near)[:2].mean()) if len(near) else 1.0,
    ]


def _naming(asked: Asked, section: Section) -> list[float]:
    """How many numbers and names of the question the section lacks."""
    words, stems = _vocabulary(section, asked.words)
    numbers = {word for word in WORD.findall(asked.text) if word[0].isdigit()}
    names = {asked.words.stem(name.lower()) for name in asked.words.name.findall(asked.text)}
    return [len(numbers - words), len(names - stems)]


def _lacking(asked: Asked, stems: frozenset[str]) -> Vectors:
    """1 for each word of the question that is not among `stems`."""
    return np.array([one not in stems for one in asked.stems], np.float32)


@lru_cache(maxsize=10_000)
def _stems(section: Section, of: KnowledgeWords) -> list[frozenset[str]]:
    """Of its heading, then of each sentence and question."""
    return [
        frozenset(map(of.stem, WORD.findall(text.lower()))) for text in (section.context, *section.sentences, *section.asked)
    ]


def _counts(asked: Asked, sentence: str) -> float:
    """Of "how many things": 1 where a number stands a little before the thing in the sentence, else -1; 0 for other questions."""
    counted = asked.words.counted.search(asked.text.lower())
    if counted is None:
        return 0.0
    words = WORD.findall(sentence.lower())
    thing = asked.words.stem(counted[1])
    places = [at for at, word in enumerate(words) if asked.words.stem(word) == thing]
    return 1.0 if any(asked.words.number.search(" ".join(words[max(0, at - 4) : at])) for at in places) else -1.0


@lru_cache(maxsize=10_000)
def _vocabulary(section: Section, of: KnowledgeWords) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a section, and their stems."""
    words = frozenset(WORD.findall(" ".join([section.context, section.text, *section.asked]).lower()))
    return words, frozenset(map(of.stem, words))


@lru_cache(maxsize=10_000)
def spoken(section: Section, of: KnowledgeWords) -> frozenset[str]:
    """The stems of what a section says."""
    return frozenset(map(of.stem, WORD.findall(section.text.lower())))


def _nearest(question: Vectors, parts: Sequence[Narrow]) -> Vectors:
    """For each part, and each word of the question, the cosine to the nearest word: 0 in a part without words."""
    found = np.zeros((len(parts), len(question)), np.float32)
    full = [at for at, part in enumerate(parts) if len(part)]
    if full:
        cosines = unit(np.concatenate(parts)) @ question.T
        found[full] = np.maximum.reduceat(cosines, np.cumsum([0, *(len(parts[at]) for at in full[:-1])]), axis=0)
    return found


def _tells(asked: Asked, sentence: str) -> bool:
    """Whether a sentence holds the kind of thing that is asked for."""
    said, of = asked.text.lower(), asked.words
    for asks, tells in of.kinds:
        if asks.search(said):
            return tells.search(sentence.lower()) is not None
    if of.who.search(said) or of.where.search(said):
        known = set(WORD.findall(said))
        named = any(name.lower() not in known for name in of.name.findall(sentence))
        return named or (of.where.search(said) is not None and of.place.search(sentence) is not None)
    return True


def unit(vectors: Narrow) -> Vectors:
    """Of length 1 each."""
    return np.asarray(vectors, np.float32) / np.float32(127)


def _norm(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
