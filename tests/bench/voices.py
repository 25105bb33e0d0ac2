"""Whose voice is it? Of recorded speakers, each known by some of their recordings: how well do the level and the voice of a burst
over the agent tell them from somebody else in the room?

Both errors are printed for each length of voice and each way it may sound. Every figure is of speakers who are in no weights used
for them. With `--fit` makes `services/speaker/centre.json` and prints the weights of `app/turn_taking/bystander.py`. Clips whose
licence does not allow more than measuring are judged, and left out of both."""

import json
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt
from sklearn.linear_model import LogisticRegression

from app.settings import Settings
from app.turn_taking import bystander
from app.turn_taking.bystander import LogOdds
from app.turn_taking.detector import DUCK_RATIO, RELEASE_RATIO
from app.turn_taking.levels import WINDOW_MS, level
from app.turn_taking.speaker_lock import KNOWN_S, speech_of
from services.base import VAD_WINDOW
from services.speaker.ge2e import CENTRE, VoiceEncoder
from services.speaker.ge2e import LEAST_S as SHORTEST_S
from services.vad.silero import SileroVad
from services.workers import Workers
from tests.bench.clips import RATE, Audio, Clip
from tests.bench.report import judge
from tests.bench.virtual.material import everything, telephone
from tests.bench.virtual.room import in_a_room

SPOKEN = ("answer", "statement", "request", "utt", "command", "question", "open_question", "turn", "bg_speech")
UNLICENSED = ("no licence", "NC")  # in the name of a licence
CLIPS, BURSTS = 3, 2  # of a speaker, and of a clip
VOICED_MS = (320, 448, 704, 1024)
LEAD_S = 0.6  # of quiet before a burst, which voice detection hears first
OWN_DB, FAR_DB = (0.0, -3.0, -6.0), (-9.0, -12.0, -15.0, -18.0)  # of a burst, against the turns of the user
FAR_RAW_DB = (-15.0, -18.0)  # of somebody else's recording as it is
LEAST_MS = 300  # of voice in a recording
FOLDS = 8
LOST = (0.01, 0.02, 0.05, 0.10)


class Burst(NamedTuple):
    """The beginning of a stretch of speech: `level_db` and `vector` after each of VOICED_MS of voice, as far as it lasts."""

    levels: list[float]
    vectors: list[NDArray[np.float32]]


class Recording(NamedTuple):
    """A clip of a speaker: the level and the vector of all of it, and its bursts as each of FORMS."""

    level_db: float
    seconds: float
    vector: NDArray[np.float32]
    bursts: dict[str, list[Burst]]
    fitted: bool  # the licence allows it


def raised(audio: Audio) -> Audio:
    """As if the voice were raised: 7 % higher, 6 dB louder, and twice that above 1 kHz."""
    higher = soxr.resample(audio, RATE * 1.07, RATE)
    bright = higher + sosfilt(butter(1, 1000, "highpass", fs=RATE, output="sos"), higher)
    return np.asarray(np.clip(2 * bright, -1, 1), np.float32)


def same(audio: Audio) -> Audio:
    return audio


Known = dict[str, list[Recording]]  # speakers
FORMS: dict[str, Callable[[Audio], Audio]] = {"plain": same, "telephone": telephone, "room": in_a_room, "raised": raised}
WAYS = {  # the user's form and the other's
    "plain": ("plain", "plain"),
    "telephone": ("telephone", "telephone"),
    "other in a room": ("plain", "room"),
    "raised": ("raised", "plain"),
}


async def voiced(vad: SileroVad, audio: Audio) -> NDArray[np.bool_]:
    """For each window whether it is voice over the agent."""
    detector, threshold, found, on = vad.detector(), Settings().vad_threshold, [], False
    for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW):
        on = await detector.probability(audio[at : at + VAD_WINDOW]) >= threshold * (RELEASE_RATIO if on else DUCK_RATIO)
        found.append(on)
    return np.array(found, bool)


def levels_of(audio: Audio) -> NDArray[np.float64]:
    """dB re one step of int16, of each window."""
    windows = audio[: len(audio) // VAD_WINDOW * VAD_WINDOW].reshape(-1, VAD_WINDOW)
    return np.array([level((window * 32767).astype(np.int16)) for window in windows])


def mean_db(levels: NDArray[np.float64]) -> float:
    """Of the mean power."""
    return 10 * float(np.log10(np.mean(10 ** (levels / 10))))


async def burst(vad: SileroVad, encoder: VoiceEncoder, audio: Audio) -> Burst:
    """`audio` begins LEAD_S before it."""
    voice = await voiced(vad, audio)
    levels = levels_of(audio)[: len(voice)]
    first, made = int(np.argmax(voice)), Burst([], [])
    for ms in VOICED_MS:
        ends = np.flatnonzero(np.cumsum(voice) == ms / WINDOW_MS)
        if not len(ends):
            break
        mine = slice(first, int(ends[0]) + 1)
        speech = speech_of(audio[first * VAD_WINDOW : (int(ends[0]) + 1) * VAD_WINDOW])
        if len(speech) < SHORTEST_S * RATE:
            break
        made.levels.append(mean_db(levels[mine][voice[mine]]))
        made.vectors.append(await encoder.uncentred(speech))
    return made


def stretches(clip: Clip) -> Iterator[Audio]:
    for start, end in (clip.row.get("speech_segments") or [(clip.speech_start, clip.speech_end)])[:BURSTS]:
        if end - start >= 0.4:
            first = round((start - LEAD_S) * RATE)
            yield np.pad(clip.audio[max(0, first) : round((end + 1.0) * RATE)], (max(0, -first), 0))


async def recording(vad: SileroVad, encoder: VoiceEncoder, clip: Clip) -> Recording | None:
    voice = await voiced(vad, clip.audio)
    speech = speech_of(clip.audio)
    if voice.sum() * WINDOW_MS < LEAST_MS:
        return None
    level = mean_db(levels_of(clip.audio)[: len(voice)][voice])
    bursts = {form: [await burst(vad, encoder, change(audio)) for audio in stretches(clip)] for form, change in FORMS.items()}
    fitted = not any(word in clip.row.get("licence", "") for word in UNLICENSED)
    return Recording(level, len(speech) / RATE, await encoder.uncentred(speech), bursts, fitted)


async def speakers(args: Namespace) -> Known:
    workers = Workers()
    vad, encoder = SileroVad(Settings().weights_dir, workers), VoiceEncoder(Settings().weights_dir, workers)
    await vad.warm()
    await encoder.warm()
    of: dict[str, list[Clip]] = defaultdict(list)
    for clip in everything(args.data):
        if clip.kind in SPOKEN and isinstance(clip.row.get("speaker"), str) and not clip.row.get("built"):
            of[clip.row["speaker"]].append(clip)
    found = {who: [await recording(vad, encoder, clip) for clip in mine[:CLIPS]] for who, mine in of.items()}
    return {who: kept for who, mine in found.items() if (kept := [one for one in mine if one is not None])}


def unit(vector: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vector / (np.linalg.norm(vector) + 1e-9))


def centre(known: Known) -> NDArray[Any]:
    """The mean of whole recordings and of their beginnings, each speaker the same."""
    whole, early = [], []
    for mine in known.values():
        if allowed := [one for one in mine if one.fitted]:
            whole.append(np.mean([one.vector for one in allowed], axis=0))
            if vectors := [v for one in allowed for b in one.bursts["plain"] for v in b.vectors]:
                early.append(np.mean(vectors, axis=0))
    return np.asarray((np.mean(whole, axis=0) + np.mean(early, axis=0)) / 2)


class Pair(NamedTuple):
    """A burst, against a user who is known."""

    gap_db: float  # its level against that of the user's turns
    likeness: float
    voiced_ms: float
    own: bool
    fitted: bool


def pairs(known: Known, of: Sequence[str], middle: NDArray[Any], at: int, own: str, other: str) -> list[Pair]:
    """Bursts of the speakers `of` after VOICED_MS[at] of voice, as the form `own` where it is the user's, as `other` where it is
    somebody else's. The user is known by the other recordings."""
    found: list[Pair] = []
    for who in of:
        for n, spoken in enumerate(known[who]):
            before = [one for m, one in enumerate(known[who]) if m != n]
            if sum(one.seconds for one in before) < KNOWN_S:
                continue
            voice = unit(np.sum([unit(one.vector - middle) * one.seconds for one in before], axis=0))
            usual = float(np.average([one.level_db for one in before], weights=[one.seconds for one in before]))
            for one in (burst for burst in spoken.bursts[own] if len(burst.levels) > at):
                alike = float(voice @ unit(one.vectors[at] - middle))
                found += [Pair(one.levels[at] + db - usual, alike, VOICED_MS[at], True, spoken.fitted) for db in OWN_DB]
            for theirs in (known[whom][0] for whom in of if whom != who and n == 0):
                for one in (burst for burst in theirs.bursts[other][:1] if len(burst.levels) > at):
                    alike, fitted = float(voice @ unit(one.vectors[at] - middle)), spoken.fitted and theirs.fitted
                    found += [Pair(one.levels[at] - theirs.level_db + db, alike, VOICED_MS[at], False, fitted) for db in FAR_DB]
    return found


class Weights(NamedTuple):
    """Those of app/turn_taking/bystander.py."""

    by_gap: LogOdds
    by_voice: LogOdds
    liker: float

    def odds(self, pair: Pair) -> dict[str, float]:
        level = self.by_gap.odds(pair.gap_db)
        voice = self.by_voice.odds(pair.likeness - self.liker * min(pair.voiced_ms / 1000, bystander.WHOLE_S))
        return {"level": level, "voice": voice, "level and voice": level + voice}


def fit(found: Sequence[Pair]) -> Weights:
    """Of the pairs whose licences allow it; the user and all others weigh the same."""
    allowed = [pair for pair in found if pair.fitted]
    own = np.array([pair.own for pair in allowed])
    gaps = np.clip([[pair.gap_db] for pair in allowed], bystander.BY_GAP.least, bystander.BY_GAP.most)
    voices = [[pair.likeness, min(pair.voiced_ms / 1000, bystander.WHOLE_S)] for pair in allowed]
    gap, voice = (LogisticRegression(C=1e3, class_weight="balanced").fit(seen, own) for seen in (gaps, voices))
    (weight,), (by_likeness, by_length) = gap.coef_[0], voice.coef_[0]
    by_gap = bystander.BY_GAP._replace(weight=float(weight), even=float(-gap.intercept_[0] / weight))
    by_voice = bystander.BY_VOICE._replace(weight=float(by_likeness), even=float(-voice.intercept_[0] / by_likeness))
    return Weights(by_gap, by_voice, float(-by_length / by_likeness))


def area(own: NDArray[Any], odds: NDArray[Any]) -> float:
    """Under the curve of both errors."""
    return float(np.mean([(odds[~own] < value).mean() for value in odds[own]]))


def held_out(known: Known) -> Iterator[tuple[str, int, Pair, dict[str, float]]]:
    """Every speaker judged by the centre and the weights of others: (way it sounds, ms of voice, the pair, its odds)."""
    names = sorted(known)
    fold = {name: n % FOLDS for n, name in enumerate(np.random.default_rng(0).permutation(names))}
    for n in range(FOLDS):
        train, test = ([name for name in names if (fold[name] == n) is inside] for inside in (False, True))
        middle = centre({name: known[name] for name in train})
        weights = fit(plain_pairs(known, train, middle))
        for at, ms in enumerate(VOICED_MS):
            for way, forms in WAYS.items():
                for pair in pairs(known, test, middle, at, *forms):
                    yield way, ms, pair, weights.odds(pair)


def plain_pairs(known: Known, of: Sequence[str], middle: NDArray[Any]) -> list[Pair]:
    return [pair for at in range(len(VOICED_MS)) for pair in pairs(known, of, middle, at, "plain", "plain")]


def told(known: Known) -> dict[str, Any]:
    """Prints both errors for each way, length and kind of evidence; returns the areas."""
    rows: dict[tuple[str, int, str], list[tuple[bool, float]]] = defaultdict(list)
    for way, ms, pair, odds in held_out(known):
        for name, value in odds.items():
            rows[way, ms, name].append((pair.own, value))
    figures: dict[str, Any] = {}
    for (way, ms, name), mine in rows.items():
        own, odds_of = np.array([row[0] for row in mine]), np.array([row[1] for row in mine])
        shares = zip(LOST, np.quantile(odds_of[own], LOST), strict=True)
        ignored = "  ".join(f"{lost:.0%} {float((odds_of[~own] < limit).mean()):.2f}" for lost, limit in shares)
        as_set = f"lost {float((odds_of[own] < 0).mean()):.3f} ignored {float((odds_of[~own] < 0).mean()):.2f}"
        figures[f"{way}, {ms} ms, {name}"] = area(own, odds_of)
        print(
            f"  {way:<16}{ms:>5} ms  {name:<16} {figures[f'{way}, {ms} ms, {name}']:.3f}  {as_set};  lost: ignored  {ignored}"
        )
    return figures


def unknown(known: Known) -> LogOdds:
    """Nobody has spoken yet: the level of the first burst alone, of recordings as they are."""
    levels = np.array([b.levels[0] for mine in known.values() for b in mine[0].bursts["plain"][:1] if b.levels])
    own, far = (np.concatenate([levels + db for db in gains]) for gains in (OWN_DB, FAR_RAW_DB))
    for limit in range(48, 63, 2):
        print(
            f"  nobody known, below {limit} dB: own {float((own < limit).mean()):.3f}, others {float((far < limit).mean()):.2f}"
        )
    both = np.clip(np.concatenate([own, far])[:, None], bystander.BY_LEVEL.least, bystander.BY_LEVEL.most)
    model = LogisticRegression(C=1e3, class_weight="balanced").fit(both, np.arange(len(both)) < len(own))
    weight = float(model.coef_[0][0])
    return bystander.BY_LEVEL._replace(weight=weight, even=float(-model.intercept_[0] / weight))


async def run(args: Namespace) -> dict[str, Any]:
    known = await speakers(args)
    print(f"  {len(known)} speakers, {sum(map(len, known.values()))} recordings")
    figures, by_level = told(known), unknown(known)
    weights = fit(plain_pairs(known, sorted(known), centre(known)))
    print(f"  by level alone {by_level}\n  {weights}")
    if args.fit:
        CENTRE.write_text(json.dumps([round(float(value), 4) for value in centre(known)]) + "\n", "utf-8")
    return judge("whose voice", figures, {})
