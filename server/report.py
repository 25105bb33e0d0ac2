"""`python -m server.report --since 1h --out chart.png`: p50 and p95 of every latency span of a period, as a table and a chart."""

import argparse
import asyncio
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from app.settings import Settings
from server.store.store import Store, StoreError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Figures(NamedTuple):
    """The figures of one span, in ms: how many turns have it, its median and its 95th percentile."""

    span: str
    turns: int
    p50: float
    p95: float


def seconds(period: str) -> float:
    """The seconds of "90s", "15m", "1h" or "7d". Raises ArgumentTypeError for anything else."""
    match = re.fullmatch(r"^(\d+)([smhd])", period)
    if match is None:
        raise argparse.ArgumentTypeError(f"{period!r} is no period; write it like 90s, 15m, 1h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def summarise(entries: Iterable[Mapping[str, Any]]) -> list[Figures]:
    """The figures of each span, earliest median first."""
    values: dict[str, list[float]] = defaultdict(list)
    for entry in entries:
        for span, value in entry["spans"].items():
            values[span].append(value)
    rows = [Figures(span, len(of), *map(float, np.percentile(of, (50, 95)))) for span, of in values.items()]
    return sorted(rows, key=lambda row: row.p50)


def draw(rows: list[Figures], title: str, out: Path) -> None:
    """Writes the chart into the file `out`, whose ending chooses the format. Raises ValueError for an ending that cannot be
    drawn."""
    from matplotlib.figure import Figure  # only a chart needs it, and it is slow to load

    figure = Figure(figsize=(9, 1.5 + 0.45 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    for offset, name, colour in ((-0.2, "p50", "#2a6f97"), (0.2, "p95", "#a9d6e5")):
        lengths = [getattr(row, name) for row in rows]
        bars = axes.barh(places + offset, lengths, 0.38, label=name, color=colour)
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    axes.set_yticks(places, [row.span.replace("_", " ") for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms after the end of the user's speech, or after the onset of an interruption")
    axes.set_title(title)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right")
    figure.savefig(out, dpi=150)


async def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server.report", description=__doc__)
    parser.add_argument("--since", type=seconds, default="1h", metavar="PERIOD", help="like 90s, 15m, 1h or 7d (default: 1h)")
    parser.add_argument("--out", type=Path, help="file for the chart: .png or .svg")
    parser.add_argument("--redis-url", help="instead of REDIS_URL")
    parser.add_argument("--data-dir", type=Path, help="folder of the embedded store, where there is no Redis URL")
    args = parser.parse_args(arguments)
    if args.out and args.out.suffix not in (".png", ".svg"):
        parser.error(f"--out must end in .png or .svg, not {args.out.name!r}")
    given = {"redis_url": args.redis_url, "data_dir": args.data_dir}
    async with Store(Settings(**{name: value for name, value in given.items() if value})) as store:
        try:
            entries = [entry async for entry in store.read_latency((time.time() - args.since) * 1000)]
        except StoreError as error:
            print(error, file=sys.stderr)
            return 2
    if not entries:
        print("no turn was measured in this period", file=sys.stderr)
        return 2
    rows = summarise(entries)
    table = Table(title=f"Latency of {len(entries)} turns, ms")
    table.add_column("span")
    for name in ("turns", "p50", "p95"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.span, str(row.turns), f"{row.p50:.0f}", f"{row.p95:.0f}")
    Console().print(table)
    if args.out:
        draw(rows, f"Latency of {len(entries)} turns", args.out)
        print(f"chart written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
