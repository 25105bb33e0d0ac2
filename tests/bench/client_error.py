"""How far the client's own figures are from the truth: a peer of known delay, in this process, is measured as the server is.

On WebRTC, Opus spreads the end of a sound over one more frame (6.5 ms of look-ahead), and aiortc's jitter buffers hold a frame
until the next packet comes: 20 ms up, in the peer, and 20 ms down, in the client."""

import asyncio
from argparse import Namespace
from typing import Any

import numpy as np

from tests.bench.client import Call, dial
from tests.bench.clips import RATE
from tests.bench.peer import Talker, create, running
from tests.bench.report import judge, percentile
from tests.bench.score import segments

SOUND = 0.3 * np.sin(np.arange(RATE) * 2 * np.pi * 300 / RATE).astype(np.float32)  # 1 s, a whole number of frames
DELAYS_S = (0.1, 0.3, 0.6)
ROUNDS = 5


async def _round(call: Call, talker: Talker) -> dict[str, float]:
    """One sound, one answer, cut off: errors in s."""
    end = await call.play(SOUND) + 1.0
    first = await call.audible(end)
    if first is None:
        raise RuntimeError("the peer did not answer")
    await call.until(first + 0.5)
    at = await call.interrupt()
    await call.until(at + 0.5)
    tone = next(s for s in segments(call.agent(), 0.1, 0.002) if s[1] > first)
    offset = asyncio.get_running_loop().time() - call.now()
    stopped = [event for event in call.log if event["type"] == "playback_stopped"][-1]
    return {
        "up": talker.heard_at[-1] - offset - end,
        "down": first - (talker.spoke_at[-1] - offset),
        "onset": first - tone[0],
        "latency": first - end - talker.delay,
        "silence": tone[1] - at,
        "played": stopped["played_ms"] / 1000 - (tone[1] - tone[0]),
    }


async def run(args: Namespace) -> dict[str, Any]:
    rounds = []
    for delay in DELAYS_S:
        app = create(delay)
        async with running(app) as url, dial(url, args.transport) as call:
            rounds += [await _round(call, app.state.talkers[-1]) for _ in range(ROUNDS)]
    figures: dict[str, Any] = {"events": len(rounds)}
    for key in rounds[0]:
        values = [each[key] for each in rounds]
        figures[f"{key}_error_p50_ms"] = 1000 * percentile(values, 50)
        figures[f"{key}_error_p95_ms"] = 1000 * percentile(values, 95)
    limit = {"websocket": 20, "webrtc": 120}[args.transport]
    targets = {"latency_error_p50_ms": ("<=", limit), "played_error_p95_ms": ("<=", 20)}
    return judge(f"client against a peer of known delay, {args.transport}", figures, targets)
