"""The classifier, trained on a folder's train.jsonl and scored on its test.jsonl (rows: text, intent; `oos` is out of scope)."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import yaml

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.embedding import Embedder
from services.intent.classifier import OUT_OF_SCOPE, LocalIntent
from services.workers import Workers
from tests.bench.report import share


async def score_intents(folder: Path) -> dict[str, float]:
    """`intent_accuracy` over the utterances in scope (taking one for out of scope is an error), `out_of_scope_recall` over the
    others."""
    examples = defaultdict(list)
    for row in rows(folder / "train.jsonl"):
        examples[row["intent"]].append(row["text"])
    workers = Workers()
    embedder = Embedder(Settings().weights_dir, workers)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "intents.yaml"
        file.write_text(yaml.safe_dump(dict(examples)), "utf-8")
        classifier = LocalIntent(embedder, workers, Path(scratch), ENGLISH, file)
        await classifier.warm()
        found = [(row["intent"], (await classifier.classify(row["text"])).name) for row in rows(folder / "test.jsonl")]
    await workers.close()
    return {
        "intent_accuracy": share(name == intent for intent, name in found if intent != "oos"),
        "out_of_scope_recall": share(name == OUT_OF_SCOPE for intent, name in found if intent == "oos"),
    }


def rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
