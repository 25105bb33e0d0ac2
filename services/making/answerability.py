"""Trains the judge of evidence on `invented.yaml` and the built-in knowledge, writes `evidence.npz`, and prints how it does on
subjects that it has not seen: `python -m services.making.answerability train-v1.1.json`. `--data` names a folder with
text/rag_xquad, whose subjects are judged too and never trained on.

More examples of this kind add little to the first judgement: 6, 13, 20 and 26 topics give an AUC of 0.958, 0.961, 0.963 and 0.964
on other subjects, and trees or a small network on the same features refuse at most a point more at 5 %. Where it is in doubt the
passage is read (`services.making.reader`), and judged again by what the reader says: those weights are of the same examples, each
topic by a first judgement that was trained without it, and of articles of SQuAD 1.1 that the reader has not seen.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import yaml

from documents.readers import read_folder
from documents.sections import Section, sentences
from languages import find
from services.embedding import Embedder, TokenVectors, Vectors
from services.llm.extractive import HOLDS, KNOWN
from services.making.reader import parted
from services.retrieval.answerability import MODEL, WIDTH, AnswerabilityModel, content, told
from services.retrieval.folder import DEFAULT_FOLDER
from services.retrieval.index import Embedded, Index, build, texts_of
from services.retrieval.reader import PassageReader
from services.workers import Workers

WORDS = find("en").knowledge  # the examples are in English
EXAMPLES = Path(__file__).with_name("invented.yaml")
FOUND = 3  # passages that a search brings
JUDGED = 2  # of them: the third is hardly ever the one
INVERSE_REGULARISATION = 0.003  # scikit-learn's C
HELD_BACK = 3  # questions of a section of the built-in knowledge that are asked, one at a time
FOLDS = 13  # of the cross-validation by topic
# How much trials count after reading: those of the invented topics, of new articles, and, of which there are few, those of the
# built-in knowledge and of others' questions to it.
SHARES = (1, 1, 2, 4)
PARAGRAPHS, QUESTIONS = 8, 4  # of an article that the reader has not seen, and of a paragraph of it
REFUSED = (0.02, 0.05, 0.1, 0.2)  # shares of the answerable questions at which the curve is printed


@dataclass(frozen=True)
class Lesson:
    """A section, and questions that it answers and that are not in it."""

    topic: str
    section: Section
    questions: Sequence[str]


@dataclass(frozen=True)
class Trial:
    """A question put to some passages: what is found, its features and scores, and which of it is the passage with the answer."""

    topic: str
    answerable: bool
    question: str
    sections: Sequence[Section]
    rows: Vectors
    scores: Vectors
    right: Sequence[bool]


class Classroom:
    """Puts questions to passages."""

    def __init__(self, readings: dict[str, TokenVectors], judge: AnswerabilityModel) -> None:
        self._readings = readings
        self._judge = judge

    def index(self, lessons: Iterable[Lesson]) -> Index:
        """The knowledge of some lessons."""
        sections = [lesson.section for lesson in lessons]
        kept = [self._readings[text] for section in sections for text in texts_of(section)]
        return build(sections, [Embedded(one.vector[0].astype(np.float16), self._judge.narrow(one)) for one in kept], WORDS)

    def ask(self, index: Index, lesson: Lesson, question: str) -> Trial:
        """What is found for a question of a lesson, and whether it ought to be answered."""
        asked = self._judge.ask(question, self._readings[question], index.rarity)
        hits = index.rank(question, self._readings[question].vector[0], FOUND)
        right = [index.sections[hit.row] == lesson.section for hit in hits]
        scores = np.array([hit.score for hit in hits], np.float32)
        sections = [index.sections[hit.row] for hit in hits]
        rows = index.evidence(asked, hits)
        return Trial(lesson.topic, lesson.section in index.sections, question, sections, rows, scores, right)

    def trials(self, lessons: Sequence[Lesson], overlapping: bool = False) -> Iterator[Trial]:
        """Each question in six folders: all passages, those of its topic, its own alone; and, without its own, all others, those of
        its topic, one of these. `overlapping`: another passage may hold the answer too, so the last three are left out."""
        whole = self.index(lessons)
        for lesson in lessons:
            others = [other for other in lessons if other is not lesson]
            siblings = [other for other in others if other.topic == lesson.topic]
            folders = [whole, self.index([lesson, *siblings]), self.index([lesson])]
            if not overlapping:
                folders += map(self.index, (others, siblings, siblings[:1]))
            for question in lesson.questions:
                yield from (self.ask(folder, lesson, question) for folder in folders)

    def strangers(self, lessons: Sequence[Lesson], others: Sequence[Lesson]) -> Iterator[Trial]:
        """The questions of `others`, of which `lessons` know nothing."""
        whole = self.index(lessons)
        yield from (self.ask(whole, other, question) for other in others for question in other.questions)


class Readings:
    """What the reader says of passages; each is read once."""

    def __init__(self, reader: PassageReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, Section], float] = {}

    def of(self, question: str, section: Section) -> float:
        """The log odds that `section` answers."""
        if (question, section) not in self._known:
            self._known[question, section] = self._reader.read(question, section.context, section.sentences)
        return self._known[question, section]


async def main(weights: Path, squad: Path, data: Path | None) -> None:
    """Trains the judge, writes its weights and prints its figures."""
    workers = Workers()
    embedder, reader = Embedder(weights, workers), PassageReader(weights, workers)
    await embedder.warm()
    await reader.warm()
    known, own, foreign = invented(), list(built_in()), recorded(data) if data else []
    articles = unread(squad)
    texts = {
        text
        for lessons in (known, *own, foreign, articles)
        for one in lessons
        for text in (*texts_of(one.section), *one.questions)
    }
    readings = dict(zip(texts, await embedder.read_all(list(texts), lambda reading: reading), strict=True))
    await workers.close()
    untrained = np.zeros(1, np.float32)
    axes = _axes([readings[text] for lesson in known for text in texts_of(lesson.section)])
    room = Classroom(readings, AnswerabilityModel(WORDS, axes, untrained, untrained, untrained, 0.0, untrained))
    trials = list(room.trials(known))
    familiar = [trial for lessons in own for trial in room.trials(lessons, overlapping=True)]
    strange = list(room.strangers(own[0], known))
    helping = [*familiar, *strange]
    topics = sorted({lesson.topic for lesson in known})
    unseen: list[tuple[Trial, Vectors]] = []
    for fold in range(FOLDS):
        left_out = topics[fold::FOLDS]
        judge = train([trial for trial in (*trials, *helping) if trial.topic not in left_out], axes)
        unseen += [(trial, judge.probabilities(trial.rows)) for trial in trials if trial.topic in left_out]
    judge = train([*trials, *helping], axes)
    read = Readings(reader)
    new, *ours = (
        [(trial, judge.probabilities(trial.rows)) for trial in some] for some in (room.trials(articles), familiar, strange)
    )
    judge = replace(judge, after=train_after([unseen, new, *ours], read))
    tell(
        "invented, each topic judged by what was trained without it",
        [(t, belief(judge, t, first, read)) for t, first in unseen],
    )
    tell(
        "articles that the reader has not seen",
        [(t, belief(judge, t, first, read)) for t, first in new],
    )
    if foreign:
        put = [(trial, judge.probabilities(trial.rows)) for trial in room.trials(foreign)]
        tell("recorded, never trained on", [(trial, belief(judge, trial, first, read)) for trial, first in put])
        tell("the same without reading", [(trial, belief(judge, trial, first, None)) for trial, first in put])
    kept = {name: getattr(judge, name) for name in ("mean", "scale", "weights", "bias", "after")}
    np.savez(MODEL, allow_pickle=False, projection=judge.projection.astype(np.float16), **kept)
    print(f"{len(trials) + len(new) + len(helping)} trials, in {MODEL}")


def train(trials: Sequence[Trial], axes: Vectors) -> AnswerabilityModel:
    """The judge that these trials make."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rows = np.concatenate([trial.rows[:JUDGED] for trial in trials])
    labels = [right for trial in trials for right in trial.right[:JUDGED]]
    scaler = StandardScaler().fit(rows)
    regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000).fit(scaler.transform(rows), labels)
    mean, scale, weights = (np.asarray(one, np.float32) for one in (scaler.mean_, scaler.scale_, regression.coef_[0]))
    return AnswerabilityModel(WORDS, axes, mean, scale, weights, float(regression.intercept_[0]), np.zeros(1, np.float32))


def train_after(groups: Sequence[Sequence[tuple[Trial, Vectors]]], read: Readings) -> Vectors:
    """The weights of the judgement after reading, from the first one of each trial. The `groups` count as SHARES says."""
    from sklearn.linear_model import LogisticRegression

    rows, labels, shares = [], [], []
    for group, share in zip(groups, SHARES, strict=True):
        for trial, first in group:
            for at, section in enumerate(trial.sections[:JUDGED]):
                rows.append(told(first[at], read.of(trial.question, section), bool(section.asked)))
                labels.append(trial.right[at])
                shares.append(share)
    regression = LogisticRegression(max_iter=3000, fit_intercept=False).fit(np.array(rows), labels, sample_weight=shares)
    return np.asarray(regression.coef_[0], np.float32)


def belief(judge: AnswerabilityModel, trial: Trial, first: Vectors, read: Readings | None) -> float:
    """The highest of what is found that is near enough to be an answer at all, as it is believed in `first`, and after what is in
    doubt was read, unless nobody reads."""
    beliefs = first.copy()
    if read is not None:
        for at, section in enumerate(trial.sections):
            if judge.doubts(first[at]):
                beliefs[at] = judge.after_reading(first[at], read.of(trial.question, section), bool(section.asked))
    return float(max(beliefs * (trial.scores >= KNOWN)))


def tell(name: str, judged: Sequence[tuple[Trial, float]]) -> None:
    """Prints both errors at HOLDS, by topic, and what would be refused where other shares of the answerable ones are."""
    from sklearn.metrics import roc_auc_score

    by_topic: dict[str, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for trial, belief_in_it in judged:
        for topic in (trial.topic, "all"):
            by_topic[topic][trial.answerable].append(belief_in_it)
    print(f"\n{name}\n{'':28}{'unanswerable refused':>24}{'answerable refused':>24}")
    for topic, found in by_topic.items():
        parts = []
        for answerable in (False, True):
            refused = sum(one < HOLDS for one in found[answerable])
            parts.append(f"{refused:>8} of {len(found[answerable]):<5}{refused / max(1, len(found[answerable])):.3f}")
        print(f"{topic:28}{parts[0]:>24}{parts[1]:>24}")
    every = by_topic["all"]
    labels = [answerable for answerable in (False, True) for _ in every[answerable]]
    print(f"AUC {roc_auc_score(labels, [*every[False], *every[True]]):.3f}", end="")
    for share in REFUSED:
        bar = float(np.quantile(every[True], share))
        print(f"; {share:.0%} of the answerable: {np.mean(np.array(every[False]) < bar):.3f} (below {bar:.2f})", end="")
    print()


def invented() -> list[Lesson]:
    """The lessons of `invented.yaml`."""
    lessons = []
    for topic in yaml.safe_load(EXAMPLES.read_text("utf-8")):
        for passage in topic["passages"]:
            section = Section("", topic["title"], topic["title"], tuple(sentences(passage["text"], WORDS)))
            lessons.append(Lesson(topic["title"], section, passage["asked"]))
    return lessons


def recorded(data: Path) -> list[Lesson]:
    """The passages and questions of the evaluation set."""
    rows = {name: (data / "text" / "rag_xquad" / f"{name}.jsonl").read_text("utf-8") for name in ("passages", "questions")}
    asked = defaultdict(list)
    for question in map(json.loads, rows["questions"].splitlines()):
        asked[question["passage_id"]].append(question["question"])
    passages = map(json.loads, rows["passages"].splitlines())
    return [
        Lesson(
            one["title"],
            Section("", one["title"], one["title"], tuple(sentences(one["text"], WORDS))),
            asked[one["id"]],
        )
        for one in passages
    ]


def unread(squad: Path) -> list[Lesson]:
    """Paragraphs and questions of the articles that the reader was not trained on."""
    chance = Random(5)
    lessons = []
    for article in parted(squad)[0]:
        title = article["title"].replace("_", " ")
        for paragraph in chance.sample(article["paragraphs"], min(PARAGRAPHS, len(article["paragraphs"]))):
            asked = chance.sample(paragraph["qas"], min(QUESTIONS, len(paragraph["qas"])))
            section = Section("", title, title, tuple(sentences(paragraph["context"], WORDS)))
            lessons.append(Lesson(title, section, [one["question"].strip() for one in asked]))
    return lessons


def built_in() -> Iterator[list[Lesson]]:
    """The built-in knowledge, each time with other questions held back."""
    documents = [document for _, document in read_folder(DEFAULT_FOLDER, WORDS).values()]
    for turn in range(HELD_BACK):
        yield [
            Lesson(
                document.title,
                replace(section, asked=section.asked[:turn] + section.asked[turn + 1 :]),
                section.asked[turn : turn + 1],
            )
            for document in documents
            for section in document.sections
        ]


def _axes(readings: list[TokenVectors]) -> Vectors:
    """The WIDTH principal components of the word vectors, shape (DIMENSIONS, WIDTH)."""
    words = np.concatenate([content(reading, WORDS.empty)[1] for reading in readings])
    return np.asarray(np.linalg.svd(words - words.mean(axis=0), full_matrices=False)[2][:WIDTH].T, np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m services.making.answerability", description="Train the judge of evidence.")
    parser.add_argument("--weights", type=Path, default=Path.home() / ".cache" / "parley", help="folder of the model files")
    parser.add_argument("squad", type=Path, help="train-v1.1.json, see services/making/reader.py")
    parser.add_argument("--data", type=Path, help="folder with text/rag_xquad, to judge on other subjects")
    args = parser.parse_args()
    asyncio.run(main(args.weights, args.squad, args.data))
