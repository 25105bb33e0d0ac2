"""Sentence embeddings (MiniLM-L6, int8 ONNX): one instance, shared by intent and retrieval."""

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.local import LocalService, onnx_session
from services.weights import fetch
from services.workers import Priority, Workers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODEL = "minilm/model.onnx"
DIMENSIONS = 384
MAX_TOKENS = 256  # what the model is made for (sentence-transformers/all-MiniLM-L6-v2, model card); the rest is not read
BATCH = 16  # texts a job: between two jobs more urgent work gets its turn

Vectors = NDArray[np.float32]  # shape (n, DIMENSIONS), each row of length 1


class _MiniLm(NamedTuple):
    session: "InferenceSession"
    tokenizer: "Tokenizer"


class Embedder(LocalService[_MiniLm]):
    """Turns text into vectors of length 1, so that a dot product is the cosine similarity."""

    name = "embedding"

    def __init__(self, folder: Path, workers: Workers) -> None:
        super().__init__(folder, workers)
        self._asked: dict[str, asyncio.Task[Vectors]] = {}

    async def embed(self, text: str) -> Vectors:
        """The vector of one text, shape (1, DIMENSIONS). A text that is asked for twice at once is computed once."""
        text = plain(text)
        task = self._asked.get(text)
        if task is None:
            task = self._asked[text] = asyncio.create_task(self._run(Priority.TEXT, _embed, self._loaded(), [text]))
            task.add_done_callback(lambda _: self._asked.pop(text, None))
        return await asyncio.shield(task)  # whoever gives up does not take the other's answer away

    async def embed_all(self, texts: Sequence[str], progress: Callable[[int], object] = lambda done: None) -> Vectors:
        """The vectors of texts (one at least), shape (len(texts), DIMENSIONS), at leisure. `progress` is told of each batch."""
        model, texts = self._loaded(), [plain(text) for text in texts]

        async def part(at: int) -> Vectors:
            vectors = await self._run(Priority.LOAD, _embed, model, texts[at : at + BATCH])
            progress(len(vectors))
            return vectors

        return np.concatenate(await asyncio.gather(*(part(at) for at in range(0, len(texts), BATCH))))

    def pieces(self, word: str) -> int:
        """Into how many parts the tokenizer cuts a word: a common one is one."""
        return len(self._loaded().tokenizer.encode(word, add_special_tokens=False).ids)

    def _load(self) -> _MiniLm:
        from tokenizers import Tokenizer

        session = onnx_session(fetch(MODEL, self._folder))
        tokenizer = Tokenizer.from_file(str(fetch("minilm/tokenizer.json", self._folder)))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        model = _MiniLm(session, tokenizer)
        _embed(model, ["warm"])
        return model


def plain(text: str) -> str:
    """One spelling for what sounds the same: lower case, single spaces, no punctuation at the ends."""
    return re.sub(r"^\W+|\W+$", "", " ".join(text.lower().split()))


def _embed(model: _MiniLm, texts: Sequence[str]) -> Vectors:
    # One text a run: with dynamic int8 a vector would depend on its neighbours in the batch, and on one thread a batch is not
    # faster.
    return np.concatenate([_embed_one(model, text) for text in texts])


def _embed_one(model: _MiniLm, text: str) -> Vectors:
    ids = np.array([model.tokenizer.encode(text).ids], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = np.asarray(model.session.run(["last_hidden_state"], inputs)[0]).mean(axis=1)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)
