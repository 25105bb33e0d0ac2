"""Turn after turn for an hour (`--minutes`): does the server keep its size, its tasks, its handles and its pace?"""

import asyncio
import math
import re
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle, islice
from typing import Any

import httpx

from tests.bench.clips import sentences
from tests.bench.report import judge, percentile, share
from tests.bench.server import Server, serve
from tests.bench.takes import PER_CALL, answer_latencies, hold, turn

LOOK_S = 5.0  # between two looks at the memory
HUNG_UP_S = 2.0  # after a call the server closes what belonged to it
PARTS = 10  # of the run
SETTLE_S = 90.0  # at least: caches fill, and conversations without a connection stay in memory for 60 s
TARGETS = {
    "memory_growth": ("<=", 1.05),
    "tasks_more": ("<=", 0.0),
    "handles_more": ("<=", 0.0),
    "threads_more": ("<=", 0.0),
    "response_p95_growth": ("<=", 1.2),
    "response_rate": (">=", 0.98),
}
Row = tuple[float, float]  # seconds since the start, value


async def opened(server: Server, http: httpx.AsyncClient) -> dict[str, float]:
    """What the server has open now."""
    found = re.search(r"^parley_tasks ([\d.]+)", (await http.get("/metrics")).text, re.MULTILINE)
    return {"tasks": float(found[1]) if found else math.nan, "handles": server.handles(), "threads": server.threads()}


def parts(rows: Sequence[Row], settled: float, end: float, count: int) -> list[list[float]]:
    """The values from `settled` to `end` (s) in `count` stretches of equal length."""
    length = (end - settled) / count
    found: list[list[float]] = [[] for _ in range(count)]
    for at, value in rows:
        if settled <= at <= end:
            found[min(count - 1, int((at - settled) / length))].append(value)
    return found


def growth(held: dict[str, list[Row]], settled: float, end: float) -> dict[str, Any]:
    """The first settled part of the run against the last: the mean of memory, and the median of what is counted between calls, for
    one look may find a call that has not quite ended."""
    memory = [sum(part) / len(part) if part else math.nan for part in parts(held["memory_mb"], settled, end, PARTS - 1)]
    figures: dict[str, Any] = {
        "memory_first_mb": memory[0],
        "memory_last_mb": memory[-1],
        "memory_growth": memory[-1] / memory[0],
    }
    for name in ("tasks", "handles", "threads"):
        middle = [percentile(part, 50) for part in parts(held[name], settled, end, PARTS - 1)]
        figures |= {f"{name}_first": middle[0], f"{name}_last": middle[-1], f"{name}_more": middle[-1] - middle[0]}
    return figures


async def run(args: Namespace) -> dict[str, Any]:
    held: dict[str, list[Row]] = {name: [] for name in ("memory_mb", "tasks", "handles", "threads")}
    answers: list[Row] = []
    said = cycle(sentences(args.data, 0))
    async with serve(args) as server, httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        if server.pid is None:
            raise SystemExit("soak looks into a server on this machine: name one, or leave out --server")
        begun = time.monotonic()

        async def watch() -> None:
            while True:
                held["memory_mb"].append((time.monotonic() - begun, server.memory_mb()))
                await asyncio.sleep(LOOK_S)

        watching = asyncio.create_task(watch())
        while (now := time.monotonic() - begun) < 60 * args.minutes and not watching.done():
            takes = await hold(server.url, args, "soak", list(islice(said, PER_CALL)), turn)
            answers += [(now, ms) for ms in answer_latencies(takes)]
            await asyncio.sleep(HUNG_UP_S)
            for name, value in (await opened(server, http)).items():
                held[name].append((time.monotonic() - begun, value))
        end = time.monotonic() - begun
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    settled = max(end / PARTS, SETTLE_S)
    first, last = parts([row for row in answers if math.isfinite(row[1])], settled, end, 2)
    figures = {
        "minutes": end / 60,
        "turns": len(answers),
        "response_rate": share(math.isfinite(ms) for _, ms in answers),
        "response_latency_p95_first_ms": percentile(first, 95),
        "response_latency_p95_last_ms": percentile(last, 95),
        "response_p95_growth": percentile(last, 95) / percentile(first, 95),
        **growth(held, settled, end),
    }
    return {**judge(f"soak, {args.transport}", figures, TARGETS), "held": held}
