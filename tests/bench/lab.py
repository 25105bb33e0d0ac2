"""The laboratory: whole conversations in virtual time, as fast as the machine can compute and with the same figures twice.

The session, the models and the recordings are real; only the time is not: a call of a model takes what the table of `calibrate`
says (tests/bench/virtual). Turns are told apart by kind, and sounds that nobody means for the agent are kinds of their own. The
programs that run in real time have the last word."""

import math
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from tests.bench.report import judge
from tests.bench.virtual import stock
from tests.bench.virtual.figures import Turn, of_overlaps, of_sounds, of_turns
from tests.bench.virtual.material import KINDS, OVERLAP, SOUNDS, conversations
from tests.bench.virtual.run import everything

LATENCY = {  # of each kind: (p50, p95) in ms
    "question": (300.0, 700.0),
    "request": (300.0, 700.0),
    "command": (300.0, 700.0),
    "answer": (500.0, 1200.0),
    "short_answer": (350.0, 1200.0),
    "statement": (600.0, 1200.0),
}
TAKEN = {"low": 0.02, "medium": 0.05, "high": 0.12}  # pauses, by eagerness
LOST = 0.005
INVENTED = 0.05
DUPLEX = {
    "yield_rate": (">=", 0.98),
    "yield_latency_p50_ms": ("<=", 300.0),
    "yield_latency_p95_ms": ("<=", 500.0),
    "selectivity_backchannel": (">=", 0.92),
    "selectivity_non_directed": (">=", 0.80),
}
COLUMNS = (  # heading, key, digits after the point
    ("turns", "turns", 0),
    ("answered", "response_rate", 3),
    ("lost", "lost", 0),
    ("no text", "no_text", 0),
    ("p50 ms", "response_latency_p50_ms", 0),
    ("p95 ms", "response_latency_p95_ms", 0),
    ("pauses", "pauses", 0),
    ("taken", "pause_takeovers", 0),
    ("share", "pause_takeover_rate", 3),
    ("repaired", "repaired", 0),
    ("reopened", "reopened", 0),
    ("chars wrong", "characters_wrong", 3),
)

BESIDE = (
    ("chars wrong", "characters_wrong", 3),
    ("stock", "stock_characters_wrong", 3),
    ("no text", "no_text", 0),
    ("stock", "stock_no_text", 0),
    ("taken", "pause_takeovers", 0),
    ("Pipecat", "pipecat_pause_takeovers", 0),
    ("p50 ms", "response_latency_p50_ms", 0),
    ("Pipecat", "pipecat_latency_p50_ms", 0),
    ("p95 ms", "response_latency_p95_ms", 0),
    ("Pipecat", "pipecat_latency_p95_ms", 0),
)


def table(rows: dict[str, dict[str, Any]], columns: Sequence[tuple[str, str, int]] = COLUMNS) -> None:
    width = max(map(len, rows), default=0) + 2
    print(" " * width + "".join(f"{heading:>13}" for heading, _, _ in columns))
    for name, figures in rows.items():
        cells = (f"{figures[key]:>13.{digits}f}" if key in figures else f"{'':>13}" for _, key, digits in columns)
        print(f"{name:<{width}}" + "".join(cells))


def beside(others: dict[str, dict[str, Any]], kinds: dict[str, dict[str, Any]]) -> None:
    """What others make of the same recordings, added to our figures."""
    for kind, figures in others.items():
        kinds[kind] |= figures
        if kind in SOUNDS:
            print(f"  {kind}: stock Whisper invents words on {figures['stock_clips'] - figures['stock_no_text']}")
    table({kind: kinds[kind] for kind in others if kind not in SOUNDS}, BESIDE)


def by_field(found: Sequence[Turn], field: str) -> dict[str, dict[str, Any]]:
    names = sorted({(one.kind, str(one.row.get(field, "-"))) for one in found})
    return {
        f"{kind}, {value}": of_turns([t for t in found if t.kind == kind and str(t.row.get(field, "-")) == value])
        for kind, value in names
    }


def targets(kinds: dict[str, dict[str, Any]], eagerness: str) -> dict[str, tuple[str, float]]:
    """What each kind that was measured has to reach, under the key `kind_figure`."""
    found: dict[str, tuple[str, float]] = {}
    for kind, figures in kinds.items():
        if kind in LATENCY:
            found[f"{kind}_lost_rate"] = ("<=", LOST)
            if figures["pauses"]:
                found[f"{kind}_pause_takeover_rate"] = ("<=", TAKEN[eagerness])
            if eagerness == "medium":
                p50, p95 = LATENCY[kind]
                found[f"{kind}_response_latency_p50_ms"], found[f"{kind}_response_latency_p95_ms"] = ("<=", p50), ("<=", p95)
        if kind in ("noise", "music"):
            found[f"{kind}_invented_rate"] = ("<=", INVENTED)
    return found


def run(args: Namespace) -> dict[str, Any]:
    wanted = args.kind or KINDS
    if unknown := set(wanted) - set(KINDS):
        raise SystemExit(f"no such kind: {', '.join(sorted(unknown))} (there are {', '.join(KINDS)})")
    began = time.perf_counter()
    found = everything(args, conversations(args.data, wanted, args.fast, args.events, args.asked))
    kinds: dict[str, dict[str, Any]] = {}
    for kind in wanted:
        if said := [one for one in found.turns if one.kind == kind]:
            kinds[kind] = of_turns(said)
            kinds[kind]["lost_rate"] = kinds[kind]["lost"] / len(said)
        if heard := [one for one in found.sounds if one.kind == kind]:
            kinds[kind] = of_sounds(heard)
    table({kind: figures for kind, figures in kinds.items() if kind not in SOUNDS})
    for kind in filter(kinds.__contains__, SOUNDS):
        print(
            f"  {kind}: words invented on {kinds[kind]['invented']} of {kinds[kind]['clips']}, {kinds[kind]['answered']} answered"
        )
    if args.stock:
        beside(stock.figures(found.others), kinds)
    if args.by:
        table(by_field(found.turns, args.by))
    flat = {f"{kind}_{key}": value for kind, figures in kinds.items() for key, value in figures.items() if not _empty(value)}
    aims = targets(kinds, args.eagerness or "medium")
    shown = {key: flat[key] for key in aims if key in flat}
    for kind, talks in found.overlaps.items():
        before = "" if kind == OVERLAP else f"{kind}_"
        panel = {f"{before}{key}": value for key, value in of_overlaps(talks).items() if not (before and _empty(value))}
        aimed = {f"{before}{key}": aim for key, aim in DUPLEX.items() if f"{before}{key}" in panel}
        flat, shown, aims = flat | panel, shown | panel, aims | aimed
    if found.missing:
        print(f"  the table of costs lacks {', '.join(sorted(found.missing))}: run `python -m tests.bench calibrate`")
    print(f"  {time.perf_counter() - began:.0f} s")
    judged = judge("the laboratory", shown, aims)
    details = [
        {
            "id": t.id,
            "kind": t.kind,
            "heard": t.heard,
            "answered": t.answered,
            "latency_ms": t.latency_ms,
            "taken": sum(t.taken),
        }
        for t in found.turns
    ]
    return {**flat, **judged, "kinds": kinds, "missing_costs": sorted(found.missing), "turns": details}


def _empty(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
