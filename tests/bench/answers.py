"""Grounded answers on text: a folder's passages are indexed, its questions looked up and answered, its utterances classified; and,
with the running app, how soon the answer to a text is heard.

`--data` names a folder with text/rag_xquad (passages.jsonl, questions.jsonl, no_answer_setup.json) and text/intents_clinc.
"""

import asyncio
import json
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.base import Intent, Passage, Question
from services.embedding import Embedder
from services.intent.classifier import LocalIntent
from services.llm.extractive import GroundedAnswerer
from services.retrieval.folder import LocalRetriever
from services.workers import Workers
from tests.bench.client import dial
from tests.bench.intents import rows, score_intents
from tests.bench.report import judge, percentile, share
from tests.bench.server import serve
from tests.bench.takes import SETTLE_S

LATENCY_QUESTIONS = 200
HEARD_QUESTIONS = 40
TARGETS = {
    "hit_at_1": (">=", 0.80),
    "hit_at_3": (">=", 0.93),
    "refusal_rate_unanswerable": (">=", 0.90),
    "refusal_rate_answerable": ("<=", 0.05),
    "intent_accuracy": (">=", 0.90),
    "out_of_scope_recall": (">=", 0.80),
    "intent_and_retrieval_p95_ms": ("<=", 15),
    "text_to_audio_p95_ms": ("<=", 120),
}


async def run(args: Namespace) -> dict[str, Any]:
    folder = args.data / "text"
    if not (folder / "rag_xquad").is_dir():
        raise SystemExit(f"{folder} has no rag_xquad: give --data a folder laid out like the evaluation set")
    passages = rows(folder / "rag_xquad" / "passages.jsonl")
    questions = rows(folder / "rag_xquad" / "questions.jsonl")
    setup = json.loads((folder / "rag_xquad" / "no_answer_setup.json").read_text("utf-8"))
    weights = Settings().weights_dir
    workers = Workers()
    embedder = Embedder(weights, workers)
    found = await look_up(embedder, workers, passages, questions)
    kept = [passage for passage in passages if passage["id"] not in setup["removed_passages"]]
    without = await look_up(embedder, workers, kept, questions)
    refused = [
        not [piece async for piece in GroundedAnswerer(ENGLISH).answer(question(row, found))]
        for row, found in zip(questions, without, strict=True)
    ]
    sounds = await first_sounds(args, passages, questions[: args.events or HEARD_QUESTIONS])
    unanswerable = [row["id"] in setup["questions"] for row in questions]
    figures = {
        "questions": len(questions),
        "hit_at_1": share(_hit(row, places[:1]) for row, places in zip(questions, found, strict=True)),
        "hit_at_3": share(_hit(row, places) for row, places in zip(questions, found, strict=True)),
        "refusal_rate_unanswerable": share(no for no, hopeless in zip(refused, unanswerable, strict=True) if hopeless),
        "refusal_rate_answerable": share(no for no, hopeless in zip(refused, unanswerable, strict=True) if not hopeless),
        "intent_and_retrieval_p95_ms": percentile(await delays(embedder, workers, weights, questions), 95),
        "answers_heard": len(sounds),
        "text_to_audio_p50_ms": percentile([sent for sent, _ in sounds], 50),
        "text_to_audio_p95_ms": percentile([sent for sent, _ in sounds], 95),
        "text_to_ear_p95_ms": percentile([heard for _, heard in sounds], 95),
    }
    return judge("answers", figures | await score_intents(folder / "intents_clinc"), TARGETS)


async def look_up(
    embedder: Embedder, workers: Workers, passages: list[dict[str, str]], questions: list[dict[str, str]]
) -> list[list[Passage]]:
    """The three best passages for each question, from a knowledge folder with one file a passage."""
    with tempfile.TemporaryDirectory() as scratch:
        knowledge = write(passages, Path(scratch))
        retriever = LocalRetriever(embedder, workers, Path(scratch), ENGLISH, knowledge)
        await retriever.warm()
        return [await retriever.search(row["question"]) for row in questions]


def write(passages: list[dict[str, str]], scratch: Path) -> Path:
    """A knowledge folder in `scratch` with one file a passage."""
    knowledge = scratch / "knowledge"
    knowledge.mkdir()
    for passage in passages:
        (knowledge / f"{passage['id']}.md").write_text(f"# {passage['title']}\n\n{passage['text']}\n", "utf-8")
    return knowledge


async def first_sounds(
    args: Namespace, passages: list[dict[str, str]], questions: list[dict[str, str]]
) -> list[tuple[float, float]]:
    """From each question, as text, to the first sound of its grounded answer, ms: as the server sends it, and as the client hears
    it. Nothing is prepared ahead: after a spoken question the same work is done before the turn has ended."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        knowledge = write(passages, Path(scratch))
        async with serve(args, knowledge=knowledge) as server, dial(server.url, args.transport) as call:
            for row in questions:
                await call.quiet(SETTLE_S)
                asked = await call.say(row["question"])
                heard = await call.audible(asked)
                await call.interrupt()
                latency = await call.event("latency", asked)
                if heard is not None and latency is not None and call.events("sources", asked):
                    found.append((latency["spans"]["first_audio_sent"], (heard - asked) * 1000))
    return found


def question(row: dict[str, str], passages: list[Passage]) -> Question:
    return Question(row["question"], Intent("question", 1.0), passages)


def _hit(row: dict[str, str], places: list[Passage]) -> bool:
    return any(passage.id.split("#")[0] == row["passage_id"] for passage in places)


async def delays(embedder: Embedder, workers: Workers, cache: Path, questions: list[dict[str, str]]) -> list[float]:
    """Milliseconds for intent and retrieval of one utterance, at once, with the built-in knowledge."""
    intent, retriever = LocalIntent(embedder, workers, cache, ENGLISH), LocalRetriever(embedder, workers, cache, ENGLISH)
    await asyncio.gather(intent.warm(), retriever.warm())
    taken = []
    for row in questions[:LATENCY_QUESTIONS]:
        start = time.perf_counter()
        await asyncio.gather(intent.classify(row["question"]), retriever.search(row["question"]))
        taken.append((time.perf_counter() - start) * 1000)
    return taken
