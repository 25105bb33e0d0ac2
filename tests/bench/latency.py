"""How soon the agent answers a finished sentence, and how often it takes a thinking pause for the end. With `--kind` (as in `lab`),
turns of those kinds, with the pauses that they have."""

import math
from argparse import Namespace
from typing import Any

from tests.bench.clips import LEAST, paused_turns, sentences
from tests.bench.report import judge, percentile, share
from tests.bench.score import paused_takeovers
from tests.bench.server import serve
from tests.bench.takes import answer_latencies, hold, server_spans, turn
from tests.bench.virtual.material import by_kind, few, toned

TARGETS = {
    "response_latency_p50_ms": ("<=", 300.0),
    "response_latency_p95_ms": ("<=", 700.0),
    "response_rate": (">=", 0.98),
    "pause_takeover_rate": ("<=", 0.05),
}
PAUSE_S = (0.4, 1.2)  # the pauses that must be held
NATURAL_S = (0.3, 2.5)  # those of turns that are measured by their kind


async def measure(url: str, args: Namespace, name: str = "latency") -> dict[str, Any]:
    """The figures of the server at `url`."""
    if args.kind:
        of = by_kind(args.data)
        said = [toned(clip) for kind in args.kind for clip in few(of[kind], args.events or LEAST)]
        takes = pauses = await hold(url, args, name, said, turn)
    else:
        takes = await hold(url, args, name, sentences(args.data, args.events), turn)
        pauses = await hold(url, args, f"{name}-pauses", paused_turns(args.data, args.events), turn)
    shortest, longest = NATURAL_S if args.kind else PAUSE_S
    answers = answer_latencies(takes)
    answered = [ms for ms in answers if math.isfinite(ms)]
    held = [verdict for take in pauses for verdict in paused_takeovers(take.recorded, shortest, longest)]
    return {
        "response_latency_p50_ms": percentile(answered, 50),
        "response_latency_p95_ms": percentile(answered, 95),
        "response_latency_max_ms": max(answered, default=math.nan),
        "response_rate": share(math.isfinite(ms) for ms in answers),
        "turns": len(answers),
        "pause_takeover_rate": share(held),
        "pauses": len(held),
        "long_pause_takeover_rate": share(v for take in pauses for v in paused_takeovers(take.recorded, longest + 0.01, 9)),
        "paused_turn_latency_p50_ms": percentile((ms for ms in answer_latencies(pauses) if math.isfinite(ms)), 50),
        **server_spans(takes),
    }


async def run(args: Namespace) -> dict[str, Any]:
    async with serve(args) as server:
        figures = await measure(server.url, args)
    return judge(f"latency, {args.transport}", figures, TARGETS)
