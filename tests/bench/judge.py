"""Makes `services/barge_in/weights.json` from recordings, and says how well it tells speech from other sounds, of speakers whom it
was not made from. Speech is the beginning of an utterance after a silence; other sounds are noise, music and acknowledgements.
Each clip is taken twice: as it is, and as it comes out of a call.
Clips whose licence does not allow more than measuring are left out of the weights."""

import asyncio
import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import soxr
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.barge_in.whisper_encoder import DITHER, WEIGHTS, WINDOW_S
from services.stt.speech_judge import impression
from services.stt.whisper import Whisper, WhisperStt, listen
from services.workers import Workers
from tests.bench.clips import RATE, Audio, Clip
from tests.bench.opus import coded
from tests.bench.report import judge
from tests.bench.virtual.material import everything

LENGTHS_MS = (220, 260, 300, 360, 450, 600)  # of the sound, when it is looked at
LEAD_S = 0.2  # before it
LAG_S = (-0.03, 0.05)  # error of the onset
TEMPI = (0.85, 1.18)  # an acknowledgement is rare: it is used again, slower and faster
COPIES = {"backchannel": 8}
WEIGHT = {"backchannel": 4.0, "command": 1.5, "question": 1.5, "open_question": 2.0}
BIT_RATES = (24_000, 32_000, 64_000)  # of Opus; Chrome sends a voice at 32
FOLDS = 12
REGULARISATION = 0.006
UNLICENSED = ("no licence", "NC")  # in the name of a licence
KINDS = ("utt", "command", "question", "open_question", "turn", "conversation", "backchannel", "noise", "music")


def starts(clip: Clip) -> list[float]:
    """Where a sound begins in the clip, s."""
    if clip.kind in ("noise", "music"):
        return list(np.arange(0.25, clip.seconds - 1, 0.5))
    if clip.kind == "conversation":
        return [start for start, end in clip.row["speech_segments"] if end - start >= 1.2]
    return [clip.speech_start, *(end for _, end in clip.pauses if not clip.row.get("built"))]


def beginnings(clip: Clip, dice: np.random.Generator) -> Iterator[Audio]:
    """The beginnings of the clip's sounds, of all lengths, at random levels over a little noise."""
    for copy in range(COPIES.get(clip.kind, 1)):
        tempo = dice.uniform(*TEMPI) if copy else 1.0
        audio = soxr.resample(clip.audio, RATE, int(RATE / tempo)) if copy else clip.audio
        for start in starts(clip):
            for length in LENGTHS_MS:
                lag = dice.uniform(*LAG_S)
                first, last = start / tempo + lag - LEAD_S, start / tempo + lag + length / 1000
                cut = audio[max(0, int(first * RATE)) : int(last * RATE)]
                cut = np.pad(cut, (int(max(0.0, -first) * RATE), 0))
                noise = dice.normal(0, 10 ** dice.uniform(-4.5, -3), len(cut))
                yield np.asarray((cut + noise) * 10 ** (dice.uniform(-12, 3) / 20), np.float32)


def impressions(model: Whisper, everything: list[Clip]) -> tuple[Any, Any, Any, Any, Any]:
    """For each beginning: the encoder's impression, whether it is speech, its clip's number and kind, and whether it was coded."""
    dice, rows = np.random.default_rng(5), []
    for number, clip in enumerate(everything):
        sent = replace(clip, edited=coded(clip.audio, int(dice.choice(BIT_RATES))))
        for called in (False, True):
            for sound in beginnings(sent if called else clip, dice):
                seen = impression(listen(model, sound, WINDOW_S, dither=DITHER)["heard"], len(sound))
                rows.append((seen, clip.kind not in ("noise", "music", "backchannel"), number, clip.kind, called))
    return tuple(np.array(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def fit(seen: Any, speech: Any, kinds: Any) -> Any:
    weights = np.array([WEIGHT.get(kind, 1.0) for kind in kinds])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=400))
    return pipeline.fit(seen, speech, logisticregression__sample_weight=weights)


async def run(args: Namespace) -> dict[str, Any]:
    stt = WhisperStt(Settings().weights_dir, Workers(), ENGLISH)
    await stt.warm()
    found = [one for one in everything(args.data) if one.kind in KINDS]
    seen, speech, clip, kinds, called = await asyncio.to_thread(impressions, stt.model(), found)
    allowed = np.array([not any(word in found[number].row.get("licence", "") for word in UNLICENSED) for number in clip])
    whose = [str(one.row.get("speaker") or one.id) for one in found]
    place = dict(zip(sorted(set(whose)), np.random.default_rng(0).permutation(len(set(whose))), strict=True))
    fold = np.array([place[name] for name in whose])[clip] % FOLDS
    guess = np.zeros(len(speech))
    for n in range(FOLDS):
        others = (fold != n) & allowed
        guess[fold == n] = fit(seen[others], speech[others], kinds[others]).predict_proba(seen[fold == n])[:, 1]
    murmured = kinds == "backchannel"
    noise = (kinds == "noise") | (kinds == "music")
    scaler, regression = fit(seen[allowed], speech[allowed], kinds[allowed]).named_steps.values()
    weights = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - weights @ scaler.mean_)
    WEIGHTS.write_text(json.dumps({"weights": [round(float(w), 5) for w in weights], "bias": round(bias, 5)}) + "\n", "utf-8")
    figures = {
        "speech_taken_for_noise": float((guess[speech] < 0.5).mean()),
        "noise_taken_for_speech": float((guess[noise] >= 0.5).mean()),
        "speech_taken_for_noise_in_a_call": float((guess[speech & called] < 0.5).mean()),
        "noise_taken_for_speech_in_a_call": float((guess[noise & called] >= 0.5).mean()),
        "acknowledgement_taken_for_speech": float((guess[murmured] >= 0.5).mean()),
        "acknowledgements": len(set(clip[murmured])),
        "beginnings": len(speech),
    }
    return judge("speech or not", figures, {"speech_taken_for_noise": ("<=", 0.08), "noise_taken_for_speech": ("<=", 0.1)})
