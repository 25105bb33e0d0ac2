"""Trains the judge of evidence on `invented.yaml` and writes `evidence.npz`: `python -m services.retrieval.train`."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from services.embedding import Embedder, Reading, Vectors
from services.retrieval.documents import Section, sentences
from services.retrieval.evidence import MODEL, WIDTH, Judge, content
from services.retrieval.index import Embedded, build, texts_of
from services.retrieval.local import DEFAULT_FOLDER
from services.retrieval.readers import read_folder
from services.workers import Workers

EXAMPLES = Path(__file__).with_name("invented.yaml")
FOUND = 3  # passages that a search brings
JUDGED = 2  # of them: the third is hardly ever the one
INVERSE_REGULARISATION = 0.1  # scikit-learn's C
HELD_BACK = 3  # questions of a section of the built-in knowledge that are asked, one at a time
FOLDS = 8  # of the cross-validation that is printed


@dataclass(frozen=True)
class Lesson:
    """A section, and questions that it answers and that are not in it."""

    topic: str
    section: Section
    questions: Sequence[str]


async def main(weights: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    workers = Workers()
    embedder = Embedder(weights, workers)
    await embedder.warm()
    sets = [invented(), *built_in()]
    texts = {text for lessons in sets for lesson in lessons for text in [*texts_of(lesson.section), *lesson.questions]}
    readings = dict(zip(texts, await embedder.read_all(list(texts), lambda reading: reading), strict=True))
    axes = _axes([readings[text] for lesson in sets[0] for text in texts_of(lesson.section)])
    untrained = np.zeros(1, np.float32)
    judge = Judge(axes, untrained, untrained, untrained, 0.0)
    rows: list[Vectors] = []
    labels: list[bool] = []
    groups: list[str] = []
    for lessons in sets:
        kept = [readings[text] for lesson in lessons for text in texts_of(lesson.section)]
        embedded = [Embedded(one.vector[0].astype(np.float16), judge.narrow(one)) for one in kept]
        index = build([lesson.section for lesson in lessons], embedded)
        for row, question in ((row, question) for row, lesson in enumerate(lessons) for question in lesson.questions):
            asked = judge.ask(question, readings[question], index.rarity)
            found = index.rank(question, readings[question].vector[0], FOUND + 1)
            # The built-in sections overlap: without its own, a question is often still answered by another.
            without = [hit for hit in found if hit.row != row][:FOUND] if lessons is sets[0] else []
            for hits in filter(None, (found[:FOUND], without)):
                rows.extend(index.evidence(asked, hits)[:JUDGED])
                labels.extend(hit.row == row for hit in hits[:JUDGED])
                groups.extend([lessons[row].topic] * JUDGED)
    await workers.close()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_REGULARISATION))
    unseen = cross_val_predict(model, rows, labels, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    model.fit(rows, labels)
    scaler, regression = model[0], model[1]
    np.savez(
        MODEL,
        projection=judge.projection.astype(np.float16),
        mean=scaler.mean_.astype(np.float32),
        scale=scaler.scale_.astype(np.float32),
        weights=regression.coef_[0].astype(np.float32),
        bias=regression.intercept_[0],
    )
    print(f"{len(rows)} passages judged, AUC on unseen topics {roc_auc_score(labels, unseen):.3f}, in {MODEL}")


def invented() -> list[Lesson]:
    lessons = []
    for topic in yaml.safe_load(EXAMPLES.read_text("utf-8")):
        for passage in topic["passages"]:
            section = Section("", topic["title"], topic["title"], tuple(sentences(passage["text"])))
            lessons.append(Lesson(topic["title"], section, passage["asked"]))
    return lessons


def built_in() -> Iterator[list[Lesson]]:
    """The built-in knowledge, each time with other questions held back."""
    documents = [document for _, document in read_folder(DEFAULT_FOLDER).values()]
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


def _axes(readings: list[Reading]) -> Vectors:
    """The WIDTH principal components of the word vectors, shape (DIMENSIONS, WIDTH)."""
    words = np.concatenate([content(reading)[1] for reading in readings])
    return np.asarray(np.linalg.svd(words - words.mean(axis=0), full_matrices=False)[2][:WIDTH].T, np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m services.retrieval.train", description="Train the judge of evidence.")
    parser.add_argument("--weights", type=Path, default=Path.home() / ".cache" / "parley", help="folder of the model files")
    asyncio.run(main(parser.parse_args().weights))
