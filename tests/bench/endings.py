"""When a turn is taken for over: ends that are answered late, and thinking pauses that are answered at all. Each sentence ends once
and has a pause put in at several places; it is taken as it is, slower, in noise, and as it comes out of a call. No server: what a
conversation does in a pause is done here. Says also which weights a logistic regression gives to what is known of a request."""

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import soxr
from sklearn.linear_model import LogisticRegression

from app.endings import CLOSED, LENGTH, MELODY, is_surely_whole, log_odds, required_silence
from app.settings import Settings
from app.signals import Ask
from app.turns import Turns
from app.wording import is_request, is_wordless, length, sounds_unfinished
from services import embedded
from services.base import VAD_WINDOW, Services
from tests.bench.clips import QUIET, RATE, Audio, Clip, clips, loudness, room_tone
from tests.bench.opus import coded
from tests.bench.report import judge, share

TARGETS = {"request_ends_late": ("<=", 0.05), "request_pauses_taken": ("<=", 0.08), "question_ends_late": ("<=", 0.05)}
LATE_MS = 600.0  # of silence, after which an answer is no longer within 700 ms
PAUSES_MS = (400, 600, 800, 1000, 1200)
PLACES = 4  # of a pause, the quietest of the middle part of a sentence
MIDDLE = (0.25, 0.78)
APART_S = 0.35
LEAD_S, SILENCE_S = 0.5, 0.35  # of room tone, before and after
TEMPO, NOISE, BIT_RATE = 1.07, 10 ** (-25 / 20), 32_000


class Look(NamedTuple):
    """What is known of a turn at the first silent window."""

    clip: str
    ended: bool
    text: str
    complete: float
    closed: float

    def silence(self, settings: Settings) -> float:
        understood = is_surely_whole(self.text, self.closed)
        return required_silence(settings, self.text, self.complete, self.closed, understood)


def variants(clip: Clip, dice: np.random.Generator) -> Iterator[tuple[Audio, float]]:
    """The recording in all its forms, each with its tempo."""
    audio = clip.audio
    yield audio, 1.0
    yield np.asarray(soxr.resample(audio, RATE, round(RATE * TEMPO)), np.float32), TEMPO
    yield (audio + dice.normal(0, NOISE * np.sqrt(np.square(audio).mean()), len(audio))).astype(np.float32), 1.0
    yield coded(audio, BIT_RATE), 1.0


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


async def look(services: Services, settings: Settings, clip: str, ended: bool, speech: Audio, whole: Audio) -> Look | None:
    """At `speech` and the silence after it, both of the recording `whole`; None where no pause is noticed."""
    audio = np.concatenate([room_tone(whole, LEAD_S), speech, room_tone(whole, SILENCE_S)])
    turns, detector, paused = Turns(settings), services.vad.detector(), None
    for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW):
        signals = turns.window(await detector.probability(audio[at : at + VAD_WINDOW]), "silent")
        paused = at + VAD_WINDOW if Ask.PREPARE in signals else paused if turns.silence_ms else None
    if paused is None:
        return None
    heard = audio[max(0, round((turns.start_ms - settings.preroll_ms) * RATE / 1000)) : paused]
    transcript = await services.stt.transcribe(heard, final=True, prompt=services.retrieval.vocabulary())
    return Look(clip, ended, transcript.text, await services.turn.complete(heard), transcript.closed)


async def looks(services: Services, settings: Settings, said: list[Clip]) -> list[Look]:
    dice, found = np.random.default_rng(5), []
    for clip in said:
        for audio, tempo in variants(clip, dice):
            start, end = clip.speech_start * tempo, clip.speech_end * tempo
            found.append(await look(services, settings, clip.id, True, audio[: round(end * RATE)], audio))
            for cut in quietest(audio, start, end):
                found.append(await look(services, settings, clip.id, False, audio[:cut], audio))
    return [one for one in found if one is not None]


def counted(name: str, seen: list[Look], settings: Settings) -> dict[str, Any]:
    ends = [one.silence(settings) for one in seen if one.ended]
    for one in seen:
        if one.ended and one.silence(settings) > LATE_MS:
            print(f"  {one.clip}: late after {one.text!r} (melody {one.complete:.2f}, closed {one.closed:.2f})")
    pauses = [one.silence(settings) for one in seen if not one.ended]
    return {
        f"{name}_ends": len(ends),
        f"{name}_ends_late": share(silence > LATE_MS for silence in ends),
        f"{name}_pauses": len(pauses),
        f"{name}_pauses_taken": share(silence < pause for silence in pauses for pause in PAUSES_MS),
    }


def weights(seen: list[Look]) -> dict[str, float]:
    """Of melody, of the end of the sentence and of the number of words, at the scale of `app.endings`; and how well a recording's
    ends are told from its pauses by weights that are made from the others."""
    rows = [one for one in seen if is_request(one.text) and not (sounds_unfinished(one.text) or is_wordless(one.text))]
    known = np.array([[log_odds(one.complete), log_odds(one.closed), np.log(length(one.text))] for one in rows])
    ended = np.array([one.ended for one in rows])
    whose = np.array([one.clip for one in rows])
    model = LogisticRegression(class_weight="balanced")
    odds = np.zeros(len(rows))
    for clip in set(whose):
        odds[whose == clip] = model.fit(known[whose != clip], ended[whose != clip]).decision_function(known[whose == clip])
    fitted = model.fit(known, ended).coef_[0]
    scaled = fitted * (MELODY + CLOSED) / (fitted[0] + fitted[1])
    print(f"  in use: melody {MELODY}, closed {CLOSED}, length {LENGTH}")
    return {
        **dict(zip(("weight_melody", "weight_closed", "weight_length"), map(float, scaled), strict=True)),
        "held_out_ends_missed": share(odds[ended] < 0),
        "held_out_pauses_above": share(odds[~ended] >= 0),
    }


async def run(args: Namespace) -> dict[str, Any]:
    settings = Settings()
    services = embedded(settings.weights_dir, settings.weights_dir)
    await asyncio.gather(*(service.warm() for service in (services.vad, services.turn, services.stt, services.retrieval)))
    requests = await looks(services, settings, clips(args.data, "command"))
    questions = await looks(services, settings, clips(args.data, "question", "open_question"))
    figures = {**counted("request", requests, settings), **counted("question", questions, settings), **weights(requests)}
    return judge("the end of a turn", figures, TARGETS)
