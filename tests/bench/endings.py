"""When a turn is taken for over, for each kind of turn and each eagerness: how long after its end, and how many of its pauses.
Beside it stands Pipecat's rule on the same silences. Every figure is of speakers that the weights in use for it were not made from:
they are fitted again for each speaker, and recordings that are for measuring only are in none.

`--fit` makes the weights of `languages/en/endpointing.json` and `endings.json`, `--draw FILE` the picture of docs/turn-taking.md.
"""

import json
import math
import zlib
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.turn_taking.endpointing import (
    LEAST_MS,
    TAKEN_MS,
    WEIGHTS,
    WORD_MS,
    EndpointingModel,
    Lengths,
    features,
    is_dictation,
    own_pace,
)
from languages.en import LANGUAGE as ENGLISH
from services.stt.speech_judge import ENDINGS
from tests.bench.report import judge, percentile, share
from tests.bench.silences import FORMS, Silence, silences

TARGETS = {  # of each kind at medium: p50 and p95 (ms) from the end to the first sound
    "answer": (500.0, 1200.0),
    "short": (350.0, 1200.0),
    "statement": (600.0, 1200.0),
    "request": (300.0, 700.0),
    "question": (300.0, 700.0),
}
TAKEN = {"low": 0.02, "medium": 0.05, "high": 0.12}  # pauses that may be
NATURAL_MS = 300.0  # pauses that are counted
SETTLED_MS = 200.0  # text and melody are known no sooner after the last voice
CUT_MS = (400.0, 600.0, 800.0, 1000.0, 1200.0)  # pauses that are taken to follow a sentence cut short
HEARD = tuple(f"{form}_{kind}" for form in FORMS for kind in ("answer", "statement", "request", "question"))
KINDS = ("answer", "short", "begun", "phone", "address", "spelled", "statement", "request", "question", "read", *HEARD)
SURE = 0.5  # Pipecat's threshold
SOUND_MS = 30.0  # from the end of a turn to the first sound of a reply that is ready
PIPECAT_MS = (260.0, 3060.0)  # it answers after, as the model says
CURVE_MS = (200.0, 300.0, 400.0, 600.0, 800.0, 1000.0, 1500.0, 2000.0, 3000.0, 5000.0, 10000.0, 20000.0)  # costs of the curve
# Whose ends are drawn against whose pauses: a few words may be whole or the beginning of more.
CURVES = (("answer", "answer"), ("statement", "statement"), ("request", "request"), ("read", "read"), ("short", "begun"))
MARKS = (("v", None, [TAKEN_MS["low"]]), ("^", None, [TAKEN_MS["medium"]]), ("o", None, [TAKEN_MS["high"]]), ("x", None, [0.0]))
COSTS_MS = sorted({*CURVE_MS, *TAKEN_MS.values()})

# What the weights are before anything is seen, and how sure that is (standard deviation). Without a prior: 0 and 1.
PRIORS = {
    # Of 8,328 places in 3,000 turns of task dialogues (Schema-Guided Dialogue, Google, CC BY-SA 4.0) that are after such a word
    # 128 are the end of a sentence, of 16,378 others 4,076.
    "unfinished": (-3.0, 0.3),
    # Who answers a question with a sentence has mostly finished: about 4.5 times as often as who tells something. Recordings of
    # answers to a known question are few, and for measuring only.
    "asked": (1.5, 0.3),
    # Of the turns of those dialogues 13 % have no more than three words. Of 95 longer ones that were recorded 9 pause for 0.3 s and
    # more within the first three, which makes 1.6 to 1. The recordings themselves were chosen for their pauses.
    "brief": (0.5, 0.1),
    "acknowledges": (1.0, 0.3),
    "trails_off": (-2.0, 1.0),  # speech-to-text writes dots where somebody breaks off
    "other": (0.0, 3.0),
    # Of a long turn the recogniser reads the end of a window, and then cannot tell.
    "closed": (0.2, 0.1),
    "dictation": (0.0, 3.0),
    "dictation_whole": (3.0, 1.0),
    "given": (1.5, 0.3),  # see ANSWERS of languages/en/wording.py
    # REGULARISATION keeps the odds small. Of statements and requests there are few: with more room their speakers' ends are
    # learned, and those of another source are told worse.
    "ending": (5.0, 1.0),
    "dictation_ending": (0.0, 8.0),
}
CUT_WEIGHT = 0.4  # of a sentence that is cut short, beside a pause that somebody made: each is cut in four places
READ_WEIGHT = 0.5  # of what is read from a book
# Of the weights of a voice's last sound. With thirty times as much room they tell the ends of other speakers better (log loss 0.31
# in place of 0.33), and those of recordings from another source worse than can be told without them (0.57 and 0.51; 0.50 as here):
# they have learned the microphones.
REGULARISATION = 3e-4
FOLDS = 8  # of speakers, for the last sounds of those that weights are made from


def weight_of(one: Silence) -> float:
    if one.cut:
        return CUT_WEIGHT
    return READ_WEIGHT if one.kind == "read" else 1.0


class Voice(NamedTuple):
    """What tells the last sound of a turn from that before a pause: a logistic regression on Whisper's encoder."""

    weights: NDArray[np.float64]
    bias: float

    @classmethod
    def of(cls, seen: Sequence[Silence]) -> "Voice":
        model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=500))
        model.fit(
            np.array([one.sound for one in seen]),
            [one.ended for one in seen],
            logisticregression__sample_weight=[weight_of(one) for one in seen],
        )
        scaler, regression = model.named_steps.values()
        weights = regression.coef_[0] / scaler.scale_
        return cls(weights, float(regression.intercept_[0] - weights @ scaler.mean_))

    def heard(self, seen: Sequence[Silence]) -> list[Silence]:
        """The same silences, each with how it sounds by these weights."""
        return [replace(one, ending=float(1 / (1 + np.exp(-(np.array(one.sound) @ self.weights + self.bias))))) for one in seen]


def by_others(seen: Sequence[Silence]) -> list[Silence]:
    """The silences, each with how it sounds by weights that are made from other speakers, in FOLDS parts."""
    part = [zlib.crc32(one.speaker.encode()) % FOLDS for one in seen]
    found: list[Silence] = []
    for n in sorted(set(part)):
        others = [one for one, at in zip(seen, part, strict=True) if at != n]
        found += Voice.of(others).heard([one for one, at in zip(seen, part, strict=True) if at == n])
    return found


def fit(seen: Sequence[Silence]) -> EndpointingModel:
    """The most probable weights (a logistic regression with priors), and the lengths of pauses (log-logistic)."""
    pauses = [one for one in seen if not one.ended and not one.cut]
    return EndpointingModel(
        ENGLISH.wording,
        _weights(seen),
        _weights([replace(one, ending=None) for one in seen]),
        {
            name: _lengths([one for one in pauses if is_dictation(ENGLISH.wording, one.said()) is dictated])
            for name, dictated in (("dictated", True), ("other", False))
        },
    )


def _weights(seen: Sequence[Silence]) -> dict[str, float]:
    """Each silence counts by halves: with what the agent said last, and without."""
    found = [features(ENGLISH.wording, one.said(asked)) for asked in (True, False) for one in seen]
    assumed = {name for name, (mean, _) in PRIORS.items() if mean}  # also where no recording has it
    names = sorted(assumed.union(name for row in found for name, value in row.items() if value))
    known = np.array([[row.get(name, 0.0) for name in names] for row in found])
    sign = np.array([1.0 if one.ended else -1.0 for one in seen] * 2)
    counts = np.array([weight_of(one) / 2 for one in seen] * 2)
    mean, spread = np.array([PRIORS.get(name, (0.0, 1.0)) for name in names]).T

    def cost(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin, away = sign * (known @ weights), (weights - mean) / spread
        slope = -(counts * sign / (1 + np.exp(margin))) @ known + away / spread
        return float(counts @ np.logaddexp(0, -margin) + (away @ away) / 2), slope

    best = minimize(cost, mean, jac=True, method="L-BFGS-B").x
    return {name: round(float(weight), 3) for name, weight in zip(names, best, strict=True)}


def _lengths(pauses: Sequence[Silence]) -> Lengths:
    """Median, spread and the speaker's own pace of pauses of LEAST_MS and more; the logarithm of their length is logistic."""
    ms = np.log([one.length_ms for one in pauses])
    least = math.log(LEAST_MS - 16)

    def cost(given: NDArray[np.float64]) -> float:
        usual, own, spread = given[0], given[1], math.exp(given[2])
        middle = usual + own * np.array([own_pace(one.pauses, usual) for one in pauses])
        z, first = (ms - middle) / spread, (least - middle) / spread
        return float((z + 2 * np.logaddexp(0, -z) + given[2] - np.logaddexp(0, first)).sum() + own**2 / 2)

    usual, own, spread = minimize(cost, np.array([math.log(450), 0.3, -1.0]), method="Nelder-Mead").x
    return Lengths(round(float(usual), 3), round(math.exp(spread), 3), round(float(own), 3))


def usable(seen: Sequence[Silence]) -> list[Silence]:
    """Those that weights may be made from: not what is for measuring only, and recordings as they are. With half of them by
    telephone and half through Opus beside, at a third of the weight, these are told better (log loss 0.321 and 0.224 become 0.312
    and 0.220), and recordings of another source worse (0.585 becomes 0.612)."""
    return [one for one in seen if not one.measure_only and not one.form]


def held_out(seen: Sequence[Silence]) -> Iterator[tuple[EndpointingModel, list[Silence]]]:
    """Every speaker's silences, in every form, with a model that is made from the others'."""
    known = usable(seen)
    for speaker in sorted({one.speaker for one in known}):
        others = [one for one in known if one.speaker != speaker]
        mine = [one for one in seen if one.speaker == speaker and not one.measure_only]
        yield fit(by_others(others)), Voice.of(others).heard(mine)
    yield fit(by_others(known)), Voice.of(known).heard([one for one in seen if one.measure_only])


@dataclass(frozen=True, slots=True)
class Judged:
    """A silence, the probability that it is an end, and by cost of a taken pause the silence (ms) that is waited for."""

    silence: Silence
    probability: float
    waits: Mapping[float, float]

    def wait(self, cost: float) -> float:
        """The silence that is required at this cost of a taken pause; at 0 by Pipecat's rule, less what is added to all."""
        return self.waits[cost] if cost else PIPECAT_MS[self.silence.later <= SURE] - SOUND_MS

    def heard_ms(self, wait: float) -> float:
        """From the end of the speech to the first sound, if so long a silence is waited for."""
        return max(wait, SETTLED_MS) + self.silence.late_ms + SOUND_MS


def judged(models: Iterable[tuple[EndpointingModel, list[Silence]]], asked: bool) -> list[Judged]:
    """`models`: by `held_out`; `asked`: whether it is known what the agent said last."""
    found = []
    for model, others in models:
        for one in others:
            said = one.said(asked)
            fixed = WORD_MS if ENGLISH.wording.is_wordless(said.text) else LEAST_MS if said.is_complete_command else None
            waits = {cost: fixed or model.silence(said, cost, one.pauses) for cost in COSTS_MS}
            found.append(Judged(one, model.probability(said), waits))
    return found


class Figures(NamedTuple):
    """Of a kind of turn: the ms from the end of the speech to the first sound, by end, and how many of the pauses are taken."""

    ends: list[float]
    pauses: int
    taken: int

    @property
    def share(self) -> float:
        return self.taken / self.pauses if self.pauses else 0.0


def of_kind(kind: str, found: Sequence[Judged], cost: float) -> Figures:
    """`cost`: of a taken pause; 0 for Pipecat's rule."""
    mine = [one for one in found if kind in one.silence.kinds and not one.silence.cut]
    ends = [one.heard_ms(one.wait(cost)) for one in mine if one.silence.ended]
    pauses = [one for one in mine if not one.silence.ended and one.silence.length_ms >= NATURAL_MS]
    return Figures(ends, len(pauses), sum(one.silence.length_ms >= one.wait(cost) for one in pauses))


def table(found: Sequence[Judged]) -> dict[str, float]:
    rules: list[tuple[str, float]] = [*TAKEN_MS.items(), ("pipecat", 0.0)]
    figures: dict[str, float] = {}
    print(f"{'':<20}{'ends':>6}{'pauses':>8}" + "".join(f"{name:>26}" for name, _ in rules))
    for kind in KINDS:
        of = {name: of_kind(kind, found, cost) for name, cost in rules}
        cells = "".join(
            f"{percentile(one.ends, 50):>10.0f} /{percentile(one.ends, 95):>5.0f} {one.taken:>3} {one.share:>4.0%}"
            for one in of.values()
        )
        print(f"{kind:<20}{len(of['medium'].ends):>6}{of['medium'].pauses:>8}{cells}")
        for name, one in of.items():
            figures |= {f"{kind}_{name}_p50_ms": percentile(one.ends, 50), f"{kind}_{name}_p95_ms": percentile(one.ends, 95)}
            figures[f"{kind}_{name}_taken"] = one.share
    return figures


def sureness(found: Sequence[Judged]) -> dict[str, float]:
    """How well ends are told from pauses, of other speakers and of recordings that are for measuring only."""
    figures: dict[str, float] = {}
    whole = [one for one in found if not one.silence.cut]
    of = {
        "others": [one for one in whole if not one.silence.measure_only and not one.silence.form],
        "measure_only": [one for one in whole if one.silence.measure_only and not one.silence.form],
        **{form: [one for one in whole if not one.silence.measure_only and one.silence.form == form] for form in FORMS},
    }
    for name, mine in of.items():
        ended, sure = [one.silence.ended for one in mine], [one.probability for one in mine]
        if len(set(ended)) == 2:
            figures |= {f"{name}_auc": float(roc_auc_score(ended, sure)), f"{name}_log_loss": float(log_loss(ended, sure))}
            for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)):
                within = [end for end, p in zip(ended, sure, strict=True) if low <= p < high or p == high == 1.0]
                print(f"  {name}: of {len(within)} with a probability of {low} to {high} ended {share(within):.2f}")
    return figures


def draw(found: Sequence[Judged], file: Path) -> None:
    """The curves of latency against pauses taken."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, quantile in zip(figure.subplots(1, 2, sharey=True), (50, 95), strict=True):
        for colour, (kind, paused) in zip(("C0", "C1", "C2", "C3", "C4"), CURVES, strict=True):
            for mark, label, costs in (("-", kind, CURVE_MS), *MARKS):
                x = [percentile(of_kind(kind, found, cost).ends, quantile) for cost in costs]
                y = [100 * of_kind(paused, found, cost).share for cost in costs]
                axes.plot(x, y, colour + mark, label=label)
        axes.set_xlabel(f"ms from the end to the first sound, {quantile} % of turns")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("% of pauses of 0.3 s and more taken for the end")
    figure.axes[0].legend(title="▼ low  ▲ medium  ● high  × Pipecat's rule")
    figure.savefig(file, dpi=110)


def run(args: Namespace) -> dict[str, Any]:
    seen = silences(args.data)
    models = list(held_out(seen))
    print("what the agent said last is not known")
    unasked = table(judged(models, asked=False))
    print("what the agent said last is known, where the recordings tell it")
    found = judged(models, asked=True)
    figures = {**table(found), **sureness(found)}
    cut = [one for one in found if one.silence.cut]
    figures["cut_short_taken"] = share(one.waits[TAKEN_MS["medium"]] < ms for one in cut for ms in CUT_MS)
    figures |= {f"unasked_{name}": value for name, value in unasked.items() if "_medium_" in name}
    if args.fit:
        known = usable(seen)
        model, voice = fit(by_others(known)), Voice.of(known)
        lengths = {name: one._asdict() for name, one in model.pauses.items()}
        (ENGLISH.folder / WEIGHTS).write_text(
            json.dumps({"weights": model.weights, "unheard": model.unheard, "pauses": lengths}, indent=2) + "\n", "utf-8"
        )
        stored = {"weights": [round(float(weight), 5) for weight in voice.weights], "bias": round(voice.bias, 5)}
        (ENGLISH.folder / ENDINGS).write_text(json.dumps(stored) + "\n", "utf-8")
    if args.draw:
        draw(found, args.draw)
    aims: dict[str, tuple[str, float]] = {}
    for kind, (p50, p95) in TARGETS.items():
        aims |= {f"{kind}_medium_p50_ms": ("<=", p50), f"{kind}_medium_p95_ms": ("<=", p95)}
        aims |= {f"{kind}_{name}_taken": ("<=", most) for name, most in TAKEN.items()}
    return {**figures, **judge("the end of a turn", {name: figures[name] for name in aims}, aims)}
