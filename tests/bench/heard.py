"""Does the server know to the word what its listener heard of a reply that was cut off, and when a whole reply has been heard?

The truth does not rest on the server's clock or ledger: the reply's text is spoken again by the same voice, and the last sound that
the client heard is looked for in it. A word counts as heard when half of it was."""

import random
from argparse import Namespace
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.base import SPEAKING_RATE
from services.tts.hibari import HibariTts
from services.workers import Workers
from tests.bench.client import Call, dial
from tests.bench.clips import LEAST, RATE, Audio, clips
from tests.bench.devices import AUDIBLE_DBFS
from tests.bench.report import judge, percentile, share
from tests.bench.server import serve
from tests.bench.takes import ANSWER_S, PER_CALL, PROMPTS, SETTLE_S

TARGETS = {"heard_right": (">=", 0.95), "last_sound_to_listening_p95_ms": ("<=", 60.0)}
SHORT = ("Thank you.", "Hello.", "Who are you?", "How are you?", "What can you do?")  # answered in a few words
WHOLE_S = 20.0  # no such answer is longer
PROBE_S = 0.4  # of the last sound: two or three syllables, found once in a reply
HALF = 0.5  # of a word, for it to count
FRAME_S = 0.02  # sound is sent in such pieces: that near to the middle of a word, either answer is right
SURE = 0.7  # correlation below which the place is not known
BREATH_S = 0.1  # a shorter silence is one of the voice


class Script:
    """One reply as the voice says it: samples at RATE, and (word, start, end) in s."""

    def __init__(self) -> None:
        self.audio: Audio = np.zeros(0, np.float32)
        self.words: list[tuple[str, float, float]] = []

    async def read(self, voice: HibariTts, clauses: list[str]) -> "Script":
        for clause in clauses:
            async for speech in voice.speak(clause):
                begin = len(self.audio) / RATE
                self.words += [(word.text, begin + word.start_ms / 1000, begin + word.end_ms / 1000) for word in speech.words]
                samples = soxr.resample(speech.samples.astype(np.float32) / 32768, SPEAKING_RATE, RATE)
                self.audio = np.concatenate((self.audio, np.asarray(samples, np.float32)))
        return self

    def place(self, heard: Audio) -> float | None:
        """Where in the script (s) the last sound of `heard` ends; None where it is not found. A breath that the agent held before
        it stopped is no part of the script, and a phrase that comes again later than `heard` is long is not that one."""
        best, end = SURE, None
        for breath in (False, True):
            probe = last_sound(heard, breath)
            found = _correlation(self.audio[: len(heard)], probe)
            at = int(np.argmax(found)) if len(found) else 0
            if len(found) and found[at] >= best:
                best, end = float(found[at]), (at + len(probe)) / RATE
        return end

    def until(self, at: float) -> str:
        return " ".join(word for word, start, end in self.words if at >= start + (end - start) * HALF)


def _correlation(audio: Audio, probe: Audio) -> NDArray[np.float64]:
    """Normalised cross-correlation at each place of `probe` in `audio`."""
    if len(audio) < len(probe):
        return np.zeros(0)
    size = 1 << (len(audio) + len(probe)).bit_length()
    product = np.fft.irfft(np.fft.rfft(audio, size) * np.conj(np.fft.rfft(probe, size)), size)[: len(audio) - len(probe) + 1]
    energy = np.convolve(np.square(audio, dtype=np.float64), np.ones(len(probe)), "valid")
    return np.asarray(product / np.sqrt(energy * np.square(probe).sum() + 1e-9))


def last_sound(heard: Audio, without_breath: bool) -> Audio:
    """The PROBE_S up to the last audible sample, or so much of sound up to it `without_breath`: digital silence of BREATH_S."""
    hop = RATE // 200
    power = np.square(heard[: len(heard) // hop * hop].reshape(-1, hop)).mean(axis=1)
    loud = np.flatnonzero(power > 10 ** (AUDIBLE_DBFS / 10))
    heard = heard[: (int(loud[-1]) + 1) * hop] if len(loud) else heard[:0]
    if without_breath:
        least = round(BREATH_S * RATE)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.abs(heard) < 1e-4, [0]]).astype(int))).reshape(-1, 2)
        for start, end in edges[::-1]:
            if end - start >= least:
                heard = np.concatenate((heard[:start], heard[end:]))
                break
    return heard[max(0, len(heard) - round(PROBE_S * RATE)) :]


async def cut(call: Call, prompt: str, after: float, voice: Audio | None) -> dict[str, Any] | None:
    """Ask, and cut the answer off so many seconds after it began, by the button or by talking over it."""
    await call.quiet(SETTLE_S)
    asked = await call.say(prompt)
    first = await call.audible(asked, ANSWER_S)
    if first is None:
        return None
    if voice is None:
        await call.until(first + after)
        await call.interrupt()
    else:
        await call.play(voice, first + after)
    heard = await call.event("agent_heard", first)
    if heard is None:
        return None
    generation = next(e["generation"] for e in call.events("playback_start", asked))
    clauses = [e["text"] for e in call.events("agent_response", asked) if e["generation"] == generation and e["text"]]
    stop = next((e["t"] for e in call.events("playback_stop", first)), None)
    await call.until(call.now() + 0.5)
    if stop is None:
        return None  # the answer had ended
    return {"told": heard["text"], "clauses": clauses, "first": first, "stop": stop}


async def to_its_end(call: Call, prompt: str) -> float | None:
    """Ask, and hear the answer out: ms from its last sound to the state that follows it."""
    await call.quiet(SETTLE_S)
    asked = await call.say(prompt)
    while (change := await call.event("state", asked, WHOLE_S)) is not None and change["state"] != "LISTENING":
        asked = change["t"] + 1e-6
    return None if change is None else 1000 * (change["t"] - call.speaker.last_loud())


async def run(args: Namespace) -> dict[str, Any]:
    voice = HibariTts(Settings().weights_dir, Workers(), ENGLISH)
    await voice.warm()
    dice, count = random.Random(5), args.events or LEAST
    over = [clip.audio[round(clip.speech_start * RATE) :] for clip in clips(args.data, "question", "command")]
    verdicts, unknown = [], 0
    async with serve(args) as server:
        for begin in range(0, count, PER_CALL):
            async with dial(server.url, args.transport) as call:
                cuts = []
                for n in range(begin, min(count, begin + PER_CALL)):
                    sound = over[n % len(over)] if n % 2 else None
                    cuts.append(await cut(call, PROMPTS[n % len(PROMPTS)], dice.uniform(0.6, 4.0), sound))
                agent = call.agent()
            for each in filter(None, cuts):
                script = await Script().read(voice, each["clauses"])
                heard = agent[round((each["first"] - 0.1) * RATE) : round((each["stop"] + 0.2) * RATE)]
                at = script.place(heard)
                if at is None:
                    unknown += 1
                    continue
                verdicts.append(each["told"] in {script.until(at + slip) for slip in (-FRAME_S, 0.0, FRAME_S)})
                if not verdicts[-1]:
                    print(f"  {each['stop'] - each['first']:.2f} s of it at {at:.2f} s")
                    print(f"  heard {script.until(at)!r}\n  told  {each['told']!r}")
        ends = []
        for begin in range(0, count, PER_CALL):
            async with dial(server.url, args.transport) as call:
                ends += [await to_its_end(call, SHORT[n % len(SHORT)]) for n in range(begin, min(count, begin + PER_CALL))]
    heard_out = [end for end in ends if end is not None]
    figures = {
        "heard_right": share(verdicts),
        "interruptions": len(verdicts),
        "place_unknown": unknown,
        "last_sound_to_listening_p50_ms": percentile(heard_out, 50),
        "last_sound_to_listening_p95_ms": percentile(heard_out, 95),
        "replies_heard_out": len(heard_out),
    }
    return judge(f"heard text, {args.transport}", figures, TARGETS)
