"""`/orchestrate` on the running app: real models, a real server, a client that knows the protocol only."""

import asyncio
import json
import socket as sockets
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.bench.clips import HERE, clips
from tests.bench.server import serve
from tests.integration.talker import Message, Talker, talk, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACES = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with serve(Namespace(server=""), max_sessions=PLACES) as server:
        yield server.url


async def look(url: str, session: Message) -> Message:
    async with httpx.AsyncClient(base_url=url) as http:
        response = await http.get(f"/sessions/{session['session_id']}", headers={"Authorization": f"Bearer {session['token']}"})
        response.raise_for_status()
        return dict(response.json())


async def acknowledge(talker: Talker) -> Message:
    """Waits for the reply to end and says that all of it was heard."""
    end = await talker.until("audio_end")
    await talker.send("playback_done", generation=end["generation"], played_ms=end["ms"])
    return end


@pytest.mark.parametrize(("rate", "binary"), [(8000, True), (48000, False)])
async def test_a_spoken_question_is_answered(url: str, rate: int, binary: bool) -> None:
    question = clips(HERE, "question", "command")[0]
    async with talk(url, rate=rate, binary=binary) as talker:
        ready = await talker.until("ready")
        assert (ready["sample_rate"], ready["resumed"]) == (rate, False)
        await talker.speak(np.concatenate([question.audio, np.zeros(3 * 16000, np.float32)]))
        end = await acknowledge(talker)
        heard = await talker.until("agent_heard")
        assert await talker.until("state", state="LISTENING", previous="SPEAKING")
        said = " ".join(piece["text"].strip() for piece in talker.of("agent_response"))
    assert talker.of("transcript", final=True)
    assert talker.heard(end["generation"]) == pytest.approx(end["ms"] * rate / 1000, abs=rate // 50)
    assert heard["text"].split() == said.split() and not heard["estimated"]
    first, last = (
        next(i for i, m in enumerate(talker.messages) if m["type"] == kind) for kind in ("playback_start", "audio_end")
    )
    assert all(first < place <= last for _, place, _ in talker.sound)
    assert max(np.abs(samples).max() for *_, samples in talker.sound) > 1000


async def test_after_an_interruption_nothing_of_the_reply_follows(url: str) -> None:
    async with talk(url, rate=24000) as talker:
        await talker.send("text", text="How does barge-in work?")
        start = await talker.until("playback_start")
        await asyncio.sleep(1.0)
        await talker.send("interrupt")
        stop = await talker.until("playback_stop")
        place = talker.messages.index(stop)
        await talker.send("playback_stopped", generation=stop["generation"], played_ms=900)
        heard = await talker.until("agent_heard")
        await talker.send("text", text="What is latency?")
        await talker.until("playback_start", 2)
    assert start["generation"] == stop["generation"]
    assert not [g for g, after, _ in talker.sound if after > place and g <= stop["generation"]]
    said = " ".join(piece["text"] for piece in talker.of("agent_response", generation=stop["generation"]))
    assert 0 < len(heard["text"].split()) < len(said.split())


async def test_a_cut_connection_is_resumed_with_what_was_heard(url: str) -> None:
    session = await ticket(url)
    async with talk(url, session) as talker:
        await talker.send("text", text="How does barge-in work?")
        start = await talker.until("playback_start")
        await talker.send("playback_progress", generation=start["generation"], played_ms=0)
        await asyncio.sleep(1.5)
        await talker.send("playback_progress", generation=start["generation"], played_ms=1400)
        await talker.send("ping")
        await talker.until("pong")
        talker.socket.transport.abort()
    async with talk(url, session, resume=True) as talker:
        ready = await talker.until("ready")
        assert ready["resumed"] is True and ready.get("token") is None
        shown = await look(url, session)
        assert shown["connected"] and shown["state"] == "LISTENING"
        [exchange] = shown["history"]
        assert exchange["user"] == "How does barge-in work?" and exchange["heard"]
        assert shown["unheard"], "what was not heard is kept for later"
        await talker.send("text", text="Go on.")
        await talker.until("playback_start")
        piece = await talker.until("agent_response")
        assert piece["text"].split()[:3] == shown["unheard"][0].split()[:3]


async def test_the_later_connection_takes_over(url: str) -> None:
    session = await ticket(url)
    async with talk(url, session) as first:
        await first.until("ready")
        async with talk(url, session) as second:
            assert (await second.until("ready"))["resumed"] is True
            assert await first.closed() == 4409
            assert first.of("error", code="taken_over", fatal=True)
            await second.send("text", text="Hello!")
            await second.until("playback_start")
    assert not first.sound


async def test_refusals_come_as_an_error_and_a_code(url: str) -> None:
    session, other = await ticket(url), await ticket(url)
    async with talk(url, {**session, "token": other["token"]}) as talker:
        assert await talker.closed() == 4403
    assert [m["code"] for m in talker.messages] == ["wrong_token"]
    address = f"ws{url.removeprefix('http')}/orchestrate?session_id={session['session_id']}&token=guessed"
    async with connect(address) as early:
        assert json.loads(await early.recv())["code"] == "wrong_token"
        with pytest.raises(ConnectionClosed):
            await early.recv()
    with pytest.raises(InvalidStatus) as refused:
        await connect(address, origin="https://elsewhere.example").__aenter__()  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


async def test_when_all_places_are_taken_the_next_is_told(url: str) -> None:
    session = await ticket(url)
    async with talk(url) as one, talk(url) as two, talk(url) as three:
        for talker in (one, two, three):
            await talker.until("ready")
        async with talk(url, session) as late:
            assert await late.closed() == 1013
        assert late.of("error", code="full", fatal=True)
        async with httpx.AsyncClient(base_url=url) as http:
            response = await http.post("/sessions")
        assert (response.status_code, response.json()["error"]["code"]) == (503, "full")
    async with talk(url, session) as again:
        await again.until("ready")


async def test_bad_messages_are_answered_and_the_call_goes_on(url: str) -> None:
    async with talk(url) as talker:
        await talker.until("ready")
        for bad in ("{", "[]", '{"type": "sing"}', '{"type": "text", "text": 5}', '{"type": "playback_done", "generation": 1}'):
            await talker.socket.send(bad)
        await talker.socket.send(b"odd")
        await talker.socket.send(json.dumps({"type": "text", "text": "x" * 300_000}))
        last = await talker.until("error", 7)
        assert last["code"] == "too_large"
        fields = [error.get("field") for error in talker.of("error")]
        assert fields == [None, None, "type", "text", "played_ms", "data", None]
        await talker.send("text", text="What is latency?")
        await talker.until("playback_start")
    assert not talker.of("error", fatal=True)


async def test_a_flood_is_cut_off_and_hurts_nobody(url: str) -> None:
    async with talk(url) as quiet, talk(url) as flood:
        await quiet.until("ready")
        await flood.until("ready")
        with suppress(ConnectionClosed):
            for _ in range(5000):
                await flood.send("ping")
        assert await flood.closed() == 1008
        assert flood.of("error", code="flood", fatal=True)
        await quiet.send("text", text="What is latency?")
        await quiet.until("playback_start")


async def test_a_message_beyond_all_measure_ends_only_its_connection(url: str) -> None:
    async with talk(url) as talker, talk(url) as huge:
        await talker.until("ready")
        await huge.until("ready")
        with suppress(ConnectionClosed):
            for _ in range(3):
                await huge.socket.send(bytes(40_000_000))
        assert await huge.closed() in (1006, 1009)
        await talker.send("ping")
        await talker.until("pong")


async def test_a_client_that_does_not_read_loses_its_place(url: str) -> None:
    session = await ticket(url)
    there = urlsplit(url)
    wire = sockets.socket()
    wire.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    wire.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_MAXSEG, 536)  # keeps the kernel's buffers small as well
    wire.connect((there.hostname, there.port))
    async with connect(f"ws://{there.netloc}/orchestrate", sock=wire, ping_interval=None) as slow:
        start = {"type": "start", "session_id": session["session_id"], "token": session["token"], "sample_rate": 48000}
        await slow.send(json.dumps(start))
        assert json.loads(await slow.recv())["type"] == "ready"
        slow.transport.pause_reading()
        await slow.send(json.dumps({"type": "text", "text": "How does barge-in work?"}))
        async with talk(url) as other, asyncio.timeout(60):
            while (await look(url, session))["connected"]:
                for _ in range(25):
                    await slow.send('{"type": "ping"}')
                await asyncio.sleep(0.2)
            await other.send("text", text="What is latency?")
            await other.until("playback_start")
        slow.transport.abort()


async def test_stop_ends_the_conversation(url: str) -> None:
    session = await ticket(url)
    async with talk(url, session) as talker:
        await talker.send("text", text="What is latency?")
        await talker.until("playback_start")
        await talker.send("stop")
        assert await talker.closed() == 1000
    assert (await look(url, session))["state"] == "IDLE"
