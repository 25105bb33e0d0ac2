"""Parts of `cluster` that compare: Serve with a node reached directly, one node with three, a batch with single calls."""

import asyncio
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from statistics import median
from typing import Any

import httpx
import numpy as np

from app.settings import Settings
from deploy.ray.batched_whisper import Asked, BatchedWhisper
from languages.en import LANGUAGE as ENGLISH
from services.base import Audio
from services.stt.whisper import WhisperStt
from services.workers import Workers
from tests.bench.client import post
from tests.bench.clips import sentences
from tests.bench.clusters import NODES, OnRay, on_ray, plain
from tests.bench.guests import Guest, Quiet

TOGETHER = 8
QUESTIONS = 20
EACH = 4  # conversations a node
TALK_S = 30.0
BEHIND_S = 12.0  # after which a node whose models are behind from the beginning takes nobody new, and the routers know
NEWCOMERS = 16


async def delay() -> dict[str, float]:
    """From a typed question to the first sound, through Serve and at a node of its own, by turns."""
    async with (
        plain(1) as direct,
        on_ray("tests.bench.scripted_app:app", num_replicas=1) as served,
        httpx.AsyncClient() as http,
    ):
        calls = {}
        for name, url in (("direct", direct.urls[0]), ("served", served.urls[0])):
            calls[name] = await Quiet.open(url, await post(http, f"{url}/sessions", {}), False, (url,))
        found: dict[str, list[float]] = {name: [] for name in calls}
        for at in range(QUESTIONS):
            for name, call in calls.items():
                asked = await call.say(f"question {at}")
                first = await call.audible(asked)
                found[name].append(1000 * ((first or asked + 8) - asked))
                await call.interrupt()
                await call.quiet(0.3)
        for call in calls.values():
            await call.close()
    halves = {f"{name}_first_sound_p50_ms": median(values) for name, values in found.items()}
    return {**halves, "serve_adds_p50_ms": halves["served_first_sound_p50_ms"] - halves["direct_first_sound_p50_ms"]}


async def share() -> dict[str, float]:
    """Processor time of the nodes for a conversation of a second, with one node and with three, as many conversations on each."""
    found = {}
    for count in (1, NODES):
        async with plain(count) as cluster:
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for at in range(EACH * count):
                    group.create_task(Guest(f"guest {at}", cluster.urls, at).live(stop))
                await asyncio.sleep(5)
                used = cluster.cpu_s()
                await asyncio.sleep(TALK_S)
                found[count] = (cluster.cpu_s() - used) / TALK_S / (EACH * count)
                stop.set()
    return {"cores_each_on_1_node": found[1], "cores_each_on_3_nodes": found[NODES], "share_grows": found[NODES] / found[1]}


async def scale() -> dict[str, Any]:
    """Conversations come, and replicas with them; they go, and replicas with them. Nobody is moved while the agent is heard."""
    application = "tests.bench.scripted_app:app"
    async with on_ray(application, max_ongoing_requests=24, autoscaling_config=AUTOSCALING) as cluster:
        stop, few = asyncio.Event(), asyncio.Event()
        present = [Guest(f"guest {at}", cluster.urls, at) for at in range(12)]
        async with asyncio.TaskGroup() as group:
            for at, guest in enumerate(present):
                group.create_task(guest.live(stop if at < 3 else few))
            grown = await _becomes(cluster, NODES)
            few.set()
            shrunk = await _becomes(cluster, 1)
            stop.set()
    moved = [loss for guest in present for loss in guest.losses]
    return {
        "replicas_follow_up_s": grown,
        "replicas_follow_down_s": shrunk,
        "scale_moved": len(moved),
        "scale_moved_while_talking": sum(loss.talking for loss in moved),
    }


async def behind() -> dict[str, Any]:
    """Two replicas, of which the models of one are always behind, through Serve: who comes is refused by it until the routers know,
    and then nobody is."""
    with tempfile.TemporaryDirectory(prefix="parley-behind-") as folder:
        more = {"PARLEY_TEST_BEHIND": f"{folder}/one"}
        async with on_ray("tests.bench.scripted_app:app", nodes=2, more=more, num_replicas=2) as cluster:
            refused, calls, waits = [], [], []
            async with httpx.AsyncClient(timeout=10) as http:
                await asyncio.sleep(BEHIND_S)
                for _ in range(NEWCOMERS):
                    began = time.monotonic()
                    while (answer := await http.post(f"{cluster.urls[0]}/sessions", json={})).status_code == 503:
                        refused.append("retry-after" in answer.headers)
                        await asyncio.sleep(0.1)
                    calls.append(await Quiet.open(cluster.urls[0], answer.json(), False, cluster.urls))
                    waits.append(time.monotonic() - began)
            for call in calls:
                await call.close()
    return {
        "behind_newcomers": len(calls),
        "behind_refusals": len(refused),
        "behind_refusals_without_retry_after": refused.count(False),
        "behind_begins_p50_s": median(waits),
        "behind_begins_max_s": max(waits),
    }


AUTOSCALING = {
    "min_replicas": 1,
    "max_replicas": NODES,
    "target_ongoing_requests": 4,
    "metrics_interval_s": 1,
    "look_back_period_s": 4,
    "upscale_delay_s": 2,
    "downscale_delay_s": 10,
}


async def _becomes(cluster: OnRay, count: int) -> float:
    """Seconds until so many replicas run, and no other."""
    began = time.monotonic()
    while await cluster.tell("replicas") != {"RUNNING": count}:
        if time.monotonic() - began > 200:
            return float("inf")
        await asyncio.sleep(0.5)
    return time.monotonic() - began


async def batch(args: Namespace) -> dict[str, float]:
    """Eight recordings at once, against eight calls: processor seconds, and how long the first of them waits."""
    folder = Settings().weights_dir
    batched, single = BatchedWhisper(folder, ENGLISH), WhisperStt(folder, Workers(), ENGLISH)
    await single.warm()
    clips = [clip.audio.astype(np.float32) for clip in sentences(args.data, TOGETHER)[:TOGETHER]]

    async def alone(audios: Sequence[Audio]) -> None:
        for audio in audios:
            await single.transcribe(audio, final=True)

    async def together(audios: Sequence[Audio]) -> None:
        await asyncio.to_thread(batched.transcribe, [Asked(audio) for audio in audios])

    found = {}
    for name, work in (("single", alone), ("batch", together)):
        await work(clips)
        used, begun = time.process_time(), time.perf_counter()
        await work(clips)
        found[f"{name}_8_cpu_s"], found[f"{name}_8_s"] = time.process_time() - used, time.perf_counter() - begun
        begun = time.perf_counter()
        await work(clips[:1])
        found[f"{name}_1_s"] = time.perf_counter() - begun
    return found
