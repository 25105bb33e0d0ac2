"""How fast the agent falls silent: when the client says so, and when somebody talks over it."""

import random
from argparse import Namespace
from typing import Any

from tests.bench.client import Call
from tests.bench.clips import LEAST, clips
from tests.bench.duplex import Overlap, ducks, over
from tests.bench.report import judge, percentile
from tests.bench.score import UserEvent, panel
from tests.bench.server import serve
from tests.bench.takes import ANSWER_S, PROMPTS, SETTLE_S, Take, hold

TARGETS = {
    "interrupt_to_silence_p95_ms": ("<=", 50.0),
    "onset_to_duck_p95_ms": ("<=", 100.0),
    "yield_latency_p50_ms": ("<=", 300.0),
    "yield_rate": (">=", 0.98),
}
HOP_S = 0.002


async def stop(call: Call, item: tuple[str, float]) -> list[UserEvent]:
    """Ask, and press stop so many seconds into the answer."""
    prompt, after = item
    await call.quiet(SETTLE_S)
    first = await call.audible(await call.say(prompt), ANSWER_S)
    if first is None:
        return []
    await call.until(first + after)
    await call.interrupt()
    await call.until(call.now() + 1.0)
    return []


def silences(takes: list[Take]) -> list[float]:
    """Milliseconds from each interrupt that met a sounding agent to its last sound."""
    return [
        1000 * (end - message["t"])
        for take in takes
        for message in (m for m in take.log if m["type"] == "interrupt")
        for start, end in take.recorded.agent
        if start <= message["t"] < end
    ]


async def run(args: Namespace) -> dict[str, Any]:
    dice = random.Random(11)
    count = args.events or LEAST
    stops = [(PROMPTS[n % len(PROMPTS)], dice.uniform(0.6, 3.0)) for n in range(count)]
    voices = clips(args.data, "question", "command")
    overlaps = [
        Overlap("interruption", dice.choice(PROMPTS), voices[n % len(voices)], dice.uniform(0.8, 3.0), 0.0)
        for n in range(count)
    ]
    async with serve(args) as server:
        stopped = await hold(server.url, args, "stops", stops, stop, HOP_S)
        talked = await hold(server.url, args, "barge-in", overlaps, over, HOP_S)
    silent, yields = silences(stopped), panel([take.recorded for take in talked])
    figures = {
        "interrupt_to_silence_p50_ms": percentile(silent, 50),
        "interrupt_to_silence_p95_ms": percentile(silent, 95),
        "interrupts": len(silent),
        "onset_to_duck_p50_ms": percentile(ducks(talked), 50),
        "onset_to_duck_p95_ms": percentile(ducks(talked), 95),
        **{key: yields[key] for key in ("yield_rate", "yield_latency_p50_ms", "yield_latency_p95_ms", "events_interruption")},
    }
    return judge(f"barge-in, {args.transport}", figures, TARGETS)
