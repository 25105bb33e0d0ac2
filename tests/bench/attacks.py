"""What somebody else's conversation notices of an attack: its first sound, and how long a request to /healthz takes, with nobody
about and under each attack. The attackers come from this machine, whose addresses are not counted: other machines can do less."""

import asyncio
import json
import math
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.attack.clients import Attacker, Flood, Peer, noise, peer, socket_at
from tests.bench.clips import sentences
from tests.bench.report import judge, percentile
from tests.bench.server import serve
from tests.bench.takes import answer_latencies, hold, turn

EVENTS = 6  # sentences under each attack
SOONEST_S = 0.05  # an attacker who was thrown out comes again
Attack = Callable[[str, Attacker], Awaitable[None]]


async def sound(url: str, attacker: Attacker) -> None:
    """Chunks of 12 s, as fast as they are taken."""
    chunk = noise(12.0, 8000).tobytes()
    async with socket_at(url) as socket:
        await socket.send(json.dumps({"type": "start", "sample_rate": 8000, "greeting": False}))
        while True:
            await socket.send(chunk)
            await asyncio.sleep(0.005)


async def packets(url: str, attacker: Attacker) -> None:
    """Far more sound a second than a second, over WebRTC."""
    track = Flood()
    async with peer(track) as one:
        await attacker.call(one)
        track.wanted.set()
        await one.ended()


async def offers(url: str, attacker: Attacker) -> None:
    """Offers that nobody connects, twenty a second."""
    one = Peer()
    sdp = await one.offer()
    await one.pc.close()
    while True:
        await attacker.guarded(await attacker.ticket(), sdp)
        await asyncio.sleep(0.05)


async def messages(url: str, attacker: Attacker) -> None:
    """As many messages as are allowed, each with as much text as there may be."""
    async with socket_at(url) as socket:
        await socket.send(json.dumps({"type": "start", "sample_rate": 8000, "greeting": False}))
        while True:
            await socket.send(json.dumps({"type": "text", "text": "what about " + "x " * 990}))
            await asyncio.sleep(0.006)


async def sockets(url: str, attacker: Attacker) -> None:
    """Connections that never start, as fast as they are made."""
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(_idle(url))


async def _idle(url: str) -> None:
    while True:
        async with socket_at(url) as socket:
            await asyncio.sleep(0.2)
            await socket.send("{")


ATTACKS: dict[str, Attack] = {attack.__name__: attack for attack in (sound, packets, offers, messages, sockets)}
TARGETS = {f"{name}_{what}": ("<=", limit) for name in ATTACKS for what, limit in (("later_ms", 50.0), ("healthz_ms", 100.0))}


@asynccontextmanager
async def under(attack: Attack | None, url: str) -> AsyncIterator[None]:
    async def again_and_again() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            while attack is not None:
                with suppress(ConnectionClosed, ConnectionError, httpx.HTTPError, AssertionError, TimeoutError, ExceptionGroup):
                    await attack(url, Attacker(http))
                await asyncio.sleep(SOONEST_S)

    attacking = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)


async def healthz(url: str, waits: list[float]) -> None:
    """Notes in ms how long an answer takes, ten times a second."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        while True:
            begun = time.perf_counter()
            await http.get("/healthz")
            waits.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(0.1)


async def run(args: Namespace) -> dict[str, Any]:
    said = sentences(args.data, args.events or EVENTS)[: args.events or EVENTS]
    figures: dict[str, Any] = {}
    async with serve(args) as server:
        for name, attack in {"nobody": None, **ATTACKS}.items():
            waits: list[float] = []
            asking = asyncio.create_task(healthz(server.url, waits))
            async with under(attack, server.url):
                takes = await hold(server.url, args, f"attacks-{name}", said, turn)
            asking.cancel()
            answered = [ms for ms in answer_latencies(takes) if math.isfinite(ms)]
            figures[f"{name}_latency_p50_ms"] = percentile(answered, 50)
            figures[f"{name}_answered"] = len(answered) / len(said)
            figures[f"{name}_healthz_ms"] = percentile(waits, 95)
            figures[f"{name}_memory_mb"] = server.memory_mb()
            if attack is not None:
                figures[f"{name}_later_ms"] = figures[f"{name}_latency_p50_ms"] - figures["nobody_latency_p50_ms"]
        figures["log_kb"] = server.log.stat().st_size / 1000 if server.log else math.nan
    return judge(f"attacks, {args.transport}", figures, TARGETS)
