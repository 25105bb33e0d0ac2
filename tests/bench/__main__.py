"""`python -m tests.bench NAME`: run one measuring program; the exit status is 0 only when its figures hold."""

import argparse
import asyncio
import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path

import httpx

import tests.bench
from tests.bench.client import RefusedError
from tests.bench.clips import HERE


def programs() -> list[str]:
    """Every module here that has a `run`."""
    names = [
        module.name for module in pkgutil.iter_modules(tests.bench.__path__) if module.name != "__main__" and not module.ispkg
    ]
    return [name for name in names if "def run(" in (Path(tests.bench.__path__[0]) / f"{name}.py").read_text("utf-8")]


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, of several that ran side by side."""
    error = errors.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=programs())
    parser.add_argument("--transport", choices=["websocket", "webrtc"], default="websocket")
    parser.add_argument("--server", default="", help="URL of a running server; without it one is started")
    parser.add_argument("--data", type=Path, default=HERE, help="folder with manifest.jsonl and scenarios.jsonl")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--record", type=Path, help="keep two-channel recordings and event logs in this folder")
    parser.add_argument("--events", type=int, default=0, help="how many events of each kind to measure; without it 30 at least")
    parser.add_argument("--calls", type=int, default=0, help="cluster: conversations at once; without it 24")
    parser.add_argument("--fit", action="store_true", help="endings, voices: make the weights")
    parser.add_argument("--draw", type=Path, help="endings, fleet: draw the curves into this file")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long soak lasts")
    parser.add_argument("--fast", action="store_true", help="lab: a fixed part of the recordings, in two minutes")
    parser.add_argument(
        "--kind",
        action="append",
        help="lab: only this kind of turn or sound, or `overlap`; latency, compare: turns of this kind; may be repeated",
    )
    parser.add_argument("--by", default="", help="lab: also by this field of the manifest, such as speaker or country")
    parser.add_argument("--eagerness", choices=["low", "medium", "high"], help="lab: the setting of the app, where it has one")
    parser.add_argument("--jobs", type=int, default=2, help="lab: processes, each with its own models")
    parser.add_argument("--stock", action="store_true", help="lab: stock Whisper and Pipecat's rule on the same recordings too")
    parser.add_argument("--echo", action="store_true", help="lab: the agent's voice comes back through the microphone")
    parser.add_argument("--asked", action="store_true", help="lab: the agent has just asked what the manifest says was asked")
    args = parser.parse_args()
    if args.record:
        args.record.mkdir(parents=True, exist_ok=True)
    try:
        result = importlib.import_module(f"tests.bench.{args.name}").run(args)
        figures = asyncio.run(result) if inspect.iscoroutine(result) else result
    except* (RefusedError, httpx.HTTPError, OSError) as errors:
        sys.exit(f"{args.name}: {first_of(errors)}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0 if figures["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
