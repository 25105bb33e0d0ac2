"""What is heard of everybody, and of nobody: for each kind of speech and each form of it the turns lost and the characters wrong,
beside stock Whisper (the same weights, 30 s, greedy) on the same clips; the words invented on noise, music and babble; and what
each look at a turn costs on one core. A turn is cut out as a conversation does it. `quick` is the first look, `hasty` a
conversation that waits for a closer one only where the first doubts itself, `patient` one with time for it. What was decoded is
kept in a folder, so that a change of what is believed is judged in seconds, and a change of how it is decoded in the time that
takes."""

import asyncio
import hashlib
import math
import pickle
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from app.settings import Settings
from app.turn_taking.detector import TurnDetector
from app.turn_taking.recognition import better_look
from languages.en import LANGUAGE as ENGLISH
from languages.wording import words_of
from services import embedded
from services.base import VAD_WINDOW, Services, Transcript
from services.stt import beam, decoding, network
from services.stt import speech_judge as judge
from services.stt import vocabulary_subset as english
from services.stt import whisper as local
from services.stt.whisper import QUICK, THOROUGH, Look, ReadSpeech, Whisper, WhisperStt, believed, read, split_at_quiet
from tests.bench.clips import RATE, Audio, Clip, clips, room_tone
from tests.bench.report import judge as report
from tests.bench.report import percentile, share
from tests.bench.virtual.material import VOICES, babble, few, kind_of, quiet, telephone
from tests.bench.virtual.said import scored, wrong
from tests.bench.virtual.stock import stock_text

SPOKEN = ("answer", "statement", "request", "utt", "command", "question", "open_question")
CONVERSED = ("answer", "short_answer", "statement", "request", "command", "question")  # of which none may be lost
SOUNDS = ("noise", "music")
FORMS: dict[str, Callable[[Audio], Audio]] = {"plain": lambda audio: audio, "telephone": telephone, "quiet": quiet}
READERS = ("quick", "hasty", "patient", "stock")
NOTED = 0.3  # characters wrong above which a turn is printed
LEAD_S, SILENCE_S = 0.5, 0.3  # of room tone, before and after
CROP_S, STEP_S = 4.0, 2.0  # of a noise
BABBLES = 12
KEPT = Path(tempfile.gettempdir()) / "parley-recognition"
SOURCES = tuple(Path(str(module.__file__)) for module in (beam, decoding, english, judge, local, network))
T = TypeVar("T")


class Turn(NamedTuple):
    clip: Clip
    form: str
    whole: Audio
    cut: Audio | None  # what a conversation hands to the recogniser; None where it hears nobody

    @property
    def kind(self) -> str:
        return kind_of(self.clip)


def sounds(folder: Path) -> Iterator[Clip]:
    """Crops of noise and music, and babble."""
    for clip in clips(folder, *SOUNDS):
        for at in np.arange(0, max(STEP_S, clip.seconds - STEP_S), STEP_S):
            part = clip.audio[round(at * RATE) : round((at + CROP_S) * RATE)]
            yield replace(clip, id=f"{clip.id}@{at:.0f}", edited=part)
    readers = clips(folder, "utt")
    yield from (babble(readers, at) for at in range(BABBLES if len(readers) >= VOICES else 0))


async def cut_out(services: Services, settings: Settings, sound: Audio) -> Audio | None:
    """The turn in `sound`, from before its onset to the pause after it; None where nobody is heard."""
    sound = np.concatenate([room_tone(sound, LEAD_S), sound, room_tone(sound, SILENCE_S)])
    turns, detector = TurnDetector(settings, ENGLISH), services.vad.detector()  # which ends no turn whose text it is not told
    for at in range(0, len(sound) - VAD_WINDOW + 1, VAD_WINDOW):
        turns.window(await detector.probability(sound[at : at + VAD_WINDOW]), "silent")
    if not turns.turn.number:
        return None
    first = max(0, round((turns.turn.start_ms - settings.preroll_ms) * RATE / 1000))
    return sound[first : round((turns.activity.last_voice_ms + settings.pause_ms) * RATE / 1000)]


async def turns_of(folder: Path, services: Services, settings: Settings, most: int) -> list[Turn]:
    """What is in `folder`, and in the folder `conversation` in it, in all forms; at most so many of each kind, or with 0 all."""
    folders = [one for one in (folder, folder / "conversation") if (one / "manifest.jsonl").exists()]
    kinds: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in [*(clip for one in folders for clip in clips(one, *SPOKEN)), *sounds(folder)]:
        kinds[kind_of(clip)].append(clip)
    made = []
    for clip in (clip for of in kinds.values() for clip in (few(of, most) if most else of)):
        for form, change in FORMS.items():
            whole = change(clip.audio)
            made.append(Turn(clip, form, whole, await cut_out(services, settings, whole)))
    return made


def kept(name: str, sound: Audio, make: Callable[[], T], sources: tuple[Path, ...]) -> T:
    """What `make` makes of `sound`, made again when one of the files `sources` has changed."""
    digest = hashlib.sha256(b"".join([sound.tobytes(), *(source.read_bytes() for source in sources)])).hexdigest()[:24]
    path = KEPT / f"{name}-{digest}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())  # type: ignore[no-any-return]
    made = make()
    KEPT.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made))
    return made


def stock(weights: Path, sound: Audio) -> tuple[str, float]:
    """Stock Whisper's text, and the ms of one core it took."""
    begun = time.process_time()
    return stock_text(weights, sound), 1000 * (time.process_time() - begun)


def ours(model: Whisper, look: Look, prompt: str, sound: Audio) -> tuple[list[ReadSpeech], float]:
    """The readings of the parts of `sound`, and the ms of one core they took."""
    begun = time.process_time()
    parts = [read(model, part, look, prompt) for part in split_at_quiet(sound)]
    return parts, 1000 * (time.process_time() - begun)


class Row(NamedTuple):
    """A turn, and what each reader makes of it and takes for it."""

    turn: Turn
    texts: dict[str, str]
    ms: dict[str, float]
    in_doubt: bool  # the first look waits for a closer one


def look_at(model: Whisper, look: Look, name: str, prompt: str, turn: Turn) -> tuple[Transcript, float]:
    """What a look at the turn finds, and the ms of one core it took; nothing where a conversation hears nobody."""
    if turn.cut is None:
        return Transcript(""), 0.0
    parts, ms = kept(name, turn.cut, partial(ours, model, look, prompt, turn.cut), SOURCES)
    return believed(model.judge, look, parts), ms


def row_of(model: Whisper, weights: Path, prompt: str, turn: Turn) -> Row:
    quick, quick_ms = look_at(model, QUICK, "quick", prompt, turn)
    thorough, thorough_ms = look_at(model, THOROUGH, "thorough", prompt, turn)
    in_doubt = quick.doubtful or not quick.text
    text, ms = kept("stock", turn.whole, partial(stock, weights, turn.whole), ())
    texts = {
        "quick": quick.text,
        "hasty": better_look(quick, thorough).text if in_doubt else quick.text,
        "patient": better_look(quick, thorough).text,
        "stock": text,
    }
    return Row(turn, texts, {"quick": quick_ms, "thorough": thorough_ms, "stock": ms}, in_doubt)


def lost(row: Row, reader: str) -> bool:
    return not words_of(row.texts[reader])


def characters_wrong(rows: list[Row], reader: str) -> float:
    """NaN where nobody wrote down what was said."""
    known = [row for row in rows if scored(row.turn.clip.row, row.turn.clip.text)]
    counts = [wrong(row.turn.clip.row, row.turn.kind, row.turn.clip.text, row.texts[reader]) for row in known]
    return sum(bad for bad, _ in counts) / max(1, sum(of for _, of in counts)) if known else math.nan


def figures_of(rows: list[Row]) -> Iterator[tuple[str, Any]]:
    """Of one kind of turn in one form, by reader. Where a conversation hears nobody there is no turn, and no word is invented."""
    kind, form = rows[0].turn.kind, rows[0].turn.form
    name = kind if form == "plain" else f"{kind}_{form}"
    for reader in READERS:
        empty = sum(lost(row, reader) for row in rows)
        if kind in (*SOUNDS, "babble"):
            yield f"{name}_{reader}_invented", f"{len(rows) - empty} of {len(rows)}"
        else:
            yield f"{name}_{reader}_lost", f"{empty} of {len(rows)}"
            yield f"{name}_{reader}_characters_wrong", characters_wrong(rows, reader)
    yield f"{name}_in_doubt", share(row.in_doubt for row in rows)


def judged(rows: list[Row]) -> dict[str, Any]:
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.turn.form, row.turn.kind].append(row)
    figures = dict(pair for group in groups.values() for pair in figures_of(group))
    plain = [row for row in rows if row.turn.form == "plain"]
    said = [row for row in plain if row.turn.kind in CONVERSED]
    sounds = [row for row in plain if row.turn.kind in SOUNDS]
    figures["turns_lost"] = share(lost(row, "hasty") for row in said)
    figures["words_invented"] = share(not lost(row, "hasty") for row in sounds)
    figures["words_invented_by_stock"] = share(not lost(row, "stock") for row in sounds)
    figures |= {f"{name}_p50_ms": percentile((row.ms[name] for row in said), 50) for name in ("quick", "thorough", "stock")}
    targets = {"turns_lost": ("<=", 0.005), "words_invented": ("<=", 0.05)}
    for kind in {row.turn.kind for row in said}:
        if not math.isnan(figures[f"{kind}_stock_characters_wrong"]):
            targets[f"{kind}_patient_characters_wrong"] = ("<=", figures[f"{kind}_stock_characters_wrong"])
    return report("Recognition", figures, targets)


async def run(args: Namespace) -> dict[str, Any]:
    settings = Settings()
    services = embedded(settings.weights_dir, settings.weights_dir, ENGLISH)
    await asyncio.gather(services.vad.warm(), services.stt.warm(), services.retrieval.warm())
    assert isinstance(services.stt, WhisperStt)
    model, prompt = services.stt.model(), services.retrieval.vocabulary()
    turns = await turns_of(args.data, services, settings, args.events)
    rows = [row_of(model, settings.weights_dir, prompt, turn) for turn in turns]
    for row in rows:
        clip = row.turn.clip
        bad, of = wrong(clip.row, row.turn.kind, clip.text, row.texts["patient"])
        if bad > NOTED * of:
            heard = f"{row.texts['quick']!r}, {row.texts['patient']!r}"
            print(f"  {row.turn.kind} {row.turn.form} {clip.id}: {clip.text!r} heard as {heard}")
    return judged(rows)
