"""Whether a passage holds the answer, by a model that reads the question and the passage together. It was trained on 38,466
questions of SQuAD 1.1 (Rajpurkar et al. 2016, CC BY-SA 4.0) by `python -m services.making.reader`, which writes `reader.npz`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from documents.sections import overlapping
from services import weights
from services.cache import made
from services.embedding import MODEL, Vectors
from services.making import quantisation, reader_graph
from services.onnx_model import LocalService, onnx_session
from services.weights import fetch

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

WEIGHTS = Path(__file__).with_name("reader.npz")
SOURCES = (Path(reader_graph.__file__), Path(quantisation.__file__), weights.TABLE)
WINDOW = 72  # tokens of a passage that are read at once, where sentences end: so it was trained
MOST = 112  # of a longer sentence the rest is not read
KEPT = 300  # stretches whose states are kept: 60 kB each


class _Reader(NamedTuple):
    lower: "InferenceSession"
    upper: "InferenceSession"
    tokenizer: "Tokenizer"
    read: dict[str, Vectors]  # what the lower half made of a text


class PassageReader(LocalService[_Reader]):
    """Reads questions and passages."""

    name = "reader"

    def read(self, question: str, heading: str, sentences: Sequence[str]) -> float:
        """How sure it is that a passage, its heading and its sentences, holds the answer: the log odds among questions of which
        half are answered there. For a worker's thread. Raises ServiceUnavailable before `warm`."""
        reader = self._loaded()
        asked = states(reader.lower, reader.tokenizer, question)
        return max(_logit(reader, asked, f"{heading}: {text}") for text in stretches(reader.tokenizer, sentences))

    def _load(self) -> _Reader:
        from tokenizers import Tokenizer

        model, cache = fetch(MODEL, self.folder), self.folder / "computed"
        lower = made(cache, "reader-lower", SOURCES, lambda: reader_graph.lower(model))
        upper = made(cache, "reader-upper", (*SOURCES, WEIGHTS), lambda: reader_graph.upper(np.load(WEIGHTS)))
        tokenizer = Tokenizer.from_file(str(fetch("minilm/tokenizer.json", self.folder)))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MOST)
        lower_half = onnx_session(lower)
        reader = _Reader(lower_half, onnx_session(upper), tokenizer, {})
        _logit(reader, states(lower_half, tokenizer, "warm"), "warm")
        return reader


def stretches(tokenizer: "Tokenizer", sentences: Sequence[str]) -> list[str]:
    """`sentences` in stretches of WINDOW tokens at most."""
    sizes = [len(tokenizer.encode(sentence, add_special_tokens=False).ids) for sentence in sentences]
    return overlapping(sentences, sizes, WINDOW)


def _logit(reader: _Reader, asked: Vectors, text: str) -> float:
    if text not in reader.read:
        if len(reader.read) >= KEPT:
            reader.read.clear()
        reader.read[text] = states(reader.lower, reader.tokenizer, text)
    both = np.concatenate([asked, reader.read[text]])
    which = (np.arange(len(both)) >= len(asked)).astype(np.int64)
    return float(reader.upper.run(None, {"states": both[None], "which": which})[0].item())


def states(lower: "InferenceSession", tokenizer: "Tokenizer", text: str) -> Vectors:
    """What the lower half makes of a text by itself, shape (tokens, DIMENSIONS)."""
    ids = np.array([tokenizer.encode(text.lower()).ids], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return np.asarray(lower.run(None, inputs)[0][0], np.float32)
