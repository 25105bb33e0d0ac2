"""What is heard of everybody, and of nobody: for each kind of speech and each form of it the turns lost and the characters wrong,
beside stock Whisper (the same weights, 30 s, greedy) on the same clips; the words invented on noise, music and babble; and what
each look at a turn costs on one core. A turn is cut out as a conversation does it. `quick` is the first look, `hasty` a
conversation that waits for a closer one only where the first doubts itself, `patient` one with time for it. What was decoded is
kept in a folder, so that a change of what is believed is judged in seconds, and a change of how it is decoded in the time that
takes."""

import asyncio
import hashlib
import pickle
import re
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jiwer
import numpy as np

from app.settings import Settings
from app.turns import Turns
from app.wording import words_of
from services import embedded
from services.base import VAD_WINDOW, Services, Transcript
from services.stt import decoding, english, judge, local, network
from services.stt.local import QUICK, THOROUGH, Look, Reading, Whisper, WhisperStt, believed, read, split_at_quiet
from tests.bench.clips import RATE, Audio, clips, room_tone
from tests.bench.forms import FORMS
from tests.bench.report import judge as report
from tests.bench.report import percentile, share

SPOKEN = ("answer", "statement", "request", "utt", "command", "question", "open_question")
CONVERSED = ("answer", "statement", "request", "command", "question")  # of which none may be lost
SOUNDS = ("noise", "music")
READERS = ("quick", "hasty", "patient", "stock")
NOTED = 0.3  # characters wrong above which a turn is printed
WITHOUT_SPACES = ("phone", "digit", "spelled")  # types of answers whose words may be grouped in any way
LEAD_S, SILENCE_S = 0.5, 0.3  # of room tone, before and after
CROP_S, STEP_S = 4.0, 2.0  # of a noise
BABBLERS, BABBLES = 8, 20
KEPT = Path(tempfile.gettempdir()) / "parley-recognition"
SOURCES = tuple(Path(str(module.__file__)) for module in (decoding, english, judge, local, network))
_DIGITS = {
    word: str(at) for at, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
T = TypeVar("T")


class Turn(NamedTuple):
    kind: str
    id: str
    form: str
    whole: Audio
    cut: Audio | None  # what a conversation hands to the recogniser; None where it hears nobody
    text: str
    spelled: bool


def letters(text: str, spelled: bool) -> str:
    """The letters and digits of `text`: small numbers as digits, no spaces, which nobody hears."""
    words = re.findall(r"\w+", re.sub(r"['’]", "", text.lower()).replace("okay", "ok").replace("%", " percent "))
    return "".join("0" if spelled and word == "oh" else _DIGITS.get(word, word) for word in words)


def sounds(folder: Path) -> Iterator[tuple[str, str, Audio]]:
    """Crops of noise and music, and babble made of many readers: kind, name, sound."""
    for clip in clips(folder, *SOUNDS):
        for at in np.arange(0, max(STEP_S, clip.seconds - STEP_S), STEP_S):
            yield clip.kind, f"{clip.id}@{at:.0f}", clip.audio[round(at * RATE) : round((at + CROP_S) * RATE)]
    readers, dice = [clip.audio for clip in clips(folder, "utt")], np.random.default_rng(0)
    for n in range(BABBLES if len(readers) >= BABBLERS else 0):
        voices = [np.resize(readers[at], round(CROP_S * RATE)) for at in dice.choice(len(readers), BABBLERS, replace=False)]
        mixed = np.sum([voice / (np.abs(voice).max() + 1e-9) for voice in voices], axis=0)
        yield "babble", f"babble{n}", np.asarray(0.05 * mixed / np.sqrt(np.square(mixed).mean()), np.float32)


async def cut_out(services: Services, settings: Settings, sound: Audio) -> Audio | None:
    """The turn in `sound`, from before its onset to the pause after it; None where nobody is heard."""
    sound = np.concatenate([room_tone(sound, LEAD_S), sound, room_tone(sound, SILENCE_S)])
    turns, detector = Turns(settings), services.vad.detector()  # which ends no turn whose text it is not told
    for at in range(0, len(sound) - VAD_WINDOW + 1, VAD_WINDOW):
        turns.window(await detector.probability(sound[at : at + VAD_WINDOW]), "silent")
    if not turns.turn:
        return None
    first = max(0, round((turns.start_ms - settings.preroll_ms) * RATE / 1000))
    return sound[first : round((turns.last_voice_ms + settings.pause_ms) * RATE / 1000)]


async def turns_of(folder: Path, services: Services, settings: Settings) -> list[Turn]:
    """Everything in `folder`, and in the folder `conversation` in it, in all forms."""
    folders = [one for one in (folder, folder / "conversation") if (one / "manifest.jsonl").exists()]
    speech = [
        (clip.kind, clip.id, clip.audio, clip.text, clip.row.get("answer_type") in WITHOUT_SPACES)
        for one in folders
        for clip in clips(one, *SPOKEN)
    ]
    made = []
    for kind, name, sound, text, spelled in speech + [(*one, "", False) for one in sounds(folder)]:
        for form, change in FORMS.items():
            whole = change(sound)
            made.append(Turn(kind, name, form, whole, await cut_out(services, settings, whole), text, spelled))
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


@cache
def stock_model() -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(Settings().weights_dir / "whisper-base"), device="cpu", compute_type="int8", cpu_threads=1)


def stock(sound: Audio) -> tuple[str, float]:
    """Stock Whisper's text, and the ms of one core it took: greedy, 30 s, with its own filter for silence."""
    begun = time.process_time()
    segments, _ = stock_model().transcribe(sound, language="en", beam_size=1, temperature=0.0)
    text = " ".join(segment.text.strip() for segment in segments)
    return text, 1000 * (time.process_time() - begun)


def ours(model: Whisper, look: Look, prompt: str, sound: Audio) -> tuple[list[Reading], float]:
    """The readings of the parts of `sound`, and the ms of one core they took."""
    begun = time.process_time()
    parts = [read(model, part, look, prompt) for part in split_at_quiet(sound)]
    return parts, 1000 * (time.process_time() - begun)


class Row(NamedTuple):
    """A turn, and what each reader makes of it and takes for it."""

    turn: Turn
    texts: dict[str, str]
    ms: dict[str, float]


def look_at(model: Whisper, look: Look, name: str, prompt: str, turn: Turn) -> tuple[Transcript, float]:
    """What a look at the turn finds, and the ms of one core it took; nothing where a conversation hears nobody."""
    if turn.cut is None:
        return Transcript(""), 0.0
    parts, ms = kept(name, turn.cut, partial(ours, model, look, prompt, turn.cut), SOURCES)
    return believed(model.judge, look, parts), ms


def conversed(quick: Transcript, thorough: Transcript) -> str:
    """What a conversation takes for the text of a turn in whose silence there is time for a closer look."""
    return thorough.text if words_of(thorough.text) and words_of(thorough.text) != words_of(quick.text) else quick.text


def row_of(model: Whisper, prompt: str, turn: Turn) -> Row:
    quick, quick_ms = look_at(model, QUICK, "quick", prompt, turn)
    thorough, thorough_ms = look_at(model, THOROUGH, "thorough", prompt, turn)
    in_doubt = quick.doubtful or not quick.text
    text, ms = kept("stock", turn.whole, partial(stock, turn.whole), ())
    texts = {
        "quick": quick.text,
        "hasty": conversed(quick, thorough) if in_doubt else quick.text,
        "patient": conversed(quick, thorough),
        "stock": text,
    }
    return Row(turn, texts, {"quick": quick_ms, "thorough": thorough_ms, "stock": ms, "in_doubt": float(in_doubt)})


def figures_of(rows: list[Row]) -> Iterator[tuple[str, Any]]:
    """Of one kind of turn in one form, by reader. Words in noise count where a conversation hears somebody: a turn."""
    name = rows[0].turn.kind if rows[0].turn.form == "plain" else f"{rows[0].turn.kind}_{rows[0].turn.form}"
    for reader in READERS:
        empty = sum(not letters(row.texts[reader], False) for row in rows)
        if rows[0].turn.kind in (*SOUNDS, "babble"):
            yield f"{name}_{reader}_invented", f"{len(rows) - empty} of {len(rows)}"
            continue
        pairs = [(letters(row.turn.text, row.turn.spelled), letters(row.texts[reader], row.turn.spelled)) for row in rows]
        yield f"{name}_{reader}_lost", f"{empty} of {len(rows)}"
        yield f"{name}_{reader}_characters_wrong", jiwer.cer(*map(list, zip(*pairs, strict=True)))
    if rows[0].turn.form == "plain":
        yield f"{name}_in_doubt", share(bool(row.ms["in_doubt"]) for row in rows)


def judged(rows: list[Row]) -> dict[str, Any]:
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.turn.form, row.turn.kind].append(row)
    figures = dict(pair for group in groups.values() for pair in figures_of(group))
    said = [row for row in rows if row.turn.kind in CONVERSED and row.turn.form == "plain"]
    sounds = [row for row in rows if row.turn.kind in SOUNDS and row.turn.form == "plain"]
    figures["turns_lost"] = share(not letters(row.texts["hasty"], False) for row in said)
    figures["words_invented"] = share(bool(row.texts["hasty"]) for row in sounds)
    figures["words_invented_by_stock"] = share(bool(row.texts["stock"]) for row in sounds)
    figures |= {f"{name}_p50_ms": percentile((row.ms[name] for row in said), 50) for name in ("quick", "thorough", "stock")}
    targets = {"turns_lost": ("<=", 0.005), "words_invented": ("<=", 0.05)}
    for kind in {row.turn.kind for row in rows} & set(SPOKEN):
        targets[f"{kind}_patient_characters_wrong"] = ("<=", figures[f"{kind}_stock_characters_wrong"])
    return report("Recognition", figures, targets)


async def run(args: Namespace) -> dict[str, Any]:
    settings = Settings()
    services = embedded(settings.weights_dir, settings.weights_dir)
    await asyncio.gather(services.vad.warm(), services.stt.warm(), services.retrieval.warm())
    assert isinstance(services.stt, WhisperStt)
    model, prompt = services.stt.model(), services.retrieval.vocabulary()
    rows = [row_of(model, prompt, turn) for turn in await turns_of(args.data, services, settings)]
    for turn, texts, _ in rows:
        said, heard = letters(turn.text, turn.spelled), letters(texts["patient"], turn.spelled)
        if jiwer.cer(said, heard) > NOTED if said else heard:
            print(f"  {turn.kind} {turn.form} {turn.id}: {turn.text!r} heard as {texts['quick']!r}, {texts['patient']!r}")
    return judged(rows)
