"""Large folders: how much later the app's retriever is ready at a second start with PASSAGES files, and what a search costs among
MANY passages. The texts are made of random words as common as words are (Zipf)."""

import statistics
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from app.settings import Settings
from documents.sections import Section
from languages.en import LANGUAGE as ENGLISH
from services.embedding import DIMENSIONS, Embedder
from services.retrieval.answerability import WIDTH, AnswerabilityModel
from services.retrieval.folder import LocalRetriever
from services.retrieval.index import Embedded, build, texts_of
from services.retrieval.reader import PassageReader
from services.workers import Workers
from tests.bench.report import judge, percentile

PASSAGES = 2_000
MANY = 50_000
SENTENCES = 4  # of a passage
WORDS = 12  # of a sentence
SEARCHES = 200
TARGETS = {"second_start_extra_s": ("<=", 2.0), "search_p95_ms": ("<=", 20.0)}


async def run(args: Namespace) -> dict[str, Any]:
    workers = Workers()
    embedder = Embedder(Settings().weights_dir, workers)
    await embedder.warm()
    figures = await second_start(embedder, workers) | await searches(embedder, workers)
    await workers.close()
    return judge("Large folders", figures, TARGETS)


def passages(count: int) -> list[list[str]]:
    """So many passages of SENTENCES sentences."""
    random = np.random.default_rng(0)
    shape = (count, SENTENCES, WORDS)
    ranks = np.minimum(random.zipf(1.3, shape), 40_000)
    return [
        [" ".join(f"w{rank}" for rank in sentence).capitalize() + "." for sentence in passage] for passage in ranks.tolist()
    ]


async def second_start(embedder: Embedder, workers: Workers) -> dict[str, float]:
    """Seconds until a retriever is ready, with the built-in knowledge and with PASSAGES passages, when both are cached."""
    taken: dict[str, list[float]] = {"own": [], "large": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "large"
        folder.mkdir()
        for number, sentences in enumerate(passages(PASSAGES)):
            (folder / f"{number}.md").write_text(f"# Passage {number}\n\n{' '.join(sentences)}\n")
        for name, place in (("own", None), ("large", folder)) * 4:
            begun = time.perf_counter()
            retriever = LocalRetriever(embedder, workers, Path(scratch) / "cache", ENGLISH, place)
            await retriever.warm()
            taken[name].append(time.perf_counter() - begun)
            await retriever.close()
    first, own, large = taken["large"][0], statistics.median(taken["own"][1:]), statistics.median(taken["large"][1:])
    return {"passages": PASSAGES, "first_start_s": first, "second_start_s": large, "second_start_extra_s": large - own}


async def searches(embedder: Embedder, workers: Workers) -> dict[str, float]:
    """Milliseconds of a search among MANY passages, with the judging and reading of what is found, without the embedding of the
    question."""
    random = np.random.default_rng(1)
    sections = [Section(str(row), "T", "T", tuple(sentences)) for row, sentences in enumerate(passages(MANY))]

    def embedded() -> Embedded:
        vector = random.standard_normal(DIMENSIONS, np.float32)
        return Embedded((vector / np.linalg.norm(vector)).astype(np.float16), random.integers(-60, 60, (8, WIDTH), np.int8))

    begun = time.perf_counter()
    index = build(sections, [embedded() for section in sections for _ in texts_of(section)], ENGLISH.knowledge)
    built = time.perf_counter() - begun
    judging, taken = AnswerabilityModel.load(ENGLISH), []
    reader = PassageReader(embedder.folder, workers)
    await reader.warm()
    for row in random.integers(0, MANY, SEARCHES):
        text = " ".join(sections[row].sentences[0].split()[:8])
        reading = await embedder.read(text)
        begun = time.perf_counter()
        index.search(text, reading, judging, 3, reader.read)
        taken.append((time.perf_counter() - begun) * 1000)
    return {
        "many_passages": MANY,
        "build_s": built,
        "search_p50_ms": percentile(taken, 50),
        "search_p95_ms": percentile(taken, 95),
    }
