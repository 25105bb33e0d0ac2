"""Intent by logistic regression on sentence embeddings, trained at start from a readable file of examples."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import yaml
from numpy.typing import NDArray

from languages.base import Language
from languages.wording import NO_WORDS, Words
from services.base import Intent, ServiceUnavailable
from services.cache import load, save
from services.embedding import VECTORS, Embedder, Vectors, plain
from services.workers import Priority, Workers

OUT_OF_SCOPE = "out_of_scope"
QUESTION = "question"
INVERSE_REGULARISATION = 10.0  # scikit-learn's C
# Mean of the class probability and of the cosine to the nearest example; below it an utterance is out of scope. On CLINC-150
# (12 intents x 20 examples, 60 out-of-scope utterances) it gives accuracy 0.98 with out-of-scope recall 0.95.
MIN_BELONGING = 0.48


@dataclass(frozen=True, slots=True)
class Model:
    """Softmax regression over the embeddings of the examples. `weights` is (dimensions, classes), `examples` (n, dimensions)."""

    names: NDArray[np.str_]
    weights: Vectors
    bias: Vectors
    examples: Vectors

    def classify(self, vector: Vectors, asks: bool) -> Intent:
        """The likeliest intent of a sentence's vector; `asks`: it is a question."""
        logits = (vector @ self.weights + self.bias)[0]
        odds = np.exp(logits - logits.max())
        best = int(odds.argmax())
        probability = float(odds[best] / odds.sum())
        belonging = (probability + float((self.examples @ vector[0]).max())) / 2
        if belonging >= MIN_BELONGING:
            return Intent(str(self.names[best]), probability)
        if asks and QUESTION in self.names:
            return Intent(QUESTION, belonging)
        return Intent(OUT_OF_SCOPE, 1 - belonging)


class LocalIntent:
    """Names what an utterance of `language` wants. `examples` is a YAML file: intent name -> list of utterances; None: that of the
    language.

    The trained model is kept in `cache_dir` under the hash of the examples, so that only a changed file is trained again.
    """

    def __init__(
        self,
        embedder: Embedder,
        workers: Workers,
        cache_dir: Path,
        language: Language,
        examples: Path | None = None,
        more: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """`more`: examples beside those of the file, of its intents and of others."""
        self._embedder = embedder
        self._cache_dir = cache_dir
        self._workers = workers
        self._examples = examples or language.folder / "intents.yaml"
        self._more = more
        self._words = language.intents
        self._known: dict[str, str] = {}
        self._model: Model | None = None
        self._warming = asyncio.Lock()

    async def warm(self) -> None:
        """Reads the examples and trains (or loads) the model, once. Raises ServiceUnavailable when the file does not fit."""
        async with self._warming:
            if self._model is None:
                await self._embedder.warm()
                await self._learn()

    async def _learn(self) -> None:
        examples = read_examples(self._examples)
        for intent, texts in self._more.items():
            examples[intent] = [*examples.get(intent, []), *texts]
        self._known = {words(plain(text)): name for name, texts in examples.items() for text in texts}
        digest = hashlib.sha256(repr((sorted(self._known.items()), VECTORS)).encode()).hexdigest()
        cached = self._cache_dir / f"intent-{digest[:16]}.npz"
        self._model = await self._workers.run(Priority.LOAD, _load, cached)
        if self._model is None:
            vectors = await self._embedder.embed_all(list(self._known))
            self._model = await self._workers.run(Priority.LOAD, _train, vectors, list(self._known.values()), cached)

    async def close(self) -> None:
        """Nothing is held."""
        self._model = None

    async def classify(self, text: str) -> Intent:
        """The intent of one utterance. An utterance that stands among the examples is known for certain."""
        if self._model is None:
            raise ServiceUnavailable("intent", "not loaded: call warm() first")
        said = plain(text)
        known = self._known.get(words(said)) or self._known.get(words(said, self._words.padding))
        if known is not None:
            return Intent(known, 1.0)
        return self._model.classify(await self._embedder.embed(text), asks=self._words.asks.match(said) is not None)


def words(said: str, padding: Words = NO_WORDS) -> str:
    """The words of `said`, without those of `padding` around them: "okay, stop please" is "stop"."""
    found = re.findall(r"[\w'’-]+", said)
    while len(found) > 1 and found[0] in padding:
        found.pop(0)
    while len(found) > 1 and found[-1] in padding:
        found.pop()
    return " ".join(found)


def read_examples(path: Path) -> dict[str, list[str]]:
    """Intent name -> utterances. Raises ServiceUnavailable that names the file and what is wrong with it."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ServiceUnavailable("intent", f"cannot read {path}: {error}") from error
    if not isinstance(loaded, dict) or len(loaded) < 2:
        raise ServiceUnavailable("intent", f"{path}: at least two intents are needed, each with a list of examples")
    for name, texts in loaded.items():
        if not isinstance(name, str) or not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
            raise ServiceUnavailable("intent", f'{path}: {name!r} needs a list of texts (write "yes" and "no" in quotes)')
    return loaded


def _load(path: Path) -> Model | None:
    stored = load(path)
    return None if stored is None else Model(**stored)


def _train(vectors: Vectors, labels: list[str], path: Path) -> Model:
    from sklearn.linear_model import LogisticRegression  # takes a second to import: only where the cache does not help

    fitted = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=300).fit(vectors, labels)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn then keeps the second class only
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.hstack([-bias / 2, bias / 2])
    model = Model(np.array(fitted.classes_, np.str_), weights.astype(np.float32), bias.astype(np.float32), vectors)
    save(path, {name: getattr(model, name) for name in Model.__slots__})
    return model
