"""From the start of the process to the first page, to being ready to talk, and the first answer of a fresh server."""

import math
from argparse import Namespace
from typing import Any

from tests.bench.clips import sentences
from tests.bench.report import judge, percentile
from tests.bench.server import serve
from tests.bench.takes import answer_latencies, hold, turn

TARGETS = {"first_page_s": ("<=", 2.0), "ready_s": ("<=", 6.0)}
STARTS = 3


async def run(args: Namespace) -> dict[str, Any]:
    if args.server:
        raise SystemExit("startup measures a server that it starts itself: leave out --server")
    sentence = sentences(args.data, 1)
    pages, ready, first = [], [], []
    memory = math.nan
    for _ in range(STARTS):
        async with serve(args) as server:
            pages.append(server.page_s)
            ready.append(server.ready_s)
            memory = server.memory_mb()
            first += answer_latencies(await hold(server.url, args, "startup", sentence, turn))
    figures = {
        "first_page_s": percentile(pages, 50),
        "ready_s": percentile(ready, 50),
        "first_answer_ms": percentile(first, 50),
        "memory_mb": memory,
    }
    return judge(f"start-up, {args.transport}", figures, TARGETS)
