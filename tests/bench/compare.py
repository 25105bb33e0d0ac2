"""Parley beside stock FastRTC and Pipecat: the same recordings, models and client, one after the other in one run.

The peers are set up in `tests.bench.peers`; their packages are in requirements-bench.txt. FastRTC speaks WebRTC and Pipecat's
transport here is a WebSocket, so Parley is measured on both. `--transport` is not heeded; `--kind` is, as by `latency`.
"""

import importlib.util
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.latency import measure
from tests.bench.report import judge
from tests.bench.server import serve

TARGETS = {  # of `ratios`
    "fastrtc_default_times_slower_p50": (">=", 2.5),
    "pipecat_times_slower_p50": (">=", 1.0),
    "pipecat_times_slower_p95": (">=", 1.0),
    "pipecat_takeovers_more": (">=", 0.0),
}
SHOWN = ("response_latency_p50_ms", "response_latency_p95_ms", "response_rate", "pause_takeover_rate", "turns", "pauses")


@dataclass(frozen=True)
class Side:
    """One server of the comparison; `against` is the side of Parley that it is set against."""

    name: str
    transport: str
    command: Sequence[str]
    against: str = ""


REPLY_ON_PAUSE = ("-m", "tests.bench.peers.reply_on_pause")
SIDES = (
    Side("parley_webrtc", "webrtc", ("app.py",)),
    Side("parley_websocket", "websocket", ("app.py",)),
    Side("fastrtc_default", "webrtc", REPLY_ON_PAUSE, "parley_webrtc"),
    Side("fastrtc_tuned", "webrtc", (*REPLY_ON_PAUSE, "--tuned"), "parley_webrtc"),
    Side("pipecat", "websocket", ("-m", "tests.bench.peers.pipecat_bot"), "parley_websocket"),
)


def ratios(figures: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Each peer against Parley on its transport: latencies as a quotient, takeovers of pauses as a difference (0..1)."""
    found = {}
    for side in (side for side in SIDES if side.against):
        peer, ours = figures[side.name], figures[side.against]
        for share in ("p50", "p95"):
            key = f"response_latency_{share}_ms"
            found[f"{side.name}_times_slower_{share}"] = peer[key] / ours[key]
        found[f"{side.name}_takeovers_more"] = peer["pause_takeover_rate"] - ours["pause_takeover_rate"]
    return found


def table(figures: dict[str, dict[str, Any]]) -> None:
    print(f"\n{'':18}" + "".join(f"{key.removeprefix('response_'):>20}" for key in SHOWN))
    for name, mine in figures.items():
        print(f"{name:18}" + "".join(f"{mine[key]:>20.3f}" for key in SHOWN))


async def run(args: Namespace) -> dict[str, Any]:
    if args.server:
        raise SystemExit("compare measures servers that it starts itself: leave out --server")
    if importlib.util.find_spec("pipecat") is None:
        raise SystemExit("compare needs the peers' packages: pip install -r requirements-bench.txt")
    figures: dict[str, dict[str, Any]] = {}
    for side in SIDES:
        mine = Namespace(**{**vars(args), "transport": side.transport})
        async with serve(mine, side.command) as server:
            figures[side.name] = await measure(server.url, mine, side.name)
        medians = "half within {response_latency_p50_ms:.0f} ms, 95 % within {response_latency_p95_ms:.0f} ms"
        print(f"  {side.name}: {medians.format(**figures[side.name])}", flush=True)
    table(figures)
    judged = judge("Parley and its peers on the same recordings", ratios(figures), TARGETS)
    return {**judged, "sides": figures}
