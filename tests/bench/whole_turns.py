"""Makes `services/stt/whole_turns.json` from recordings: what tells a turn of speech from noise and music, once it is over. Says
how well it does with voices and sounds that it was not made from, in each form that a recording may come in. Babble and other
people's voices are in neither class. Clips whose licence does not allow more than measuring are judged, and left out of the
weights."""

import asyncio
import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.stt.hallucination import NOISE
from services.stt.speech_judge import WHOLE_TURNS, impression
from services.stt.whisper import QUICK, Whisper, WhisperStt, listen
from services.workers import Workers
from tests.bench.clips import RATE, Audio, Clip, clips
from tests.bench.opus import coded
from tests.bench.report import judge, share
from tests.bench.virtual.material import quiet, telephone

SPOKEN = ("answer", "statement", "request", "utt", "command", "question", "open_question")
SOUNDS = ("noise", "music")
BIT_RATE = 32_000
EACH = 1  # form of each piece, drawn at random
CROPS = 10  # pieces of each sound
CROP_S = (0.6, 4.0)
LEAD_S, TAIL_S = 0.3, 0.2
SHORT_S = (0.4, 1.5)  # the beginning of a turn by itself: a single word
LEVEL_DB = (-12.0, 6.0)
FOLDS = 10
REGULARISATION = 0.01
UNLICENSED = ("no licence", "NC")  # in the name of a licence


class Row(NamedTuple):
    seen: NDArray[np.float32]
    speech: bool
    form: str
    whose: str  # the speaker, or the recording of a sound
    fitted: bool  # the licence allows it


def whose(clip: Clip) -> str:
    return clip.id if clip.kind in SOUNDS else str(clip.row.get("speaker") or clip.id)


def pieces(clip: Clip, dice: np.random.Generator) -> Iterator[Audio]:
    """Of a sound CROPS pieces, of speech the turn and its beginning."""
    if clip.kind in SOUNDS:
        for _ in range(CROPS):
            size = round(dice.uniform(*CROP_S) * RATE)
            at = int(dice.integers(0, max(1, len(clip.audio) - size)))
            yield clip.audio[at : at + size]
        return
    first, last = max(0, round((clip.speech_start - LEAD_S) * RATE)), round((clip.speech_end + TAIL_S) * RATE)
    yield clip.audio[first:last]
    yield clip.audio[first : round((clip.speech_start + dice.uniform(*SHORT_S)) * RATE)]


def rows(model: Whisper, everything: list[Clip]) -> list[Row]:
    dice, found = np.random.default_rng(5), []
    forms: dict[str, Callable[[Audio], Audio]] = {
        "plain": lambda audio: audio,
        "call": lambda audio: coded(audio, BIT_RATE),
        "telephone": telephone,
        "quiet": quiet,
    }
    for clip in everything:
        fitted = not any(name in clip.row.get("licence", "") for name in UNLICENSED) and not clip.row.get("measure_only")
        for piece in pieces(clip, dice):
            for form in dice.choice(list(forms), EACH, replace=False):
                sound = forms[form](piece) * np.float32(10 ** (dice.uniform(*LEVEL_DB) / 20))
                window = max(len(sound) / RATE + 1, QUICK.window_s)
                seen = impression(listen(model, sound, min(window, 30.0), QUICK.sparse)["heard"], len(sound))
                found.append(Row(seen, clip.kind not in SOUNDS, str(form), whose(clip), fitted))
    return found


def fit(seen: NDArray[np.float32], speech: NDArray[np.bool_]) -> Any:
    regression = LogisticRegression(C=REGULARISATION, max_iter=500, class_weight="balanced")
    return make_pipeline(StandardScaler(), regression).fit(seen, speech)


def held_out(known: list[Row]) -> NDArray[np.float64]:
    """The probability of speech of each row, by weights made of other people and other recordings."""
    everybody = sorted({row.whose for row in known})
    order = np.random.default_rng(0).permutation(len(everybody))
    fold = np.array([order[everybody.index(row.whose)] % FOLDS for row in known])
    seen, speech = np.array([row.seen for row in known]), np.array([row.speech for row in known])
    fitted, found = np.array([row.fitted for row in known]), np.zeros(len(known))
    for n in range(FOLDS):
        others = (fold != n) & fitted
        found[fold == n] = fit(seen[others], speech[others]).predict_proba(seen[fold == n])[:, 1]
    return found


async def run(args: Namespace) -> dict[str, Any]:
    stt = WhisperStt(Settings().weights_dir, Workers(), ENGLISH)
    await stt.warm()
    folders = [folder for folder in (args.data, args.data / "conversation") if (folder / "manifest.jsonl").exists()]
    everything = [clip for folder in folders for clip in clips(folder, *SPOKEN, *SOUNDS)]
    known = await asyncio.to_thread(rows, stt.model(), everything)
    believed = held_out(known)
    scaler, regression = fit(
        np.array([row.seen for row in known if row.fitted]), np.array([row.speech for row in known if row.fitted])
    ).named_steps.values()
    weights = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - weights @ scaler.mean_)
    stored = {"weights": [round(float(weight), 5) for weight in weights], "bias": round(bias, 5)}
    WHOLE_TURNS.write_text(json.dumps(stored) + "\n", "utf-8")
    figures: dict[str, Any] = {}
    for form in sorted({row.form for row in known}):
        of = [(row.speech, at) for row, at in zip(known, believed, strict=True) if row.form == form]
        figures |= {
            f"{form}_speech_lost": share(at < NOISE for speech, at in of if speech),
            f"{form}_noise_believed": share(at >= NOISE for speech, at in of if not speech),
            f"{form}_rows": f"{sum(speech for speech, _ in of)} + {sum(not speech for speech, _ in of)}",
        }
    figures["speech_lost"] = share(at < NOISE for row, at in zip(known, believed, strict=True) if row.speech)
    figures["noise_believed"] = share(at >= NOISE for row, at in zip(known, believed, strict=True) if not row.speech)
    return judge("a turn of speech or another sound", figures, {"speech_lost": ("<=", 0.005), "noise_believed": ("<=", 0.05)})
