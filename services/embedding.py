"""Sentence embeddings (MiniLM-L6 in 8 bits): one instance, shared by intent and retrieval."""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from services import weights
from services.cache import made
from services.making import quantisation
from services.onnx_model import LocalService, onnx_session
from services.weights import fetch
from services.workers import Priority, Workers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODEL = "minilm/model.onnx"
VECTORS = "all-MiniLM-L6-v2 in whole numbers"  # what is kept of other vectors is of no use
DIMENSIONS = 384
THE, VOCABULARY = 1996, 30_522  # the id of the commonest word, and how many there are (bert-base-uncased)
MAX_TOKENS = 256  # what the model is made for (sentence-transformers/all-MiniLM-L6-v2, model card); the rest is not read
WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_SOUNDS = re.compile(r"\w").match
BATCH = 16  # texts a job: between two jobs more urgent work gets its turn

T = TypeVar("T")

Vectors = NDArray[np.float32]  # shape (n, DIMENSIONS), each row of length 1


class TokenVectors(NamedTuple):
    """A text as the model sees it: `vector` of the whole, shape (1, DIMENSIONS), and `states` of its tokens `ids`, shape (tokens,
    DIMENSIONS), with the place `spans` of each in `text`."""

    text: str
    vector: Vectors
    states: Vectors
    ids: Sequence[int]
    spans: Sequence[tuple[int, int]]

    def words(self) -> tuple[list[tuple[str, float]], Vectors]:
        """The words of the text, those that the model read, each with how rare it is in English (0..1), and the mean state of
        each, of length 1."""
        found, places = [], []
        for match in WORD.finditer(self.text):
            tokens = [at for at, (start, end) in enumerate(self.spans) if match.start() <= start < end <= match.end()]
            if tokens:
                found.append((match.group(), _rarity([self.ids[at] for at in tokens])))
                places.append(tokens)
        shares = np.zeros((len(found), len(self.states)), np.float32)
        for row, tokens in zip(shares, places, strict=True):
            row[tokens] = 1 / len(tokens)
        vectors = shares @ self.states
        return found, np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _rarity(ids: Sequence[int]) -> float:
    """BERT's vocabulary lists whole words by frequency, from "the" on; what it cuts into pieces is rarer still."""
    return 1.0 if len(ids) > 1 else math.log(max(1, ids[0] - THE + 1)) / math.log(VOCABULARY - THE)


class _MiniLm(NamedTuple):
    session: "InferenceSession"
    tokenizer: "Tokenizer"


class Embedder(LocalService[_MiniLm]):
    """Turns text into vectors of length 1, so that a dot product is the cosine similarity."""

    name = "embedding"

    def __init__(self, folder: Path, workers: Workers) -> None:
        super().__init__(folder, workers)
        self._asked: dict[str, asyncio.Task[TokenVectors]] = {}

    async def read(self, text: str) -> TokenVectors:
        """One text. A text that is asked for twice at once is read once."""
        text = plain(text)
        task = self._asked.get(text)
        if task is None:
            task = self._asked[text] = asyncio.create_task(self._run(Priority.TEXT, _read, self._loaded(), text))
            task.add_done_callback(lambda _: self._asked.pop(text, None))
        return await asyncio.shield(task)  # whoever gives up does not take the other's answer away

    async def embed(self, text: str) -> Vectors:
        """The vector of one text, shape (1, DIMENSIONS)."""
        return (await self.read(text)).vector

    async def embed_all(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts (one at least), shape (len(texts), DIMENSIONS), at leisure."""
        return np.concatenate(await self.read_all(texts, lambda reading: reading.vector))

    async def read_all(
        self, texts: Sequence[str], keep: Callable[[TokenVectors], T], progress: Callable[[int], object] = lambda done: None
    ) -> list[T]:
        """What `keep` makes of each text, at leisure. `progress` is told of each batch."""
        model = self._loaded()

        def read_batch(batch: Sequence[str]) -> list[T]:
            # One text a run: with dynamic int8 a vector would depend on its neighbours in the batch, and on one thread a batch
            # is not faster.
            return [keep(_read(model, plain(text))) for text in batch]

        async def part(at: int) -> list[T]:
            kept = await self._run(Priority.LOAD, read_batch, texts[at : at + BATCH])
            progress(len(kept))
            return kept

        parts = await asyncio.gather(*(part(at) for at in range(0, len(texts), BATCH)))
        return [kept for batch in parts for kept in batch]

    def pieces(self, word: str) -> int:
        """Into how many parts the tokenizer cuts a word: a common one is one."""
        return len(self._loaded().tokenizer.encode(word, add_special_tokens=False).ids)

    def _load(self) -> _MiniLm:
        from tokenizers import Tokenizer

        path, recipe = fetch(MODEL, self.folder), (Path(quantisation.__file__), weights.TABLE)
        session = onnx_session(made(self.folder / "computed", "minilm", recipe, lambda: quantisation.in_whole_numbers(path)))
        tokenizer = Tokenizer.from_file(str(fetch("minilm/tokenizer.json", self.folder)))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        model = _MiniLm(session, tokenizer)
        _read(model, "warm")
        return model


def plain(text: str) -> str:
    """One spelling for what sounds the same: lower case, single spaces, no punctuation at the ends."""
    joined = " ".join(text.lower().split())
    start = next((at for at, c in enumerate(joined) if _SOUNDS(c)), len(joined))
    stop = next((at for at in range(len(joined), start, -1) if _SOUNDS(joined[at - 1])), start)
    return joined[start:stop]


def _read(model: _MiniLm, text: str) -> TokenVectors:
    encoding = model.tokenizer.encode(text)
    ids = np.array([encoding.ids], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    states = np.asarray(model.session.run(["last_hidden_state"], inputs)[0])
    mean = states.mean(axis=1)
    return TokenVectors(
        text,
        np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32),
        states[0],
        encoding.ids,
        encoding.offsets,
    )
