"""What a connection costs while nobody speaks: CPU of the server, in % of one core, with its microphone open."""

import asyncio
from argparse import Namespace
from contextlib import AsyncExitStack
from typing import Any

from tests.bench.client import dial
from tests.bench.report import judge
from tests.bench.server import serve

TARGETS = {"idle_1_cpu_percent": ("<=", 5.0), "idle_10_cpu_percent": ("<=", 20.0)}
SETTLE_S, WATCH_S = 5.0, 20.0


async def run(args: Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    async with serve(args, max_sessions=16) as server, AsyncExitStack() as calls:
        for count, more in ((0, 0), (1, 1), (10, 9)):
            for _ in range(more):
                await calls.enter_async_context(dial(server.url, args.transport))
            await asyncio.sleep(SETTLE_S)
            before = server.cpu_s()
            await asyncio.sleep(WATCH_S)
            figures[f"idle_{count}_cpu_percent"] = 100 * (server.cpu_s() - before) / WATCH_S
            figures[f"idle_{count}_memory_mb"] = server.memory_mb()
    return judge(f"idle connections, {args.transport}", figures, TARGETS)
