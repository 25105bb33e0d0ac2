"""Spoken questions about the built-in knowledge: each is spoken by two synthetic voices, recognised, classified and looked up.

With `--data`, its recorded questions and orders are asked too (the built-in knowledge answers none of them), and the classifier is
trained and scored on its text/intents_clinc.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.base import Passage, Question, Services
from tests.bench.clips import RATE, Audio, clips, load
from tests.bench.intents import score_intents
from tests.bench.report import judge, share

QUESTIONS = Path(__file__).with_name("questions.jsonl")
VOICES = ("slt", "rms")  # of flite, a woman's and a man's: neither is the agent's own
UNANSWERABLE = ("question", "command")  # kinds of recordings
TARGETS = {
    "hit_at_1": (">=", 0.80),
    "hit_at_3": (">=", 0.92),
    "refusal_rate_unanswerable": (">=", 0.90),
    "refusal_rate_answerable": ("<=", 0.05),
}
INTENT_TARGETS = {"intent_accuracy": (">=", 0.90), "out_of_scope_recall": (">=", 0.80)}


@dataclass(frozen=True)
class Asked:
    """One question as it was heard: `expected` are the ids of the passages that answer it, none where none does."""

    said: str
    heard: str
    intent: str
    expected: frozenset[str]
    found: list[Passage]
    answered: bool

    def hit(self, places: int) -> bool:
        return any(passage.id in self.expected for passage in self.found[:places])


async def run(args: Namespace) -> dict[str, Any]:
    from services import embedded

    settings = Settings()
    services = embedded(settings.weights_dir, settings.weights_dir, ENGLISH)
    await asyncio.gather(services.stt.warm(), services.intent.warm(), services.retrieval.warm())
    asked = [await ask(services, *question) for question in spoken() + recorded(args.data)]
    known = [one for one in asked if one.expected]
    for one in asked:
        if (one.expected and not (one.hit(1) and one.answered)) or (not one.expected and one.answered):
            places = ", ".join(f"{passage.id} {passage.score:.2f}" for passage in one.found)
            print(f"{'answered' if one.answered else 'refused'}  {one.heard!r} (said {one.said!r}, {one.intent}): {places}")
    figures: dict[str, Any] = {
        "questions": len(known),
        "off_topic": len(asked) - len(known),
        "hit_at_1": share(one.hit(1) for one in known),
        "hit_at_3": share(one.hit(3) for one in known),
        "refusal_rate_unanswerable": share(not one.answered for one in asked if not one.expected),
        "refusal_rate_answerable": share(not one.answered for one in known),
    }
    intents = args.data / "text" / "intents_clinc"
    if intents.is_dir():
        return judge("knowledge", figures | await score_intents(intents), TARGETS | INTENT_TARGETS)
    return judge("knowledge", figures, TARGETS)


async def ask(services: Services, said: str, audio: Audio, expected: frozenset[str]) -> Asked:
    """One question the way a conversation asks it."""
    heard = (await services.stt.transcribe(audio, final=True, prompt=services.retrieval.vocabulary())).text
    intent, found = await asyncio.gather(services.intent.classify(heard), services.retrieval.search(heard))
    answer = [piece async for piece in services.llm.answer(Question(heard, intent, found))]
    return Asked(said, heard, intent.name, expected, found, bool(answer))


def spoken() -> list[tuple[str, Audio, frozenset[str]]]:
    """QUESTIONS in each voice."""
    flite = shutil.which("flite")
    if flite is None:
        raise SystemExit("flite is missing: install the package `flite` (Debian, Ubuntu) or put it on the PATH")
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    questions = []
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(rows):
            for voice in VOICES:
                file = Path(folder) / f"{number}-{voice}.wav"
                subprocess.run([flite, "-voice", voice, "-t", row["text"], "-o", str(file)], check=True)
                # A conversation hears a little of what was before and after.
                questions.append((row["text"], np.pad(load(file), RATE // 3), frozenset[str](row["passages"])))
    return questions


def recorded(data: Path) -> list[tuple[str, Audio, frozenset[str]]]:
    """Recordings that the built-in knowledge does not answer."""
    return [(clip.text, clip.audio, frozenset[str]()) for clip in clips(data, *UNANSWERABLE)]
