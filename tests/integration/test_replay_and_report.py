"""`python -m server.replay` and `python -m server.report` on a real server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server import replay, report
from server.store.store import Store
from tests.integration.redis_servers import Backend, backend

STARTED: dict[str, Any] = {
    "kind": "event",
    "state": "IDLE",
    "next": "LISTENING",
    "event": {"type": "session_started", "greeting": False, "resumed": False},
}
ASKED: dict[str, Any] = {
    "kind": "event",
    "state": "LISTENING",
    "next": "THINKING",
    "event": {"type": "text", "text": "how does it work"},
}


@pytest.fixture(params=["embedded", "redis"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with backend(request.param, tmp_path) as server:
        yield server


async def test_a_log_that_lost_its_beginning_is_run_again_from_there(
    server: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.commands.LOG_ENTRIES", 2)
    async with Store(server.settings(tmp_path)) as store:
        for _ in range(5):
            store.log("long", STARTED)
        store.log("long", ASKED)
        assert await store.drain(5)
    settings = server.settings(tmp_path)
    assert await replay.main(["long", "--redis-url", settings.redis_url, "--data-dir", str(settings.data_dir)]) == 0
    assert "4 entries were dropped here" in capsys.readouterr().out


async def test_a_log_is_printed_and_run_again(server: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Store(server.settings(tmp_path)) as store:
        for entry in (STARTED, ASKED, {"kind": "transcript", "text": "how does it work", "final": True, "turn": 1}):
            store.log("good", entry)
        for entry in (STARTED, {**ASKED, "next": "SPEAKING"}):
            store.log("bad", entry)
        assert await store.drain(5)
    settings = server.settings(tmp_path)
    where = ["--redis-url", settings.redis_url, "--data-dir", str(settings.data_dir)]
    assert await replay.main(["good", *where]) == 0
    printed = capsys.readouterr().out
    assert "LISTENING -> THINKING  (text)" in printed and "user: how does it work" in printed
    async with Store(settings) as store:
        store.log("evil", {"kind": "transcript", "text": "\x1b]0;owned\x07\x1b[2J\r\u202e hello\nworld", "final": True})
        store.log("evil", {"kind": "\x1b[31m", "name\x1b[0m": "\x9b1m"})
        assert await store.drain(5)
    assert await replay.main(["evil", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.isprintable() for line in lines), "a terminal obeys nothing of what was said"
    assert "hello" in lines[0]
    assert await replay.main(["bad", *where]) == 1
    assert "#2: text in LISTENING led to SPEAKING, now to THINKING" in capsys.readouterr().err
    assert await replay.main(["nobody", *where]) == 2
    assert "no log of session nobody" in capsys.readouterr().err


async def test_the_report_of_a_period(server: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = server.settings(tmp_path)
    where = ["--redis-url", settings.redis_url, "--data-dir", str(settings.data_dir)]
    assert await report.main(where) == 2
    async with Store(settings) as store:
        for turn in range(20):
            store.latency({"session": "s", "turn": turn, "spans": {"stt_final": 100.0 + turn, "first_audio_heard": 300.0}})
        assert await store.drain(5)
    out = tmp_path / "chart.png"
    assert await report.main([*where, "--since", "15m", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Latency of 20 turns" in printed and "stt_final" in printed and "110" in printed
    assert out.stat().st_size > 5_000
