"""Retrieval over a folder of documents: embedded once, kept by content, searched in memory, read again when it changes."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm
from watchfiles import Change, awatch

from documents.readers import NoDocuments, Shelf, Stamp, has_reader, read_folder, state_of
from documents.sections import Document, inside
from languages.base import Language
from services.base import Exchange, Passage, ServiceError, ServiceUnavailable
from services.cache import load, save
from services.embedding import VECTORS, Embedder, TokenVectors
from services.followup import FollowUps
from services.retrieval.answerability import AnswerabilityModel
from services.retrieval.index import Embedded, Index, build, stems, texts_of
from services.retrieval.reader import PassageReader
from services.retrieval.vocabulary import vocabulary
from services.workers import Priority, Workers

log = logging.getLogger(__name__)

DEFAULT_FOLDER = Path(__file__).parent.parent / "knowledge"
SHOW_PROGRESS = 200  # texts to embed from which a progress bar is worth it
CLEAR = 0.6  # a score that needs no other reading of the query
SETTLED_MS = 400  # without another change before the folder is read again
LOOKS = 15  # after so many, whether any file has changed of which the kernel tells nothing: on a share, or behind a link
LOOK_MS = 2000  # between looks at whether the folder is still the one that is watched
VOCABULARY = 32  # words: a longer prompt costs recognition time


class LocalRetriever:
    """Finds passages in the files of `folder` (see `documents.readers` for what is read, `index` for the score).

    Embeddings are kept in `cache_dir` by the hash of their text: a second start, or a change, embeds only what is new. While a
    changed folder is read, searches find what was there before.
    """

    def __init__(
        self, embedder: Embedder, workers: Workers, cache_dir: Path, language: Language, folder: Path | None = None
    ) -> None:
        self._embedder = embedder
        self._workers = workers
        self._follow_ups = FollowUps(language.follow_ups)
        self._language = language.knowledge
        self._folder = folder or DEFAULT_FOLDER
        place = hashlib.sha256(f"{language.code} {self._folder.absolute()}".encode()).hexdigest()[:16]
        self._cache = cache_dir / f"knowledge-{place}.npz"
        self._shelf: Shelf = {}
        self._documents: list[Document] = []
        self._index: Index | None = None
        self._vocabulary = ""
        self._judge = AnswerabilityModel.load(language)
        self._reader = PassageReader(embedder.folder, workers)
        # What is kept of a text is of no use to another model or another judge.
        self._made_by = f"{VECTORS}, {hashlib.sha256(self._judge.projection.tobytes()).hexdigest()[:8]}"
        self._state: frozenset[tuple[Path, Stamp]] = frozenset()
        self._reading = asyncio.Lock()
        self._warming = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def warm(self) -> None:
        """Reads and embeds the folder, once, and watches it from then on. Raises ServiceUnavailable that names the folder when it
        cannot be used."""
        async with self._warming:
            if self._index is not None:
                return
            await asyncio.gather(self._embedder.warm(), self._reader.warm())
            if self._watching is None and self._folder.is_dir():
                self._watching = asyncio.create_task(self._watch())  # before it is read, so that no change is missed
            try:
                await self._read()
            except ServiceError:
                await self.close()
                raise

    async def close(self) -> None:
        """Ends the watching of the folder."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        self._index = None

    async def _read(self) -> bool:
        """Whether anything was new."""
        async with self._reading:
            return await self._read_anew()

    async def _read_anew(self) -> bool:
        try:
            shelf = await self._workers.run(Priority.LOAD, read_folder, self._folder, self._language, self._shelf)
        except NoDocuments as error:
            raise ServiceUnavailable("retrieval", str(error)) from error
        if self._index is not None and shelf == self._shelf:
            return False
        documents = [document for _, document in shelf.values() if document.sections]
        sections = [section for document in documents for section in document.sections]
        embedded = await self._embedded([text for section in sections for text in texts_of(section)])
        index = await self._workers.run(Priority.LOAD, build, sections, embedded, self._language)
        words = await self._workers.run(Priority.LOAD, vocabulary, documents, self._language, self._embedder.pieces, VOCABULARY)
        self._shelf, self._documents, self._index, self._vocabulary = shelf, documents, index, ", ".join(words)
        return True

    async def _watch(self) -> None:
        """Reads the folder again after each change. The kernel tells changes of the folder that it was given; whether another one
        has taken its place, by a rename or a link, is looked at every LOOK_MS."""
        stale, looks = False, 0
        while True:
            watched = _identity(self._folder)
            if watched is None:
                await asyncio.sleep(LOOK_MS / 1000)
                stale = True
                continue
            try:
                async for changes in awatch(
                    self._folder, watch_filter=_matters, debounce=SETTLED_MS, rust_timeout=LOOK_MS, yield_on_timeout=True
                ):
                    looks += 1
                    if changes or stale or (looks % LOOKS == 0 and await self._differs()):
                        stale = False
                        await self._changed()
                    if _identity(self._folder) != watched:
                        break
            except FileNotFoundError:
                log.debug("the knowledge folder %s has gone", self._folder)
            stale = True

    async def _differs(self) -> bool:
        """Whether the files are not those of the last look."""
        before, self._state = self._state, await self._workers.run(Priority.LOAD, state_of, self._folder)
        return before != self._state

    async def _changed(self) -> None:
        """Something may have changed. What cannot be used leaves the knowledge as it was."""
        try:
            if await self._read():
                log.info("the knowledge has changed and holds %d passages", len(self._index.sections) if self._index else 0)
        except ServiceError as error:
            log.warning("the knowledge stays as it was: %s", error)

    async def search(self, text: str, limit: int = 3, history: Sequence[Exchange] = ()) -> list[Passage]:
        """The `limit` best passages, best first. A follow-up is resolved from `history`."""
        if self._index is None:
            raise ServiceUnavailable("retrieval", "not loaded: call warm() first")
        found: list[Passage] = []
        subject = self._follow_ups.subject(text) if history else ""
        for number, query in enumerate(self._follow_ups.readings(text, history)):
            reading = await self._embedder.read(query)
            searched = (query, reading, self._judge, limit, self._reader.read)
            found = await self._workers.run(Priority.TEXT, self._index.search, *searched)
            found = self._of_its_own(subject, found) if number else found
            if found[0].score >= CLEAR:
                break
        return found

    def _of_its_own(self, subject: str, found: list[Passage]) -> list[Passage]:
        """What was `found` for a turn that asks the question before it of another `subject` ("what about cats?"): the words of that
        question fit the old one, so what does not say the new one holds no answer."""
        new = stems(subject, self._language)
        return [
            passage if new <= stems(f"{passage.title} {passage.text}", self._language) else replace(passage, holds=0.0)
            for passage in found
        ]

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
        keys = [hashlib.sha256(f"{self._made_by}: {text}".encode()).hexdigest()[:32] for text in texts]
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

    def _keep(self, reading: TokenVectors) -> Embedded:
        return Embedded(reading.vector[0].astype(np.float16), self._judge.narrow(reading))


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder is at this place now; None: there is none."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    return (facts.st_dev, facts.st_ino) if folder.is_dir() else None


def _matters(change: Change, path: str) -> bool:
    """Whether a change may be one of what is read. Folders and links to them matter too, and so does what is gone: it may have
    been either."""
    return has_reader(Path(path)) or not Path(path).is_file()


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
