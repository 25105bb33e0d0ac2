"""What it helps to tell the recogniser the words of the knowledge: word errors, names heard and words invented, without a prompt,
with the words of what is said, and with the words of something else."""

import asyncio
import itertools
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np

from app.settings import Settings
from documents.sections import Line, compose
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import SpeechToText
from services.embedding import Embedder
from services.retrieval.folder import VOCABULARY
from services.retrieval.vocabulary import vocabulary
from services.workers import Workers
from tests.bench.clips import RATE, Audio, clips
from tests.bench.knowledge import spoken
from tests.bench.report import judge, share
from tests.bench.wer import CROPS, plain

SPEECH = ("utt", "command", "question", "open_question")
TARGETS = {
    "names_heard_gain": (">=", 0.0),
    "spoken_names_heard_gain": (">=", 0.0),
    "wer_rise_with_other_words": ("<=", 0.01),
    "invented_rise": ("<=", 0.0),
}


async def run(args: Namespace) -> dict[str, Any]:
    weights = Settings().weights_dir
    services = embedded(weights, weights, ENGLISH)
    embedder = Embedder(weights, Workers())
    await asyncio.gather(services.stt.warm(), services.retrieval.warm(), embedder.warm())
    ours = services.retrieval.vocabulary()
    said = [(clip.text, clip.audio) for clip in clips(args.data, *SPEECH)]
    document = compose(
        [Line(0, f"{text[:1].upper()}{text[1:].rstrip('.?! ')}.") for text, _ in said], "recordings", ENGLISH.knowledge
    )
    theirs = ", ".join(vocabulary([document], ENGLISH.knowledge, embedder.pieces, VOCABULARY))
    asked = [(text, audio) for text, audio, expected in spoken() if expected]
    without, with_theirs, with_ours = [await hear(services.stt, said, words) for words in ("", theirs, ours)]
    asked_without, asked_with = [await hear(services.stt, asked, words) for words in ("", ours)]
    quiet = noises(args)
    invented, invented_with = [share(map(bool, await hear(services.stt, quiet, words))) for words in ("", ours)]
    names = {
        "names_heard": names_heard(said, without, theirs),
        "names_heard_with_words": names_heard(said, with_theirs, theirs),
        "spoken_names_heard": names_heard(asked, asked_without, ours),
        "spoken_names_heard_with_words": names_heard(asked, asked_with, ours),
    }
    errors = {
        "wer": word_errors(said, without),
        "wer_with_words": word_errors(said, with_theirs),
        "wer_with_other_words": word_errors(said, with_ours),
        "spoken_wer": word_errors(asked, asked_without),
        "spoken_wer_with_words": word_errors(asked, asked_with),
    }
    figures = {
        "recordings": len(said),
        "spoken_questions": len(asked),
        **names,
        "names_heard_gain": names["names_heard_with_words"] - names["names_heard"],
        "spoken_names_heard_gain": names["spoken_names_heard_with_words"] - names["spoken_names_heard"],
        **errors,
        "wer_rise_with_other_words": errors["wer_with_other_words"] - errors["wer"],
        "noises": len(quiet),
        "invented_rate": invented,
        "invented_rate_with_words": invented_with,
        "invented_rise": invented_with - invented,
    }
    return judge("Words told to the recogniser", figures, TARGETS)


async def hear(stt: SpeechToText, said: Sequence[tuple[str, Audio]], prompt: str) -> list[str]:
    return [plain((await stt.transcribe(audio, final=True, prompt=prompt)).text) for _, audio in said]


def names_heard(said: Sequence[tuple[str, Audio]], heard: Sequence[str], words: str) -> float:
    """Of the times that one of `words` is said, the share in which it is heard."""
    names = {plain(word) for word in words.split(", ")}
    told = [(name, found.split()) for (text, _), found in zip(said, heard, strict=True) for name in plain(text).split()]
    return share(name in found for name, found in told if name in names)


def word_errors(said: Sequence[tuple[str, Audio]], heard: Sequence[str]) -> float:
    return float(jiwer.wer([plain(text) for text, _ in said], list(heard)))


def noises(args: Namespace) -> list[tuple[str, Audio]]:
    """Silence, hiss, and pieces of noise and music, of 0.6 to 3.5 s: what a conversation hands to the recogniser by mistake."""
    random = np.random.default_rng(0)
    found = [("", np.zeros(2 * RATE, np.float32)), ("", random.normal(0, 0.02, 3 * RATE).astype(np.float32))]
    for clip, _ in itertools.product(clips(args.data, "noise", "music"), range(CROPS)):
        length = round(random.uniform(0.6, 3.5) * RATE)
        at = random.integers(0, max(1, len(clip.audio) - length))
        found.append(("", clip.audio[at : at + length]))
    return found
