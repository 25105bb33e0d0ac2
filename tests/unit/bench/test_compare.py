"""What the comparison makes of the figures, and what it says when it cannot run."""

import importlib.util
import sys
from argparse import Namespace
from typing import Any

import pytest

from tests.bench.__main__ import main, programs
from tests.bench.compare import SIDES, ratios, run


def side(p50: float, p95: float, takeovers: float) -> dict[str, Any]:
    return {"response_latency_p50_ms": p50, "response_latency_p95_ms": p95, "pause_takeover_rate": takeovers}


def test_every_peer_is_set_against_parley_on_its_own_transport() -> None:
    figures = {peer.name: side(900, 1200, 0.5) for peer in SIDES}
    figures |= {"parley_webrtc": side(300, 600, 0.125), "parley_websocket": side(450, 400, 0.0)}
    found = ratios(figures)
    assert found["fastrtc_default_times_slower_p50"] == 3.0
    assert found["fastrtc_tuned_takeovers_more"] == 0.375
    assert found["pipecat_times_slower_p50"] == 2.0
    assert found["pipecat_times_slower_p95"] == 3.0


async def test_without_the_peers_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pip install -r requirements-bench\.txt"):
        await run(Namespace(server=""))


def test_the_programs_are_listed_and_the_peers_are_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"compare", "latency", "soak"} <= set(programs())
    assert "peers" not in programs()
    monkeypatch.setattr(sys, "argv", ["bench", "peers"])
    with pytest.raises(SystemExit):
        main()
    assert "compare" in capsys.readouterr().err
