"""How soon the agent answers a finished sentence, and how often it takes a thinking pause for the end."""

import math
from argparse import Namespace
from typing import Any

from tests.bench.clips import paused_turns, sentences
from tests.bench.report import judge, percentile, share
from tests.bench.score import paused_takeovers
from tests.bench.server import serve
from tests.bench.takes import answer_latencies, hold, server_spans, turn

TARGETS = {
    "response_latency_p50_ms": ("<=", 300.0),
    "response_latency_p95_ms": ("<=", 700.0),
    "response_rate": (">=", 0.98),
    "pause_takeover_rate": ("<=", 0.05),
}
PAUSE_S = (0.4, 1.2)  # the pauses that must be held


async def measure(url: str, args: Namespace, name: str = "latency") -> dict[str, Any]:
    """The figures of the server at `url`."""
    takes = await hold(url, args, name, sentences(args.data, args.events), turn)
    pauses = await hold(url, args, f"{name}-pauses", paused_turns(args.data, args.events), turn)
    answers = answer_latencies(takes)
    answered = [ms for ms in answers if math.isfinite(ms)]
    held = [verdict for take in pauses for verdict in paused_takeovers(take.recorded, *PAUSE_S)]
    return {
        "response_latency_p50_ms": percentile(answered, 50),
        "response_latency_p95_ms": percentile(answered, 95),
        "response_latency_max_ms": max(answered, default=math.nan),
        "response_rate": share(math.isfinite(ms) for ms in answers),
        "turns": len(answers),
        "pause_takeover_rate": share(held),
        "pauses": len(held),
        "long_pause_takeover_rate": share(v for take in pauses for v in paused_takeovers(take.recorded, PAUSE_S[1] + 0.01, 9)),
        "paused_turn_latency_p50_ms": percentile((ms for ms in answer_latencies(pauses) if math.isfinite(ms)), 50),
        **server_spans(takes),
    }


async def run(args: Namespace) -> dict[str, Any]:
    async with serve(args) as server:
        figures = await measure(server.url, args)
    return judge(f"latency, {args.transport}", figures, TARGETS)
