"""What each call of a model takes on this machine, for the table that the program `lab` goes by (tests/bench/virtual/costs.json).

Conversations are held as in `lab`, and every call is timed as it comes, one at a time: nothing else should run meanwhile, or this
before everything else (`chrt --rr 1 python -m tests.bench calibrate`, for a minute). A call of some length is made several times,
and its shortest time counts; what is shorter is made often anyway, and keeps the state of a conversation, which must not take a
step twice. The table gets the least squares of the relative errors over the length of the audio and of the text, without negative
parts, and the median where neither length matters. Functions that the run did not meet keep the figures they had."""

import json
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression

from tests.bench.clips import LEAST, RATE, Clip, clips, room_tone, scenarios
from tests.bench.duplex import over, plan
from tests.bench.report import judge
from tests.bench.takes import turn
from tests.bench.virtual.call import Stage
from tests.bench.virtual.costs import TABLE, Cost, Costs, Size, size
from tests.bench.virtual.hold import hold
from tests.bench.virtual.material import of_kind
from tests.bench.virtual.settings import settings_of
from tests.bench.virtual.workers import VirtualWorkers

AGAIN = 3  # times that a call of LONG_MS or more is made
LONG_MS = 5.0
EVENTS = 2  # of each kind of overlap
LONG, BREATH_S = (2, 3), 0.1  # recordings in a turn, and the silence after each
SAID = ("answer", "statement", "request", "question", "open_question", "command", "turn", "utt")
Sample = tuple[Size, float, float]  # what it is about, ms, cores


class Timing(VirtualWorkers):
    """Times what it computes. `samples` has what was met, by the name of the call."""

    def __init__(self) -> None:
        super().__init__(Costs({}))
        self.samples: defaultdict[str, list[Sample]] = defaultdict(list)

    def work(self, name: str, compute: Callable[[], Any], args: tuple[object, ...]) -> tuple[float, float, Any]:
        ms, cores, result = self._timed(compute)
        for _ in range(AGAIN - 1 if ms >= LONG_MS and not isinstance(result, Exception) else 0):
            again_ms, again_cores, result = self._timed(compute)
            if again_ms < ms:
                ms, cores = again_ms, again_cores
        self.samples[name].append((size(args, result), ms, cores))
        return ms, 1.0, result

    def _timed(self, compute: Callable[[], Any]) -> tuple[float, float, Any]:
        """Milliseconds that it took, cores that it kept busy, and the result or what it raised."""
        self._known.clear()
        began, worked = time.perf_counter(), time.process_time()
        try:
            result = compute()
        except Exception as error:
            result = error
        seconds = time.perf_counter() - began
        return seconds * 1000, (time.process_time() - worked) / seconds, result


def fitted(samples: list[Sample]) -> Cost:
    """The cost of a call by its samples; a length that hardly varies is left out."""
    cores = max(1.0, float(np.median([cores for _, _, cores in samples])))
    lengths = np.array([[of.seconds, of.chars] for of, _, _ in samples], float)
    ms = np.array([ms for _, ms, _ in samples])
    lengths[:, lengths.std(axis=0) < 0.05 * (lengths.mean(axis=0) + 1e-9)] = 0.0
    if len(samples) < 8 or not lengths.any() or np.median(ms) < 1.0:
        fixed, second, char = float(np.median(ms)), 0.0, 0.0
    else:
        model = LinearRegression(positive=True).fit(lengths, ms, 1 / np.square(ms))
        second, char = map(float, model.coef_)
        fixed = max(0.0, float(model.intercept_)) if second or char else float(np.median(ms))
    return Cost(round(fixed, 2), round(second, 2), round(char, 3), round(cores, 2))


def joined(said: Sequence[Clip]) -> Clip:
    """A long turn: these, with a breath between them."""
    audio = np.concatenate([part for clip in said for part in (clip.audio, room_tone(clip.audio, BREATH_S))])
    return Clip(f"long-{len(said)}", "statement", said[0].path, 0.0, len(audio) / RATE - BREATH_S, edited=audio)


def run(args: Namespace) -> dict[str, Any]:
    timing = Timing()
    stage = Stage(settings_of(args), timing.costs, timing)
    said = [clip for clip in clips(args.data) if clip.kind in SAID]
    Random(3).shuffle(said)
    for at, clip in enumerate([*said[: args.events or LEAST], *(joined(said[:count]) for count in LONG)]):
        hold(stage, f"calibrate-{at}", [clip], turn)
    overlaps = plan(clips(args.data), scenarios(args.data), EVENTS)
    kinds = dict.fromkeys(overlap.kind for overlap in overlaps)
    for at, overlap in enumerate(o for kind in kinds for o in of_kind(overlaps, kind, EVENTS)):
        hold(stage, f"calibrate-over-{at}", [overlap], over)
    table = {name: fitted(samples) for name, samples in sorted(timing.samples.items())}
    known = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    known |= {name: cost._asdict() for name, cost in table.items()}
    TABLE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", "utf-8")
    figures: dict[str, Any] = {}
    for name, cost in table.items():
        ms = np.array([ms for _, ms, _ in timing.samples[name]])
        errors = np.array([cost.ms(of) for of, _, _ in timing.samples[name]]) - ms
        figures |= {f"{name}: calls": len(ms), f"{name}: p50 ms": float(np.median(ms))}
        figures[f"{name}: error p50 ms"] = float(np.median(np.abs(errors)))
    return judge(f"what a call takes, now in {TABLE.name}", figures, {})
