"""Hearing and speaking, service by service: word errors, words invented where nobody speaks, speech lost or cut at its start, and
what each decision costs. The clips are those of the folder; the whole path through the app is measured by other programs."""

import asyncio
import re
import time
from argparse import Namespace
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import jiwer
import numpy as np
import soxr

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import SPEAKING_RATE, VAD_WINDOW, Services
from tests.bench.clips import RATE, Audio, Clip, clips
from tests.bench.report import judge, percentile, share

# The model makes 3.1 % of errors on clean read speech; a point or two is the choice of clips.
LIKELY = 0.97  # probability above which a turn has probably ended: of 30 thinking pauses none is above
TARGETS = {
    "wer": ("<=", 0.051),
    "utterances_lost": ("<=", 0),
    "starts_cut": ("<=", 0),
    "invented_rate": ("<=", 0.05),
    "round_trip_wer": ("<=", 0.03),
}
NOTED = 0.2  # word error rate above which a clip is printed
CROPS = 6  # pieces of 0.6 to 3.5 s of each noise: a conversation hands short bursts to the recogniser
SPOKEN = (
    "Hello there, how can I help you today?",
    "Parley runs on a laptop, with no keys and no downloads beyond the package registry.",
    "When you talk over me, I lower my voice, and then I stop.",
    "It costs $5.20 on January 5th.",
    "This is 20% less than before.",
    "Sorry, I don't know that.",
    "Every **window** of sound is looked at by the `voice` detector.",
    "What would you like to know?",
)
_SAME = (  # ways to write what is said alike
    (r"(?<=\d),(?=\d{3})", ""),
    (r"\bmr\b\.?", "mister"),
    (r"\bmrs\b\.?", "missus"),
    (r"\b1st\b", "first"),
    (r"\bokay\b", "ok"),
    (r"\bshopboy\b", "shop boy"),
    (r"[^\w'.$% ]|(?<!\d)\.|\.(?!\d)", " "),
)
_NUMBERS = dict(enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())) | {
    16: "sixteen",
    20: "twenty",
}
T = TypeVar("T")


def plain(text: str) -> str:
    """Lower case words without punctuation, with one way to write numbers and titles."""
    text = text.lower().replace("’", "'")
    for pattern, said in _SAME:
        text = re.sub(pattern, said, text)
    words = text.split()
    return " ".join(_NUMBERS.get(int(word), word) if word.isdecimal() else word for word in words)


async def timed(work: Awaitable[T], into: list[float]) -> T:
    begun = time.perf_counter()
    result = await work
    into.append((time.perf_counter() - begun) * 1000)
    return result


async def run(args: Namespace) -> dict[str, Any]:
    settings = Settings()
    services = embedded(settings.weights_dir, settings.weights_dir, ENGLISH)
    begun = time.perf_counter()
    await asyncio.gather(services.vad.warm(), services.turn.warm(), services.stt.warm(), services.tts.warm())
    figures: dict[str, Any] = {"warm_s": time.perf_counter() - begun}
    figures |= await utterances(services, clips(args.data, "utt", "command"), settings)
    figures |= await noises(services, clips(args.data, "noise", "music"))
    figures |= await endings(services, clips(args.data, "turn", "command", "utt", "question"), settings)
    figures |= await voice(services)
    return judge("Hearing and speaking", figures, TARGETS)


async def utterances(services: Services, said: Sequence[Clip], settings: Settings) -> dict[str, Any]:
    """Each clip cut as a conversation cuts it, from `preroll_ms` before the detected onset, and transcribed."""
    windows: list[float] = []
    pairs: dict[str, list[tuple[str, str]]] = {"utt": [], "command": []}
    slots: list[bool] = []
    delays: list[float] = []
    costs: dict[str, list[float]] = {"3s": [], "6s": [], "12s": []}
    lost = cut = 0
    for clip in said:
        onset = await onset_s(services, clip.audio, settings, windows)
        if onset is None:
            lost += 1
            continue
        if clip.speech_start > 0.1:  # what begins with the file has no onset to be late for
            delays.append((onset - clip.speech_start) * 1000)
        audio = clip.audio[max(0, round((onset - settings.preroll_ms / 1000) * RATE)) :]
        bucket = next((name for name in costs if len(audio) <= float(name[:-1]) * RATE), "12s")
        text = (await timed(services.stt.transcribe(audio, final=True), costs[bucket])).text
        lost += not text
        reference, heard = plain(clip.text), plain(text)
        pairs[clip.kind].append((reference, heard))
        first = jiwer.process_words(reference, heard).alignments[0][0]
        if first.type == "delete":
            cut += 1
        if first.type == "delete" or jiwer.wer(reference, heard) > NOTED:
            print(f"  {clip.id}: {reference!r} heard as {heard!r}")
        slots += [plain(value) in heard for value in clip.row.get("slots", {}).values()]
    return {
        "wer": jiwer.wer(*map(list, zip(*pairs["utt"], strict=True))),
        "wer_commands": jiwer.wer(*map(list, zip(*pairs["command"], strict=True))),
        "slots_right": share(slots),
        "utterances_lost": lost,
        "starts_cut": cut,
        "vad_window_p95_ms": percentile(windows, 95),
        "vad_onset_p50_ms": percentile(delays, 50),
        "vad_onset_p95_ms": percentile(delays, 95),
        **{f"stt_upto_{name}_p50_ms": percentile(values, 50) for name, values in costs.items()},
    }


async def onset_s(services: Services, audio: Audio, settings: Settings, costs: list[float]) -> float | None:
    """When an onset is known: the end (s) of the last of `onset_windows` voiced windows in a row. `costs` gets ms a window."""
    detector, voiced = services.vad.detector(), 0
    for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW):
        speech = await timed(detector.probability(audio[at : at + VAD_WINDOW]), costs)
        voiced = voiced + 1 if speech > settings.vad_threshold else 0
        if voiced == settings.onset_windows:
            return (at + VAD_WINDOW) / RATE
    return None


async def noises(services: Services, sounds: Sequence[Clip]) -> dict[str, Any]:
    """Noise and music, whole and in bursts, white noise and silence: all words are invented."""
    random = np.random.default_rng(0)
    heard: list[bool] = []
    audios = [("silence", np.zeros(2 * RATE, np.float32)), ("dither", random.normal(0, 0.02, 3 * RATE).astype(np.float32))]
    for clip in sounds:
        audios.append((clip.id, clip.audio))
        for _ in range(CROPS):
            length = round(random.uniform(0.6, 3.5) * RATE)
            at = random.integers(0, max(1, len(clip.audio) - length))
            audios.append((clip.id, clip.audio[at : at + length]))
    for name, audio in audios:
        text = (await services.stt.transcribe(audio, final=True)).text
        heard.append(bool(text))
        if text:
            print(f"  {name}, {len(audio) / RATE:.1f} s: invented {text!r}")
    return {"noises": len(heard), "invented_rate": share(heard)}


async def endings(services: Services, turns: Sequence[Clip], settings: Settings) -> dict[str, Any]:
    """What the end-of-turn model says `pause_ms` after each pause and after each end, where a conversation asks it."""
    costs: list[float] = []

    async def complete(clip: Clip, at_s: float) -> bool:
        until = round((at_s + settings.pause_ms / 1000) * RATE)
        audio = np.pad(clip.audio, (0, max(0, until - len(clip.audio))))[:until]
        return bool(await timed(services.turn.complete(audio), costs) >= LIKELY)

    pauses = [await complete(clip, start) for clip in turns for start, _ in clip.pauses]
    ends = [await complete(clip, clip.speech_end) for clip in turns]
    return {
        "turn_ends_known": share(ends),
        "turn_pauses_taken_as_ends": share(pauses),
        "turn_decision_p50_ms": percentile(costs, 50),
        "turn_decision_p95_ms": percentile(costs, 95),
    }


async def voice(services: Services) -> dict[str, Any]:
    """What the voice says, heard again, and how long the first sound of a clause takes."""
    first: list[float] = []
    pairs: list[tuple[str, str]] = []
    for text in SPOKEN:
        pieces = services.tts.speak(text)
        parts = [(await timed(anext(pieces), first)).samples, *[piece.samples async for piece in pieces]]
        audio = soxr.resample(np.concatenate(parts).astype(np.float32) / 32768, SPEAKING_RATE, RATE)
        heard = plain((await services.stt.transcribe(audio, final=True)).text)
        pairs.append((plain(text), heard))
    return {
        "round_trip_wer": jiwer.wer(*map(list, zip(*pairs, strict=True))),
        "tts_first_sound_p50_ms": percentile(first, 50),
        "tts_first_sound_p95_ms": percentile(first, 95),
    }
