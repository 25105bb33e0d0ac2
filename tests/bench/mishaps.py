"""What operators and machines do to nodes besides killing them, with real processes, a real Redis and twelve conversations on three
nodes (scripted services): `--kind` chooses from

frozen      a node stands still for 10 s (SIGSTOP), and then goes on as if nothing had been
drain       Redis is killed while a node is being drained, and is back after 8 s
away        Redis is killed, then a node; Redis is back 6 s later
twice       a node is told to end, and told again a second later
clocks      the nodes' clocks are 5 s apart; one is killed
"""

import asyncio
import signal
from argparse import Namespace
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from tests.bench.clusters import NODES, SECRET, Plain, redis_for_all
from tests.bench.guests import Guest, audit
from tests.bench.report import judge, percentile

GUESTS = 12
SETTLE_S = 6.0
FROZEN_S, AWAY_S = 10.0, 8.0
APART_S = 5.0
TARGETS = {
    "gave_up": ("<=", 0),
    "forgotten": ("<=", 0),
    "invented": ("<=", 0),
    "log_faults": ("<=", 0),
    "owners_left": ("<=", 0),
}

Mishap = Callable[[Plain], Awaitable[None]]


async def frozen(cluster: Plain) -> None:
    node = await cluster.fullest()
    node.suspend()
    await asyncio.sleep(FROZEN_S)
    node.resume()


async def drain(cluster: Plain) -> None:
    (await cluster.fullest()).terminate()
    await asyncio.sleep(1)
    await cluster.redis.kill()
    await asyncio.sleep(AWAY_S)
    await cluster.redis.restore()


async def away(cluster: Plain) -> None:
    await cluster.redis.kill()
    await asyncio.sleep(1)
    await cluster.kill()
    await asyncio.sleep(AWAY_S - 2)
    await cluster.redis.restore()


async def twice(cluster: Plain) -> None:
    node = await cluster.fullest()
    node.send_signal(signal.SIGTERM)
    await asyncio.sleep(1)
    node.send_signal(signal.SIGTERM)


async def clocks(cluster: Plain) -> None:
    await cluster.kill()


MISHAPS: dict[str, Mishap] = {"frozen": frozen, "drain": drain, "away": away, "twice": twice, "clocks": clocks}


async def suffered(name: str) -> dict[str, Any]:
    """The figures of one mishap, in the middle of conversations."""
    async with redis_for_all() as redis, AsyncExitStack() as stack:
        cluster = Plain(redis, {"redis_url": redis.url, "secret": SECRET, "silence_prompt_s": 0, "max_sessions": GUESTS}, stack)
        own: list[dict[str, Any]] = [{} for _ in range(NODES)]
        if name == "clocks":
            own = [{"test_clock_s": apart} for apart in (-APART_S, 0.0, APART_S)]
        await cluster.start(*own)
        stop = asyncio.Event()
        present = [Guest(f"guest {at}", list(cluster.urls), at, pause_s=1.0 + at % 5 * 0.5) for at in range(GUESTS)]
        async with asyncio.TaskGroup() as group:
            for guest in present:
                group.create_task(guest.live(stop))
            await asyncio.sleep(SETTLE_S)
            began = asyncio.get_running_loop().time()
            await MISHAPS[name](cluster)
            await asyncio.sleep(SETTLE_S)
            held = await cluster.held()
            stop.set()
        found = await audit(present)
    losses = [loss for guest in present for loss in guest.losses]
    return {
        "moved": len(losses),
        "in_mid_reply": sum(loss.talking for loss in losses),
        "told": sum(loss.told for loss in losses),
        "back_p50_s": percentile([loss.back - began for loss in losses], 50),
        "back_max_s": max((loss.back - began for loss in losses), default=0.0),
        "gave_up": sum(guest.gave_up for guest in present),
        "owners_left": sum(held) - len([guest for guest in present if not guest.gave_up]),
        **found,
    }


async def run(args: Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    holds = True
    for name in args.kind or MISHAPS:
        found = judge(f"{name}: {MISHAPS[name].__name__}", await suffered(name), TARGETS)
        holds &= found.pop("holds")
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    return {**figures, "holds": holds}
