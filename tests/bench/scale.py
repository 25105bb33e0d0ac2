"""How latency, CPU and memory grow with conversations at once, for what share of the time the models are behind, how many newcomers
are refused for that, and what happens when the house is full."""

import asyncio
import math
import time
from argparse import Namespace
from contextlib import AsyncExitStack
from typing import Any

import httpx

from tests.bench.client import RefusedError, dial
from tests.bench.clips import sentences
from tests.bench.report import judge, percentile, share
from tests.bench.server import serve
from tests.bench.takes import answer_latencies, hold, turn

COUNTS = (1, 2, 4, 8, 12)
LOOK_S = 1.0  # how often a newcomer asks for a place
TARGETS = {"at_1_latency_p95_ms": ("<=", 700.0), "refused_when_full": (">=", 1.0)}


async def run(args: Namespace) -> dict[str, Any]:
    said = sentences(args.data, args.events)
    figures: dict[str, Any] = {}
    async with serve(args, max_sessions=COUNTS[-1] + 1) as server:
        for count in COUNTS:
            # Everybody says every sentence, so that the counts can be compared, and no two say the same one at once.
            starts = [n * len(said) // count for n in range(count)]
            parts = [said[start:] + said[:start] for start in starts]
            used, begun = server.cpu_s(), time.perf_counter()
            looks: list[tuple[float, bool]] = []
            looking = asyncio.create_task(_look(server.url, looks))
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(hold(server.url, args, f"at{count}-{n}", part, turn)) for n, part in enumerate(parts)
                ]
            cpu = 100 * (server.cpu_s() - used) / (time.perf_counter() - begun)
            looking.cancel()
            answers = answer_latencies([take for task in tasks for take in task.result()])
            answered = [ms for ms in answers if math.isfinite(ms)]
            figures[f"at_{count}_latency_p50_ms"] = percentile(answered, 50)
            figures[f"at_{count}_latency_p95_ms"] = percentile(answered, 95)
            figures[f"at_{count}_response_rate"] = share(math.isfinite(ms) for ms in answers)
            figures[f"at_{count}_cpu_percent"] = cpu
            figures[f"at_{count}_load_max"] = max((load for load, _ in looks), default=math.nan)
            figures[f"at_{count}_newcomers_refused"] = share(refused for _, refused in looks)
            figures[f"at_{count}_memory_mb"] = server.memory_mb()
        figures["refused_when_full"] = await _refused(server.url, args.transport)
    return judge(f"conversations at once, {args.transport}", figures, TARGETS)


async def _look(url: str, looks: list[tuple[float, bool]]) -> None:
    """Again and again: the load, and whether a newcomer is refused."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        while True:
            lines = (await http.get("/metrics")).text.splitlines()
            load = next(float(line.split()[1]) for line in lines if line.startswith("parley_load "))
            looks.append((load, (await http.post("/sessions", json={})).status_code == 503))
            await asyncio.sleep(LOOK_S)


async def _refused(url: str, transport: str) -> int:
    """1 when one call too many is refused in words, 0 when it is taken."""
    async with AsyncExitStack() as calls:
        try:
            for _ in range(COUNTS[-1] + 2):
                await calls.enter_async_context(dial(url, transport))
        except RefusedError as refusal:
            print(f"  one more: {refusal}")
            return 1
    return 0
