"""What others make of the same recordings, to be set beside our figures.

- stock Whisper: `faster-whisper` with the same weights, int8, greedy, the full window of 30 s
- Pipecat's rule for the end of a turn: Smart Turn above one half after 200 ms of silence, else 3 s of it (pipecat 1.14,
  audio/turn/smart_turn/base_smart_turn.py), with the same voice detector

Neither has a clock: what they found is kept outside the tree, under the recording's content, and computed once."""

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app.settings import Settings
from services.base import VAD_WINDOW
from services.stt.whisper import FILES
from services.weights import fetch_all
from tests.bench.clips import RATE, Audio, Clip
from tests.bench.report import percentile, share
from tests.bench.virtual.call import Stage
from tests.bench.virtual.figures import PAUSE_S
from tests.bench.virtual.said import scored, wrong
from tests.unit import virtual_time

KEPT = "lab-stock.json"  # in the folder of the weights
SURE, SOON_MS, LATEST_MS = 0.5, 200.0, 3000.0  # Pipecat's rule
BEFORE = RATE // 2  # samples before the voice that go with a turn
VOICED = 0.5  # probability of the detector
WINDOW_MS = 1000 * VAD_WINDOW / RATE
DECIDES_MS = 40.0  # what one look of Smart Turn takes


@dataclass(frozen=True)
class Other:
    """`text` is stock Whisper's. `latency_ms` is what Pipecat's rule lets pass from the turn's end until it answers, `taken` for
    each pause whether it answers in it."""

    text: str
    latency_ms: float | None
    taken: tuple[bool, ...]


def name_of(clip: Clip) -> str:
    return f"{clip.id}-{zlib.crc32(clip.audio.tobytes()):08x}"


def kept(settings: Settings) -> dict[str, Other]:
    path = settings.weights_dir / KEPT
    rows: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {name: Other(row["text"], row["latency_ms"], tuple(row["taken"])) for name, row in rows.items()}


def keep(settings: Settings, new: dict[str, Other]) -> None:
    """Adds to what is kept."""
    found = kept(settings) | new
    path = settings.weights_dir / KEPT
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({name: asdict(other) for name, other in found.items()}), "utf-8")
    beside.replace(path)


def others(stage: Stage, clip: Clip) -> Other:
    latency, taken = virtual_time.run(pipecat(stage, clip))
    return Other(stock_text(stage.settings.weights_dir, clip.audio), latency, taken)


@cache
def _stock(weights: Path) -> Any:
    from faster_whisper import WhisperModel

    folder = fetch_all(weights, FILES)["whisper-base/model.bin"].parent
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def stock_text(weights: Path, audio: Audio) -> str:
    pieces, _ = _stock(weights).transcribe(audio, language="en", beam_size=1, temperature=0.0)
    return " ".join(piece.text.strip() for piece in pieces)


@cache
def _analyzer() -> Any:
    from loguru import logger
    from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

    logger.disable("pipecat")
    return LocalSmartTurnAnalyzerV3()


def _complete(audio: Audio) -> float:
    """Pipecat's own look at a turn so far, 0..1."""
    return float(_analyzer()._predict_endpoint(audio)["probability"])


async def pipecat(stage: Stage, clip: Clip) -> tuple[float | None, tuple[bool, ...]]:
    """Where the rule ends the turn, from silence to silence; after a wrong end it begins anew."""
    detector = stage.services.vad.detector()
    audio = np.concatenate([clip.audio, np.zeros(round((LATEST_MS / 1000 + 0.5) * RATE), np.float32)])
    ends: list[float] = []
    start = voiced = 0
    asked = speaking = False
    for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW):
        now = at + VAD_WINDOW
        if await detector.probability(audio[at:now]) >= VOICED:
            start = at if not speaking else start
            speaking, asked, voiced = True, False, now
            continue
        silence_ms = 1000 * (now - voiced) / RATE
        if not speaking or silence_ms < SOON_MS:
            continue
        complete = not asked and _complete(audio[max(0, start - BEFORE) : now]) > SURE
        asked = True
        if complete or silence_ms >= LATEST_MS:
            ends.append(now / RATE + DECIDES_MS / 1000)
            speaking = False
    pauses = [(a, b) for a, b in clip.pauses if b - a >= PAUSE_S - 1e-6]
    after = [1000 * (end - clip.speech_end) for end in ends if end > clip.speech_end - 0.1]
    return (after[0] if after else None), tuple(any(a < end < b for end in ends) for a, b in pauses)


def figures(found: Iterable[tuple[str, Clip, Other]]) -> dict[str, dict[str, Any]]:
    """For each kind: characters wrong and recordings without text by stock Whisper, and what Pipecat's rule takes."""
    by: dict[str, list[tuple[Clip, Other]]] = {}
    for kind, clip, other in found:
        by.setdefault(kind, []).append((clip, other))
    return {kind: _figures(kind, pairs) for kind, pairs in by.items()}


def _figures(kind: str, pairs: Sequence[tuple[Clip, Other]]) -> dict[str, Any]:
    errors = [wrong(clip.row, kind, clip.text, other.text) for clip, other in pairs if scored(clip.row, clip.text)]
    characters = sum(size for _, size in errors)
    taken = [verdict for _, other in pairs for verdict in other.taken]
    late = [other.latency_ms for clip, other in pairs if other.latency_ms is not None and clip.row.get("turn_end_sure", True)]
    return {
        "stock_clips": len(pairs),
        "stock_no_text": sum(not other.text for _, other in pairs),
        "stock_characters_wrong": sum(bad for bad, _ in errors) / characters if characters else float("nan"),
        "pipecat_latency_p50_ms": percentile(late, 50),
        "pipecat_latency_p95_ms": percentile(late, 95),
        "pipecat_pause_takeovers": sum(taken),
        "pipecat_pause_takeover_rate": share(taken),
    }
