"""The headless client against a peer that is known to the frame: it hears what was sent and acknowledges what it heard."""

import sys
from pathlib import Path

import pytest
import soundfile

from tests.bench.__main__ import main
from tests.bench.client import RefusedError, dial
from tests.bench.client_error import SOUND
from tests.bench.clips import RATE
from tests.bench.peer import create, running
from tests.bench.score import segments
from tests.bench.server import free_port

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "webrtc"])


@TRANSPORTS
async def test_a_reply_is_heard_to_its_end_and_acknowledged(transport: str, tmp_path: Path) -> None:
    app = create(delay=0.1, length=40)
    async with running(app) as url, dial(url, transport) as call:
        end = await call.play(SOUND) + 1.0
        first = await call.audible(end)
        assert first is not None
        await call.quiet(0.5)
        received = [m for m in app.state.talkers[0].received if m["type"].startswith("playback")]
        call.save(tmp_path / "take")
    *progress, done = received
    assert [m["type"] for m in progress] == ["playback_progress"] * len(progress)
    assert len(progress) >= 4
    assert [m["played_ms"] for m in progress] == sorted(m["played_ms"] for m in progress)
    assert done["type"] == "playback_done"
    assert done["played_ms"] == pytest.approx(800, abs=2)
    recording, rate = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert rate == RATE
    user, agent = segments(recording[:, 0]), segments(recording[:, 1], gap=0.0, hop_s=0.002)
    assert user[0][1] - user[0][0] == pytest.approx(1.0, abs=0.04)
    assert sum(b - a for a, b in agent) == pytest.approx(0.8, abs=0.03)  # without the holes that a busy machine makes
    assert agent[0][0] == pytest.approx(first, abs=0.04)
    assert '"playback_done"' in (tmp_path / "take.jsonl").read_text()


@TRANSPORTS
async def test_an_interrupted_reply_falls_silent_and_says_how_much_was_heard(transport: str) -> None:
    app = create(delay=0.05, length=200)
    async with running(app) as url, dial(url, transport) as call:
        end = await call.play(SOUND) + 1.0
        first = await call.audible(end)
        assert first is not None
        await call.until(first + 0.6)
        await call.interrupt()
        await call.quiet(0.5)
        stopped = app.state.talkers[0].received[-1]
        heard = [(a, b) for a, b in segments(call.agent(), gap=0.0, hop_s=0.002) if b > end]
    assert stopped["type"] == "playback_stopped"
    assert stopped["played_ms"] == pytest.approx(1000 * sum(b - a for a, b in heard), abs=30)


async def test_a_server_that_refuses_is_told_from_one_that_is_away() -> None:
    async with running(create(delay=0.1)) as url:
        with pytest.raises(RefusedError, match="404"):
            async with dial(f"{url}/elsewhere", "websocket"):
                pass


@pytest.mark.parametrize("name", ["latency", "scale"])
def test_a_server_that_is_not_there_is_told_in_a_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", name, "--server", f"http://127.0.0.1:{free_port()}"])
    with pytest.raises(SystemExit, match=rf"^{name}: All connection attempts failed$"):
        main()
