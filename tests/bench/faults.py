"""Faults: conversations go on, and nothing of them is lost, while Redis is killed, paused, restarted, slow or out of memory, and
when the app itself is killed. The embedded server and Debian's redis-server, about eight minutes."""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from server.replay import Rerun
from server.store.store import Store
from tests.bench.report import judge, percentile
from tests.bench.scripted import Listener, Witness
from tests.bench.victim import SESSIONS
from tests.integration.redis_servers import Backend, backend, settings

SEED = 20
CONVERSATIONS = 200
AT_ONCE = 10
KILLS = 50
LATE_S = 0.2  # what was acknowledged so long before a kill must not be lost
HANG_S = 30.0
TARGETS = {
    "conversations": (">=", CONVERSATIONS),
    "faults": (">=", 20),
    "interrupted": ("<=", 0),
    "lost": ("<=", 0),
    "doubled_or_disordered": ("<=", 0),
    "runs_that_differ": ("<=", 0),
    "states_that_differ": ("<=", 0),
}


async def wreck(server: Backend, rng: random.Random, done: list[str]) -> None:
    """One fault after the other, with pauses; `done` gets their names. Every fault is over when this is cancelled."""
    async with server.admin() as admin:
        while True:
            await asyncio.sleep(rng.uniform(0.3, 1.5))
            fault = rng.choice(("kill", "restart", "pause", "slow", "out of memory"))
            lasts = rng.uniform(0.2, 4.0)
            done.append(fault)
            await asyncio.shield(asyncio.create_task(_fault(server, admin, fault, lasts)))


async def _fault(server: Backend, admin: Any, fault: str, lasts_s: float) -> None:
    match fault:
        case "kill" | "restart":
            await (server.kill() if fault == "kill" else server.end())
            await asyncio.sleep(lasts_s)
            await server.restore()
        case "pause":
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(lasts_s)
            server.signal(signal.SIGCONT)
        case "slow":  # every command waits up to 500 ms
            for _ in range(6):
                await admin.client_pause(500)
                await asyncio.sleep(0.5)
        case "out of memory":
            await admin.config_set("maxmemory-policy", "noeviction")
            await admin.config_set("maxmemory", "1")
            await asyncio.sleep(lasts_s)
            await admin.config_set("maxmemory", "0")


async def talk(store: Store, name: str, rng: random.Random, waits: list[float]) -> tuple[str, Witness, bool]:
    """One conversation; whether it went through to its end."""
    witness = Witness(store)
    try:
        async with Listener(name, witness) as caller:
            waits += await caller.converse(rng, rng.randint(2, 4))
    except (AssertionError, TimeoutError) as error:
        print(f"{name} was interrupted: {error}", file=sys.stderr)
        return name, witness, False
    return name, witness, True


async def talks(store: Store, count: int, rng: random.Random, waits: list[float]) -> list[tuple[str, Witness, bool]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, seed: int) -> tuple[str, Witness, bool]:
        async with room:
            return await talk(store, name, random.Random(seed), waits)

    return await asyncio.gather(*(one(f"talk-{index}-{rng.random()}", rng.getrandbits(32)) for index in range(count)))


async def compare(store: Store, results: list[tuple[str, Witness, bool]]) -> dict[str, int]:
    """What the store has against what it was given."""
    found = dict.fromkeys(
        ("entries", "interrupted", "lost", "doubled_or_disordered", "runs_that_differ", "states_that_differ"), 0
    )
    for name, witness, whole in results:
        entries = [entry async for entry in store.read_log(name)]
        rerun = Rerun()
        for entry in entries:
            rerun.check(entry)
        kept = [json.dumps({k: v for k, v in entry.items() if k not in ("seq", "at_ms")}) for entry in entries]
        given = [json.dumps(json.loads(entry)) for entry in witness.entries]
        stored = await store.load(name)
        found["entries"] += len(entries)
        found["interrupted"] += not whole
        found["lost"] += (Counter(given) - Counter(kept)).total()
        found["doubled_or_disordered"] += kept != given
        found["runs_that_differ"] += bool(rerun.faults)
        same = stored is not None and witness.latest is not None and stored.history == witness.latest.history
        found["states_that_differ"] += stored is None or not (same and stored.state == "IDLE")
    return found


async def survive(kind: str, folder: Path) -> dict[str, Any]:
    rng = random.Random(SEED)
    waits: list[float] = []
    done: list[str] = []
    async with backend(kind, folder) as server:
        async with Store(server.settings(folder)) as store:
            wrecking = asyncio.create_task(wreck(server, rng, done))
            results = await talks(store, CONVERSATIONS, rng, waits)
            wrecking.cancel()
            await asyncio.gather(wrecking, return_exceptions=True)
            await asyncio.sleep(5)  # a fault that was under way ends
            assert await store.drain(30), store.status.reason
        async with Store(server.settings(folder)) as afterwards:  # reads the server, not this process's memory
            found = await compare(afterwards, results)
    figures = {"conversations": len(results), "faults": len(done), "first_audio_p50_ms": percentile(waits, 50)}
    return judge(f"Redis fails: {kind}", figures | {"first_audio_p95_ms": percentile(waits, 95)} | found, TARGETS)


async def hang(folder: Path) -> dict[str, Any]:
    """The wait for the first audio with a healthy server and with one that hangs for 30 s."""
    rng = random.Random(SEED)
    healthy: list[float] = []
    hung: list[float] = []
    async with backend("redis", folder) as server, Store(server.settings(folder)) as store:
        for waits in (healthy, hung):
            began = time.monotonic()
            if waits is hung:
                server.signal(signal.SIGSTOP)
            while time.monotonic() < began + HANG_S:
                await talks(store, 8, rng, waits)
        assert store.status.state == "degraded"
        server.signal(signal.SIGCONT)
        assert await store.drain(30), store.status.reason
    figures: dict[str, float] = {"turns": len(healthy) + len(hung)}
    for share in (50, 95):
        figures |= {f"healthy_p{share}_ms": percentile(healthy, share), f"hung_p{share}_ms": percentile(hung, share)}
    figures["hung_longer_p50_ms"] = figures["hung_p50_ms"] - figures["healthy_p50_ms"]
    return judge("Redis hangs for 30 s: wait for the first audio", figures, {"hung_longer_p50_ms": ("<=", 10.0)})


class Truth:
    """What the listeners of killed apps know, against what the next app remembers."""

    def __init__(self) -> None:
        self.heard: dict[str, dict[str, Any]] = {}
        self.resumed = 0
        self.forgotten = 0
        self.unsure: list[str] = []

    def take(self, line: dict[str, Any]) -> None:
        if line["event"] == "heard":
            self.heard[line["session"]] = line
            return
        self.resumed += 1
        known = self.heard.get(line["session"])
        heard = dict(line["history"])
        if known and not heard.get(known["user"], "\0").startswith(known["heard"]):
            self.forgotten += 1
            self.unsure.append(f"{known} is not in {line['history'][-2:]}")
        if line["history"] and any(clause in line["history"][-1][1] for clause in line["unheard"]):
            self.forgotten += 1
            self.unsure.append(f"heard clauses are told as unheard: {line}")


async def kills(folder: Path) -> dict[str, Any]:
    rng = random.Random(SEED)
    truth = Truth()
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.bench.victim", str(folder)]
        app = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert app.stdout is not None
        lines = [await app.stdout.readline()]
        await asyncio.sleep(rng.uniform(0.2, 3.0))
        app.kill()
        killed = time.monotonic()
        lines += (await app.stdout.read()).splitlines()
        await app.wait()
        for line in map(json.loads, lines):
            if line["event"] == "resumed" or line["at"] < killed - LATE_S:
                truth.take(line)
    for fault in truth.unsure:
        print(fault, file=sys.stderr)
    broken = entries = 0
    async with Store(settings(folder)) as store:
        for session_id in SESSIONS:
            rerun = Rerun()
            async for entry in store.read_log(session_id):
                rerun.check(entry)
                entries += 1
            broken += bool(rerun.faults)
    figures = {
        "kills": KILLS,
        "resumed": truth.resumed,
        "entries": entries,
        "forgotten": truth.forgotten,
        "logs_broken": broken,
    }
    targets = {"resumed": (">=", (KILLS - 1) * len(SESSIONS)), "forgotten": ("<=", 0), "logs_broken": ("<=", 0)}
    return judge("The app is killed", figures, targets)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {
            "embedded": await survive("embedded", folder / "embedded"),
            "redis": await survive("redis", folder / "redis"),
            "hang": await hang(folder / "hang"),
            "kills": await kills(folder / "kills"),
        }
    return parts | {"holds": all(part["holds"] for part in parts.values())}
