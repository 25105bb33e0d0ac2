"""The latency report: its figures, its periods and its chart."""

import argparse
from pathlib import Path

import pytest

from server.report import Figures, draw, seconds, summarise


def test_each_span_has_its_own_turns_median_and_95th_percentile() -> None:
    entries = [{"spans": {"stt_final": float(value), **({"duck": 5.0} if value == 50 else {})}} for value in range(101)]
    assert summarise(entries) == [Figures("duck", 1, 5.0, 5.0), Figures("stt_final", 101, 50.0, 95.0)]


def test_periods_are_read_and_others_refused_with_an_example() -> None:
    assert [seconds(period) for period in ("90s", "15m", "1h", "7d")] == [90, 900, 3600, 604800]
    for bad in ("", "h", "1.5h", "1y", "-1h"):
        with pytest.raises(argparse.ArgumentTypeError, match="15m"):
            seconds(bad)


@pytest.mark.parametrize(("name", "magic"), [("chart.png", b"\x89PNG"), ("chart.svg", b"<?xml")])
def test_the_chart_is_written_as_what_its_name_says(tmp_path: Path, name: str, magic: bytes) -> None:
    draw([Figures("stt_final", 9, 210.0, 420.0), Figures("first_audio_heard", 9, 300.0, 700.0)], "Latency", tmp_path / name)
    written = (tmp_path / name).read_bytes()
    assert written.startswith(magic)
    if name.endswith("svg"):
        assert b"first audio heard" in written or b"<path" in written
