"""What the soak program makes of its looks at the server."""

import pytest

from tests.bench.soak import Row, growth, parts


def test_a_run_is_cut_into_stretches_after_it_has_settled() -> None:
    rows: list[Row] = [(float(at), float(at)) for at in range(0, 101, 10)]
    assert parts(rows, 20, 100, 2) == [[20, 30, 40, 50], [60, 70, 80, 90, 100]]


def test_growth_is_what_the_last_stretch_has_more_than_the_first() -> None:
    times = range(0, 1001, 5)
    held: dict[str, list[Row]] = {
        "memory_mb": [(at, 900.0 if at < 100 else 500.0 + at / 20) for at in times],  # settles, then leaks
        "tasks": [(at, 10.0 + at % 3) for at in times],  # comes and goes
        "handles": [(at, 20.0 + at // 500) for at in times],  # leaks
        "threads": [(at, 7.0) for at in times],
    }
    figures = growth(held, 100, 1000)
    assert figures["memory_first_mb"] == pytest.approx(507.4, abs=0.2)
    assert figures["memory_growth"] == pytest.approx(547.5 / 507.4, abs=0.001)
    assert (figures["tasks_more"], figures["handles_more"], figures["threads_more"]) == (0.0, 1.0, 0.0)
