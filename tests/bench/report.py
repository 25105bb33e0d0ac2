"""Figures as a table, and whether they hold."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Targets = Mapping[str, tuple[str, float]]  # key -> ("<=" or ">=", value)


def percentile(values: Iterable[float], share: float) -> float:
    """The `share`-th (0..100) percentile, interpolated; NaN of nothing."""
    array = np.asarray(list(values), float)
    return float(np.percentile(array, share)) if len(array) else math.nan


def share(hits: Iterable[bool]) -> float:
    """Part (0..1) that is true; NaN of nothing."""
    array = list(hits)
    return sum(array) / len(array) if array else math.nan


def judge(title: str, figures: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Print the figures with their targets; returns them with `holds`: every target is met (a figure that is missing fails)."""
    print(f"\n{title}")
    met = {}
    for key, value in figures.items():
        line = f"  {key:<38} {value:>10.3f}" if isinstance(value, float) else f"  {key:<38} {value!s:>10}"
        if key in targets:
            sign, limit = targets[key]
            met[key] = value <= limit if sign == "<=" else value >= limit
            line += f"   {sign} {limit:g}   {'ok' if met[key] else 'MISSED'}"
        print(line)
    return {**figures, "holds": all(met.get(key, False) for key in targets)}
