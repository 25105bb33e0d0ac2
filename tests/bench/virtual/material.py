"""What is played in the laboratory: the recordings of a folder, and of its folder `conversation` where it has one, as conversations
of one speaker and one kind. After each recording comes its room tone, as noise of the same level.

Two kinds are made of the others: `telephone` (300 to 3400 Hz at 8 kHz, G.711) and `quiet` (peaks at -30 dBFS)."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from tests.bench.clips import QUIET, RATE, Audio, Clip, clips, loudness, scenarios
from tests.bench.duplex import Overlap, plan
from tests.bench.takes import PER_CALL, PROMPTS
from tests.bench.virtual.room import at_level, in_a_room, level_dbfs

SPOKEN = ("answer", "short_answer", "statement", "request", "question", "open_question", "command", "turn", "utt", "call")
MADE = ("telephone", "quiet")
SOUNDS = ("noise", "music", "babble", "background")
OVERLAP = "overlap"
# The user has said something, or a word, before they and bystanders talk over the agent.
BYSTANDER, BARELY_KNOWN = "bystander", "barely_known"
OVERLAPS = (OVERLAP, BYSTANDER, BARELY_KNOWN)
KINDS = (*SPOKEN, *MADE, *SOUNDS, *OVERLAPS)

TONE_S = 2.5
LOUDEST_TONE_DBFS = -40.0  # where a recording has no quiet moment
SHORT_WORDS, DICTATED = 3, frozenset({"phone", "address", "spelled"})
TELEPHONE, BAND_HZ, MU = 8000, (300, 3400), 255.0
QUIET_PEAK = 10 ** (-30 / 20)
CROPS, CROP_S = 3, (0.6, 3.5)  # of each noise: what a conversation hears of one is often a short burst
VOICES, BABBLES, BABBLE_S, BABBLE_DBFS = 6, 6, 6.0, -35.0
BACKGROUND_DBFS = -40.0  # 15 to 18 dB below somebody at the microphone
VARIED = ("answer", "short_answer", "statement", "request", "question", "command")  # what telephone and quiet are made of
VARIANTS = 8  # of each of those
FAST, FAST_VARIANTS, FAST_EVENTS, FAST_USERS = 6, 1, 6, 4  # recordings of a kind, overlaps and users, in the short run
EVENTS = 20
TALK_S = (1.5, 9.0)  # of a recording that a bystander says
WORD_S = 0.45
FAR_DB, NEAR_DB = (-12.0, -15.0, -18.0), (0.0, -3.0, -6.0)  # of somebody else and of the user, against the user's turns


@dataclass(frozen=True)
class Conversation:
    """Clips that one speaker says, or overlaps; `asked` is what the agent has asked before."""

    name: str
    kind: str
    items: Sequence[Clip] | Sequence[Overlap]
    asked: str = field(default="", compare=False)


def kind_of(clip: Clip) -> str:
    """An answer of a few words that dictates nothing is a short one."""
    if clip.kind == "bg_speech":
        return "background"
    words = len(clip.text.split())
    short = clip.kind == "answer" and clip.row.get("answer_type") not in DICTATED and 0 < words <= SHORT_WORDS
    return "short_answer" if short else clip.kind


def conversations(folder: Path, kinds: Sequence[str], fast: bool, events: int, asked: bool) -> list[Conversation]:
    """All of the folder, or a fixed part of it: `events` (FAST in the short run) recordings of each kind, of as many speakers as
    there are."""
    of = by_kind(folder)
    most = events or (FAST if fast else None)
    told = {kind: [toned(clip) for clip in few(of[kind], most)] for kind in SPOKEN if kind != "call" or not fast}
    varied = [toned(clip) for kind in VARIED for clip in few(of[kind], FAST_VARIANTS if fast else VARIANTS)]
    told["telephone"] = [edited(clip, telephone, "telephone") for clip in varied if "8 kHz" not in clip.row.get("style", "")]
    told["quiet"] = [edited(clip, quiet, "quiet") for clip in varied]
    talk = [made for kind in (*SPOKEN, *MADE) if kind in kinds for made in grouped(kind, told.get(kind, []), asked)]
    heard = sounds(of, fast)
    talk += [Conversation(f"{kind}-{clip.id}", kind, [clip]) for kind in SOUNDS if kind in kinds for clip in heard[kind]]
    if OVERLAP in kinds:
        overlaps = plan(everything(folder), scenarios(folder), events or (FAST_EVENTS if fast else EVENTS))
        if fast:
            overlaps = [o for kind in dict.fromkeys(o.kind for o in overlaps) for o in of_kind(overlaps, kind, FAST_EVENTS)]
        parts = [overlaps[at : at + PER_CALL] for at in range(0, len(overlaps), PER_CALL)]
        talk += [Conversation(f"{OVERLAP}-{at}", OVERLAP, part) for at, part in enumerate(parts)]
    for kind in (BYSTANDER,) if fast else (BYSTANDER, BARELY_KNOWN):
        if kind in kinds:
            talk += bystander_talk(of, kind, events or (FAST_USERS if fast else EVENTS))
    return talk


def bystander_talk(of: dict[str, list[Clip]], kind: str, users: int) -> list[Conversation]:
    """A conversation for each user, who talks over the agent twice, and so do two bystanders."""
    said: dict[str, list[Clip]] = defaultdict(list)
    for clip in (clip for kind in VARIED for clip in of[kind]):
        if TALK_S[0] <= clip.speech_end - clip.speech_start <= TALK_S[1] and not clip.row.get("built"):
            said[speaker_of(clip)].append(clip)
    names = sorted(said, key=lambda name: zlib.crc32(name.encode()))
    talkers = [name for name in names if len(said[name]) > 1]
    found = []
    for n, name in enumerate(talkers[:users]):
        first, *mine = said[name]
        chance, others = Random(name), [other for other in names if other != name]
        before = first_word(first) if kind == BARELY_KNOWN else first
        items: list[Overlap] = []
        for at in range(2):
            other = said[others[(2 * n + at) % len(others)]][0]
            far = replace(other, id=f"{other.id}-far", edited=in_a_room(at_level(other.audio, level_dbfs(first.audio))))
            pair = [
                Overlap("non_directed", "", far, 0, FAR_DB[(n + at) % 3]),
                Overlap("interruption", "", mine[at % len(mine)], 0, NEAR_DB[n % 3]),
            ]
            items += pair if (n + at) % 2 else reversed(pair)
        timed = [replace(item, context=chance.choice(PROMPTS), after=chance.uniform(0.8, 2.5)) for item in items]
        found.append(Conversation(f"{kind}-{name}", kind, [replace(timed[0], before=before), *timed[1:]]))
    return found


def first_word(clip: Clip) -> Clip:
    """The first WORD_S of what is said, as a turn by itself."""
    start = round(clip.speech_start * RATE)
    word = clip.audio[: start + round(WORD_S * RATE)]
    return toned(replace(clip, id=f"{clip.id}-word", speech_end=clip.speech_start + WORD_S, pauses=(), edited=word))


def everything(folder: Path) -> list[Clip]:
    places = [place for place in (folder, folder / "conversation") if (place / "manifest.jsonl").exists()]
    return [clip for place in places for clip in clips(place)]


def by_kind(folder: Path) -> dict[str, list[Clip]]:
    """The clips of the folder, by the kinds that are told apart here."""
    of: dict[str, list[Clip]] = defaultdict(list)
    for clip in everything(folder):
        of[kind_of(clip)].append(clip)
    return of


def of_kind(overlaps: Iterable[Overlap], kind: str, most: int) -> list[Overlap]:
    return list(islice((overlap for overlap in overlaps if overlap.kind == kind), most))


def few(found: Sequence[Clip], most: int | None) -> list[Clip]:
    """`most` of the clips, always the same: one of each speaker first, then a second of each. All of them with None."""
    if most is None:
        return list(found)
    shuffled = sorted(found, key=lambda clip: zlib.crc32(clip.id.encode()))
    seen: dict[str, int] = defaultdict(int)
    ranked = []
    for clip in shuffled:
        seen[speaker_of(clip)] += 1
        ranked.append((seen[speaker_of(clip)], clip))
    return [clip for _, clip in sorted(ranked, key=lambda pair: pair[0])][:most]


def speaker_of(clip: Clip) -> str:
    return str(clip.row.get("speaker") or clip.id)


def grouped(kind: str, said: Sequence[Clip], asked: bool) -> list[Conversation]:
    """A conversation for each speaker; with `asked`, one for each recording that says what was asked before it."""
    by: dict[str, list[Clip]] = defaultdict(list)
    for clip in said:
        alone = kind == "call" or (asked and clip.row.get("asked"))
        by[clip.id if alone else speaker_of(clip)].append(clip)
    found = []
    for who, mine in by.items():
        for at in range(0, len(mine), PER_CALL):
            part = mine[at : at + PER_CALL]
            found.append(Conversation(f"{kind}-{who}-{at}", kind, part, (part[0].row.get("asked") or "") if asked else ""))
    return found


def dice(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def edited(clip: Clip, change: Callable[[Audio], Audio], kind: str) -> Clip:
    return replace(clip, id=f"{clip.id}-{kind}", edited=change(clip.audio))


def toned(clip: Clip) -> Clip:
    """The clip, and TONE_S of room tone: white noise at the level of its floor."""
    floor = clip.row.get("floor_dbfs")
    if floor is None:
        floor = 10 * np.log10(max(float(loudness(clip.audio).min()) / QUIET, 1e-10))
    level = 10 ** (min(float(floor), LOUDEST_TONE_DBFS) / 20)
    tone = dice(clip.id).normal(0, level, round(TONE_S * RATE)).astype(np.float32)
    return replace(clip, edited=np.concatenate([clip.audio, tone]))


def telephone(audio: Audio) -> Audio:
    """As it comes out of a telephone line."""
    narrow = sosfilt(butter(4, BAND_HZ, "bandpass", fs=TELEPHONE, output="sos"), soxr.resample(audio, RATE, TELEPHONE))
    pressed = np.round(127 * np.sign(narrow) * np.log1p(MU * np.abs(np.clip(narrow, -1, 1))) / np.log1p(MU)) / 127
    wide = np.sign(pressed) * np.expm1(np.abs(pressed) * np.log1p(MU)) / MU
    line = np.asarray(soxr.resample(wide.astype(np.float32), TELEPHONE, RATE), np.float32)
    return np.resize(np.pad(line, (0, max(0, len(audio) - len(line)))), len(audio))


def quiet(audio: Audio) -> Audio:
    return (audio * (QUIET_PEAK / max(float(np.abs(audio).max()), 1e-6))).astype(np.float32)


def sounds(of: dict[str, list[Clip]], fast: bool) -> dict[str, list[Clip]]:
    """Noise and music, whole and in bursts; babble of VOICES at once; single voices far away."""
    found: dict[str, list[Clip]] = {}
    for kind in ("noise", "music"):
        whole = few(of[kind], FAST if fast else None)
        found[kind] = whole + [crop(clip, at) for clip in whole for at in range(1 if fast else CROPS)]
    voices = sorted(of["utt"] + of["statement"], key=lambda clip: clip.id)
    count = (FAST if fast else BABBLES) if len(voices) >= VOICES else 0
    found["babble"] = [babble(voices, at) for at in range(count)]
    far = few(of["background"], FAST if fast else None)
    found["background"] = [edited(clip, lambda audio: at_level(audio, BACKGROUND_DBFS), "far") for clip in far]
    return found


def crop(clip: Clip, at: int) -> Clip:
    chance = dice(f"{clip.id}-{at}")
    length = min(round(chance.uniform(*CROP_S) * RATE), len(clip.audio))
    start = int(chance.integers(0, max(1, len(clip.audio) - length)))
    part = clip.audio[start : start + length]
    return replace(clip, id=f"{clip.id}-part{at}", speech_start=0.0, speech_end=length / RATE, edited=part)


def babble(voices: Sequence[Clip], at: int) -> Clip:
    """VOICES of them at once, each from a place of its own."""
    size, mixed = round(BABBLE_S * RATE), np.zeros(round(BABBLE_S * RATE), np.float32)
    chance = Random(at)
    for clip in chance.sample(list(voices), VOICES):
        mixed += np.roll(np.resize(at_level(clip.audio, BABBLE_DBFS), size), chance.randrange(size))
    return Clip(f"babble-{at}", "babble", Path(), 0.0, BABBLE_S, edited=at_level(mixed, BABBLE_DBFS))
