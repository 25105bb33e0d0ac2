"""Retrieval over a folder of Markdown: embedded once, kept by content, searched in memory."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from services.base import Exchange, Passage, ServiceUnavailable
from services.cache import load, save
from services.embedding import Embedder, Reading
from services.followup import readings
from services.retrieval.documents import Document, inside, read_folder
from services.retrieval.evidence import Judge
from services.retrieval.index import Embedded, Index, build, texts_of
from services.retrieval.vocabulary import vocabulary
from services.workers import Priority, Workers

DEFAULT_FOLDER = Path(__file__).parent.parent / "knowledge"
SHOW_PROGRESS = 200  # texts to embed from which a progress bar is worth it
CLEAR = 0.6  # a score that needs no other reading of the query
VOCABULARY = 32  # words: a longer prompt costs recognition time


class LocalRetriever:
    """Finds passages in the .md files of `folder` (see `documents` for what is read, `index` for the score).

    Embeddings are kept in `cache_dir` by the hash of their text: a second start, or a start after a change, embeds only what is
    new.
    """

    def __init__(self, embedder: Embedder, workers: Workers, cache_dir: Path, folder: Path | None = None) -> None:
        self._embedder = embedder
        self._workers = workers
        self._folder = folder or DEFAULT_FOLDER
        self._cache = cache_dir / f"knowledge-{hashlib.sha256(str(self._folder.absolute()).encode()).hexdigest()[:16]}.npz"
        self._documents: list[Document] = []
        self._index: Index | None = None
        self._vocabulary = ""
        self._judge = Judge.load()

    async def warm(self) -> None:
        """Reads and embeds the folder. Raises ServiceUnavailable that names the folder when it cannot be used."""
        self._documents, _ = await asyncio.gather(
            self._workers.run(Priority.LOAD, read_folder, self._folder), self._embedder.warm()
        )
        sections = [section for document in self._documents for section in document.sections]
        embedded = await self._embedded([text for section in sections for text in texts_of(section)])
        self._index = await self._workers.run(Priority.LOAD, build, sections, embedded)
        words = await self._workers.run(Priority.LOAD, vocabulary, self._documents, self._embedder.pieces, VOCABULARY)
        self._vocabulary = ", ".join(words)

    async def close(self) -> None:
        self._index = None

    async def search(self, text: str, limit: int = 3, history: Sequence[Exchange] = ()) -> list[Passage]:
        """The `limit` best passages, best first. A follow-up is resolved from `history`."""
        if self._index is None:
            raise ServiceUnavailable("retrieval", "not loaded: call warm() first")
        found: list[Passage] = []
        for query in readings(text, history):
            reading = await self._embedder.read(query)
            found = await self._workers.run(Priority.TEXT, self._index.search, query, reading, self._judge, limit)
            if found[0].score >= CLEAR:
                break
        return found

    def vocabulary(self) -> str:
        """Names and rare words of the knowledge, as a prompt for speech-to-text."""
        return self._vocabulary

    def topics(self) -> list[str]:
        """The titles of the documents; of a single document, those of its sections."""
        titles = [document.title for document in self._documents]
        if len(titles) == 1:
            titles = [section.title for section in self._documents[0].sections]
        text = " ".join(section.text for document in self._documents for section in document.sections)
        return [inside(title, text) for title in titles]

    async def _embedded(self, texts: list[str]) -> list[Embedded]:
        known = await self._workers.run(Priority.LOAD, _read_cache, self._cache)
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            with tqdm(
                total=len(new), desc=f"reading {self._folder.name}", disable=len(new) < SHOW_PROGRESS, leave=False
            ) as bar:
                embedded = await self._embedder.read_all(list(new.values()), self._keep, bar.update)
            known.update(zip(new, embedded, strict=True))
        if new or len(known) > len(set(keys)):
            await self._workers.run(Priority.LOAD, _write_cache, self._cache, {key: known[key] for key in keys})
        return [known[key] for key in keys]

    def _keep(self, reading: Reading) -> Embedded:
        return Embedded(reading.vector[0].astype(np.float16), self._judge.narrow(reading))


def _read_cache(path: Path) -> dict[str, Embedded]:
    stored = load(path)
    if stored is None or "words" not in stored:
        return {}
    words = np.split(stored["words"], stored["ends"][:-1])
    return dict(zip(stored["keys"].tolist(), map(Embedded, stored["vectors"], words), strict=True))


def _write_cache(path: Path, known: dict[str, Embedded]) -> None:
    arrays = {
        "keys": np.array(list(known)),
        "vectors": np.stack([one.vector for one in known.values()]),
        "words": np.concatenate([one.words for one in known.values()]),
        "ends": np.cumsum([len(one.words) for one in known.values()]),
    }
    save(path, arrays)
