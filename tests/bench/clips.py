"""Recordings to measure with: a folder with `manifest.jsonl` (clips) and `scenarios.jsonl` (what to say over the agent)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16_000  # Hz: what clips are kept at
QUIET = round(0.06 * RATE)  # samples of room tone
LEAST = 30  # events of a kind, for a share to mean something
HERE = Path(__file__).resolve().parent.parent / "data"
Audio = NDArray[np.float32]


@cache
def load(path: Path) -> Audio:
    """Samples of a WAV or FLAC file, mono at RATE, -1..1."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float32)


@dataclass(frozen=True)
class Clip:
    """One recording. Times are seconds from its first sample; `speech_end` is the zero of response latency."""

    id: str
    kind: str
    path: Path
    speech_start: float
    speech_end: float
    text: str = ""
    pauses: tuple[tuple[float, float], ...] = ()
    row: dict[str, Any] = field(default_factory=dict, compare=False)
    edited: Audio | None = field(default=None, compare=False)  # in place of the file

    @property
    def audio(self) -> Audio:
        return load(self.path) if self.edited is None else self.edited

    @property
    def seconds(self) -> float:
        return len(self.audio) / RATE


@dataclass(frozen=True)
class Scenario:
    """Say `context`; `after` s into the answer play `overlap` at `gain_db`. `expect`: stop_and_answer | continue."""

    id: str
    type: str
    context: Clip
    overlap: Clip
    after: float
    gain_db: float
    expect: str


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()] if path.exists() else []


def _clip(folder: Path, row: dict[str, Any]) -> Clip:
    length = row.get("seconds", 0.0)
    return Clip(
        row["id"],
        row["kind"],
        folder / row["file"],
        row.get("speech_start") or 0.0,
        row.get("speech_end") or length,
        row.get("text") or "",
        tuple((a, b) for a, b in row.get("mid_turn_pauses") or ()),
        row,
    )


def clips(folder: Path, *kinds: str) -> list[Clip]:
    """The clips of these kinds, in the manifest's order; all of them without a kind. FileNotFoundError without a manifest."""
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        raise FileNotFoundError(f"no manifest.jsonl in {folder}")
    return [_clip(folder, row) for row in _rows(manifest) if not kinds or row["kind"] in kinds]


def loudness(audio: Audio) -> NDArray[np.float64]:
    """Power of each stretch of QUIET samples: what is least in it begins where `audio` is quietest."""
    return np.convolve(np.square(audio), np.ones(QUIET), "valid")


def room_tone(audio: Audio, seconds: float) -> Audio:
    """The quietest stretch of `audio`, over and over."""
    quietest = int(np.argmin(loudness(audio)))
    return np.resize(audio[quietest : quietest + QUIET], round(seconds * RATE))


PLACES = 4  # of a pause, the quietest of the middle part of a sentence
MIDDLE = (0.25, 0.78)
APART_S = 0.35


def quietest(audio: Audio, start: float, end: float) -> Iterator[int]:
    """The samples at which a pause may be put into the speech from `start` to `end` s."""
    first, last = (round((start + part * (end - start)) * RATE) for part in MIDDLE)
    power = loudness(audio)[first:last]
    for _ in range(PLACES):
        at = int(np.argmin(power))
        if not np.isfinite(power[at]):
            return
        yield first + at + QUIET // 2
        power[max(0, at - round(APART_S * RATE)) : at + round(APART_S * RATE)] = np.inf


def with_pause(clip: Clip, seconds: float) -> Clip:
    """The clip as one turn with a thinking pause: room tone put in at the quietest 60 ms of the middle third of its speech."""
    audio = clip.audio
    third = (clip.speech_end - clip.speech_start) / 3
    first = round((clip.speech_start + third) * RATE)
    cut = first + int(np.argmin(loudness(audio)[first : first + round(third * RATE)])) + QUIET // 2
    tone = room_tone(audio, seconds)
    at = cut / RATE
    return replace(
        clip,
        id=f"{clip.id}-p{1000 * seconds:.0f}",
        kind="turn",
        speech_end=clip.speech_end + seconds,
        pauses=((at, at + seconds),),
        edited=np.concatenate([audio[:cut], tone, audio[cut:]]),
    )


def paused_turns(folder: Path, events: int) -> list[Clip]:
    """The folder's turns with pauses, and commands with one put in: `events` pauses of 0.4 to 1.2 s, LEAST with 0."""
    found = [clip for clip in clips(folder, "turn") if clip.pauses]
    missing = (events or LEAST) - sum(0.4 <= round(b - a, 3) <= 1.2 for clip in found for a, b in clip.pauses)
    lengths = cycle((0.4, 0.6, 0.8, 1.0, 1.2))
    made = (with_pause(clip, next(lengths)) for clip in cycle(clips(folder, "command")))
    return (found + list(islice(made, max(0, missing))))[: events or None]


def sentences(folder: Path, events: int) -> list[Clip]:
    """Complete sentences that want an answer, shuffled: `events` of them, or with 0 every one and LEAST at least."""
    found = clips(folder, "question", "command", "open_question")
    Random(3).shuffle(found)
    return list(islice(cycle(found), events or max(LEAST, len(found))))


def scenarios(folder: Path) -> list[Scenario]:
    """The overlap scenarios, with their clips found by file name."""
    known = {str(clip.path.relative_to(folder)): clip for clip in clips(folder)}
    return [
        Scenario(
            row["id"],
            row["type"],
            known[row["context"]],
            known[row["overlap"]],
            row["onset_after_agent_start_s"],
            row["overlap_gain_db"],
            row["expect"],
        )
        for row in _rows(folder / "scenarios.jsonl")
    ]
