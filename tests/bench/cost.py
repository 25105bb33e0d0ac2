"""What one conversation costs a node, Redis and the network: questions that are spoken, answers that are heard to their end, with
real models. docs/scaling.md is made from these figures. About two minutes."""

import asyncio
import tempfile
from argparse import Namespace
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.bench.client import Call, Message, dial
from tests.bench.clips import Clip, sentences
from tests.bench.report import judge
from tests.bench.server import Server, serve
from tests.bench.websocket import HEADER, WebSocketCall
from tests.integration.redis_servers import DebianRedis

TURNS = 8
OTHERS = 6  # conversations more, for the memory of one
PAUSE_S = 1.5
IDLE_S = 5.0
FRAME = 8  # bytes that the WebSocket protocol adds to a frame of sound, upwards (RFC 6455, section 5.2)
PACKET = 40  # ... and TCP over IP to a packet


class Metered(WebSocketCall):
    """Counts what passes."""

    up = down = packets = 0

    async def transmit(self, message: Message) -> None:
        await super().transmit(message)
        self.up += len(str(message)) + FRAME
        self.packets += 1

    def _audio(self, generation: int, samples: Any) -> None:
        self.down += HEADER.size + samples.nbytes + FRAME // 2
        self.packets += 1
        super()._audio(generation, samples)

    async def handle(self, message: Message) -> None:
        self.down += len(str(message)) + FRAME // 2
        self.packets += 1
        await super().handle(message)


async def converse(call: Call, said: list[Clip]) -> None:
    """Each question is asked aloud, and its answer heard whole."""
    for clip in said:
        await call.quiet(PAUSE_S)
        started = await call.play(clip)
        await call.until(started + len(clip.audio) / 16_000)
        await call.audible(call.now())
    await call.quiet(PAUSE_S)


async def run(args: Namespace) -> dict[str, Any]:
    said = sentences(args.data, args.events or TURNS)[: args.events or TURNS]
    with tempfile.TemporaryDirectory(prefix="parley-cost-") as folder:
        redis = DebianRedis(Path(folder) / "redis")
        await redis.start()
        try:
            async with serve(args, redis_url=redis.url, max_sessions=16, max_per_address=0) as server, redis.admin() as admin:
                figures = await _measured(server, admin, said, args.transport)
                figures |= await _memory(server, args.transport)
        finally:
            await redis.close()
    return judge(f"what one conversation costs, {args.transport}", figures, {})


async def _measured(server: Server, admin: Any, said: list[Clip], transport: str) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    used, begun = server.cpu_s(), loop.time()
    await asyncio.sleep(IDLE_S)
    idle = (server.cpu_s() - used) / (loop.time() - begun)
    before: dict[str, Any] = await admin.info()
    original, Metered.up = WebSocketCall.open, 0
    try:
        WebSocketCall.open = Metered.open  # type: ignore[method-assign]
        async with dial(server.url, transport) as call:
            used, begun = server.cpu_s(), loop.time()
            await converse(call, said)
            seconds = loop.time() - begun
            cpu = (server.cpu_s() - used) / seconds - idle
            sent = call.microphone.sent / call.microphone.rate
    finally:
        WebSocketCall.open = original  # type: ignore[method-assign]
    await asyncio.sleep(1)
    after: dict[str, Any] = await admin.info()
    figures: dict[str, Any] = {
        "seconds": seconds,
        "turns": len(said),
        "cores_of_a_node_idle": idle,
        "cores": cpu,
        "redis_commands_a_second": (after["total_commands_processed"] - before["total_commands_processed"]) / seconds,
        "redis_bytes_in_a_second": (after["total_net_input_bytes"] - before["total_net_input_bytes"]) / seconds,
        "redis_memory_bytes": float(after["used_memory"] - before["used_memory"]),
    }
    if isinstance(call, Metered):
        frames = sent * 50
        figures["up_kbit_s"] = 8 * (call.up + frames * (640 + FRAME)) / seconds / 1000
        figures["down_kbit_s"] = 8 * call.down / seconds / 1000
        figures["headers_kbit_s"] = 8 * PACKET * (call.packets + frames) / seconds / 1000
    return figures


async def _memory(server: Server, transport: str) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        empty = server.memory_mb()
        calls = [await stack.enter_async_context(dial(server.url, transport)) for _ in range(OTHERS)]
        for call in calls:
            await call.say("What is a barge-in?")
        await asyncio.gather(*(call.quiet(PAUSE_S) for call in calls))
        return {"node_memory_mb": empty, "memory_mb": (server.memory_mb() - empty) / OTHERS}
