"""A language model behind HTTP: from its first token to the first sound, with llama.cpp and a small model on loopback; and from an
interruption to the moment at which the server of the model sees its connection close."""

import asyncio
import time
from argparse import Namespace
from typing import Any

from tests.bench.client import Call, dial
from tests.bench.report import judge, percentile
from tests.bench.server import serve
from tests.integration.peers import Caller, Scripted, delta, llama

TARGETS = {"first_token_to_audio_p95_ms": ("<=", 120.0), "interrupt_to_close_p95_ms": ("<=", 50.0)}
EVENTS = 30
PATIENCE_S = 60.0  # for one answer: a first prompt is read for seconds
TOKEN_S = 0.02  # a model of a speed that is usual for a service
QUESTIONS = (
    "What is a jitter buffer?",
    "How do you know when I have finished talking?",
    "Why does latency matter in a conversation?",
    "What happens when I talk over you?",
    "Can you hear me while you are speaking?",
    "How does speech recognition work?",
)


async def run(args: Namespace) -> dict[str, Any]:
    count = args.events or EVENTS
    async with llama() as url, serve(args, llm=url, filler_after_ms=60_000) as server, dial(server.url, args.transport) as call:
        await _answers(call, 2)  # connections and caches
        spans = await _answers(call, count)
    closes = await _closes(args, count)
    gaps = [turn["first_audio_sent"] - turn["first_token"] for turn in spans]
    figures = {
        "answers": len(spans),
        "first_token_to_clause_p50_ms": percentile([turn["first_clause"] - turn["first_token"] for turn in spans], 50),
        "first_token_to_audio_p50_ms": percentile(gaps, 50),
        "first_token_to_audio_p95_ms": percentile(gaps, 95),
        "interruptions": len(closes),
        "interrupt_to_close_p50_ms": percentile(closes, 50),
        "interrupt_to_close_p95_ms": percentile(closes, 95),
    }
    return judge("a language model behind HTTP", figures, TARGETS)


async def _answers(call: Call, count: int) -> list[dict[str, float]]:
    """The spans of `count` typed turns, each interrupted soon after it is heard."""
    found = []
    for number in range(count):
        asked = await call.say(QUESTIONS[number % len(QUESTIONS)])
        if await call.audible(asked, PATIENCE_S) is None:
            raise RuntimeError("an answer was not heard")
        await asyncio.sleep(0.3)
        await call.interrupt()
        latency = await call.event("latency", asked)
        if latency is None:
            raise RuntimeError("an interrupted answer was not recorded")
        found.append(latency["spans"])
        await asyncio.sleep(0.5)
    return found


async def _closes(args: Namespace, count: int) -> list[float]:
    """Milliseconds from the sending of an interruption to the end of the connection, as the server of the model sees it."""
    seen: asyncio.Queue[float] = asyncio.Queue()

    async def endless(caller: Caller, path: str, body: Any) -> None:
        closed = asyncio.create_task(caller.closed())
        await caller.head()
        try:
            while not closed.done():
                await caller.event(delta("And so it goes on and on. "))
                await asyncio.wait((closed,), timeout=TOKEN_S)
        except ConnectionError:
            pass  # also noticed by reading
        seen.put_nowait(await closed)

    found = []
    async with Scripted(endless) as peer, serve(args, llm=peer.url) as server, dial(server.url, args.transport) as call:
        for number in range(count):
            asked = await call.say(QUESTIONS[number % len(QUESTIONS)])
            await call.audible(asked, PATIENCE_S)
            await asyncio.sleep(0.1 * (number % 8))
            began = time.perf_counter()
            await call.interrupt()
            found.append((await asyncio.wait_for(seen.get(), PATIENCE_S) - began) * 1000)
            await asyncio.sleep(0.5)
    return found
