"""Many machines: conversations while a node is killed, while all are replaced, while replicas come and go. On a local cluster of
Ray Serve with three nodes, or with `--kind plain` on three processes; needs requirements-ray.txt. `--kind` loss, roll, scale,
delay, share, behind and batch are its parts; `--events N` kills and replaces N times. Half an hour on two cores."""

import asyncio
import contextlib
import statistics
from argparse import Namespace
from collections.abc import AsyncIterator
from typing import Any

from tests.bench.cluster_shares import batch, behind, delay, scale, share
from tests.bench.clusters import Cluster, on_ray, plain
from tests.bench.guests import Guest, audit
from tests.bench.report import judge, percentile

GUESTS = 24
CALLS = 9  # over WebRTC, whose two ends cost a third of a core together
KILLS, ROLLS = 20, 5
SETTLE_S = 4.0
TARGETS = {
    "resume_p95_s": ("<=", 3.0),
    "never_resumed": ("<=", 0),
    "forgotten": ("<=", 0),
    "invented": ("<=", 0),
    "log_faults": ("<=", 0),
    "roll_replies_cut": ("<=", 0),
    "roll_turns_lost": ("<=", 0),
    "scale_moved_while_talking": ("<=", 0),
    "serve_adds_p50_ms": ("<=", 10.0),
    "share_grows": ("<=", 1.1),
    "behind_refusals": ("<=", 0),
}


@contextlib.asynccontextmanager
async def guests(cluster: Cluster, args: Namespace) -> AsyncIterator[list[Guest]]:
    """Conversations under way; they end in their own time."""
    stop = asyncio.Event()
    count = args.calls or (GUESTS if args.transport == "websocket" else CALLS)
    present = [Guest(f"guest {at}", cluster.urls, at, 1.0 + at % 7 * 0.4, args.transport) for at in range(count)]
    async with asyncio.TaskGroup() as group:
        for guest in present:
            group.create_task(guest.live(stop))
            await asyncio.sleep(0.1)
        try:
            yield present
        finally:
            stop.set()


async def losses(cluster: Cluster, kills: int, args: Namespace) -> dict[str, Any]:
    """A node is killed in mid-reply, `kills` times."""
    killed: list[float] = []
    async with guests(cluster, args) as present:
        for kill in range(kills):
            await asyncio.sleep(SETTLE_S)
            killed.append(asyncio.get_running_loop().time())
            await cluster.kill()
            await asyncio.sleep(SETTLE_S)
            await cluster.heal()
            print(f"  kill {kill + 1}", flush=True)
    every = [loss for guest in present for loss in guest.losses]
    by_kill = [[loss for loss in every if at <= loss.at < at + SETTLE_S] for at in killed]
    for at, gone in zip(killed, by_kill, strict=True):
        talking = sum(loss.talking for loss in gone)
        noticed, back = _seconds([loss.at - at for loss in gone]), _seconds([loss.back - at for loss in gone])
        print(f"  {len(gone)} lost their node, {talking} in mid-reply: noticed after {noticed}, back after {back}")
    waits = [loss.back - at for at, gone in zip(killed, by_kill, strict=True) for loss in gone]
    found = await audit(present)
    figures: dict[str, Any] = {
        "kills": kills,
        "lost_their_node": len(waits),
        "in_mid_reply": sum(loss.talking for loss in every),
        "lost_while_a_node_starts": len(every) - len(waits),  # on the same two cores: it was silent for long
        "never_resumed": sum(guest.gave_up for guest in present),
    }
    figures |= {
        "resume_p50_s": percentile(waits, 50),
        "resume_p95_s": percentile(waits, 95),
        "resume_max_s": max(waits, default=0),
    }
    return figures | found


async def rolls(cluster: Cluster, times: int, args: Namespace) -> dict[str, Any]:
    """Every replica is replaced under load, `times` times."""
    async with guests(cluster, args) as present:
        for roll in range(times):
            await asyncio.sleep(SETTLE_S)
            before = [len(guest.losses) for guest in present]
            await cluster.roll()
            moved = [loss for guest, count in zip(present, before, strict=True) for loss in guest.losses[count:]]
            cut, told = sum(loss.talking for loss in moved), sum(loss.told for loss in moved)
            silent = sum(loss.silent for loss in moved)
            print(f"  update {roll + 1}: {len(moved)} moved, {told} told, {silent} by silence, {cut} in mid-reply", flush=True)
    found = await audit(present)
    all_losses = [loss for guest in present for loss in guest.losses]
    return {
        "rolls": times,
        "roll_moved": len(all_losses),
        "roll_replies_cut": sum(loss.talking for loss in all_losses),
        "roll_turns_lost": found["repeated"],
        "roll_resume_p95_s": percentile([loss.back - loss.at for loss in all_losses], 95),
        "roll_never_resumed": sum(guest.gave_up for guest in present),
        "roll_silent_at_the_end": _silent(present),
        "roll_forgotten": found["forgotten"],
        "roll_log_faults": found["log_faults"],
    }


def _silent(present: list[Guest]) -> int:
    """Those whose last turn had no answer."""
    return sum(not guest.turns or not (guest.turns[-1].whole or guest.turns[-1].cut) for guest in present)


def _seconds(waits: list[float]) -> str:
    return f"{statistics.median(waits):.2f} s, {max(waits):.2f} at most" if waits else "-"


async def run(args: Namespace) -> dict[str, Any]:
    kinds = args.kind or ["loss", "roll", "scale", "delay", "share", "behind", "batch"]
    figures: dict[str, Any] = {}
    if {"loss", "roll"} & set(kinds):
        async with _where(kinds) as cluster:
            if "loss" in kinds:
                figures |= await losses(cluster, args.events or KILLS, args)
            if "roll" in kinds:
                figures |= await rolls(cluster, args.events or ROLLS, args)
    for name, measure in (("scale", scale), ("delay", delay), ("share", share), ("behind", behind)):
        if name in kinds:
            figures |= await measure()
    if "batch" in kinds:
        figures |= await batch(args)
    wanted = {key: target for key, target in TARGETS.items() if key in figures}
    return judge("many machines", figures, wanted)


def _where(kinds: list[str]) -> contextlib.AbstractAsyncContextManager[Cluster]:
    if "plain" in kinds:
        return plain(max_sessions=GUESTS)
    return on_ray("tests.bench.scripted_app:app", num_replicas=3, max_ongoing_requests=2 * GUESTS)
