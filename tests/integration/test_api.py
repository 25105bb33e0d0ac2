"""The HTTP routes of the running app, with its real store and its real WebRTC side."""

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

from tests.bench.client import dial
from tests.bench.server import serve
from tests.integration.talker import Message, talk, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with serve(Namespace(server=""), max_sessions=2) as server:
        yield server.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        yield client


def bearer(session: Message) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


def refusal(response: httpx.Response) -> tuple[int, str, str | None]:
    assert "Traceback" not in response.text
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["code"], error.get("field")


async def logged(http: httpx.AsyncClient, session: Message) -> list[dict[str, Any]]:
    """The session's log once what was said last is in it."""
    for _ in range(100):
        response = await http.get(f"/sessions/{session['session_id']}/log", headers=bearer(session))
        entries = [json.loads(line) for line in response.text.splitlines()]
        if any(entry["kind"] == "agent_heard" for entry in entries):
            break
        await asyncio.sleep(0.1)
    return entries


async def test_a_session_from_its_making_to_its_end(url: str, http: httpx.AsyncClient) -> None:
    session, other = await ticket(url), await ticket(url)
    path = f"/sessions/{session['session_id']}"
    async with talk(url, session) as talker:
        await talker.send("text", text="What is latency?")
        start = await talker.until("playback_start")
        await asyncio.sleep(0.5)
        await talker.send("interrupt")
        await talker.until("playback_stop")
        await talker.send("playback_stopped", generation=start["generation"], played_ms=600)
        heard = await talker.until("agent_heard")
        shown = (await http.get(path, headers=bearer(session))).json()
        assert (shown["state"], shown["connected"]) == ("LISTENING", True)
        assert shown["history"] == [{"user": "What is latency?", "heard": heard["text"]}]
        entries = await logged(http, session)
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert {"event", "transcript", "intent", "sources", "agent_response", "agent_heard"} <= {e["kind"] for e in entries}
        for tail in ("", "/log"):
            assert refusal(await http.get(path + tail)) == (401, "missing_token", "token")
            assert refusal(await http.get(path + tail, headers=bearer(other))) == (403, "wrong_token", None)
        assert refusal(await http.delete(path, headers=bearer(other)))[0] == 403
        assert (await http.delete(path, headers=bearer(session))).status_code == 204
        assert await talker.closed() == 4410
    for tail in ("", "/log"):
        assert refusal(await http.get(path + tail, headers=bearer(session))) == (404, "unknown_session", None)
    async with talk(url, session) as gone:
        assert await gone.closed() == 4404


async def test_bad_offers_are_refused_and_leave_nothing_behind(url: str, http: httpx.AsyncClient) -> None:
    session = await ticket(url)
    ids = {"session_id": session["session_id"], "token": session["token"]}
    caller = RTCPeerConnection()
    caller.addTrack(AudioStreamTrack())
    await caller.setLocalDescription(await caller.createOffer())
    no_channel = caller.localDescription.sdp
    caller.createDataChannel("text")
    await caller.setLocalDescription(await caller.createOffer())
    whole = caller.localDescription.sdp
    await caller.close()
    no_opus = whole.replace("a=rtpmap:96 opus/48000/2\r\n", "")
    assert no_opus != whole
    broken = ["", "v=0", "nonsense", "v=0\r\nm=audio", "m=video 9 X 0", no_channel, no_opus, whole[: len(whole) // 2]]
    for _ in range(4):
        for sdp in broken:
            response = await http.post("/webrtc/offer", json={"sdp": sdp, "type": "offer", **ids})
            assert refusal(response) == (400, "bad_request", "sdp"), sdp
    bad: list[tuple[Any, tuple[int, str, str | None]]] = [
        ({"sdp": whole, "type": "answer", **ids}, (400, "bad_request", "type")),
        ({"sdp": whole, "type": "offer", "session_id": ids["session_id"]}, (401, "missing_token", "token")),
        ({"sdp": whole, "type": "offer", **ids, "token": "guessed"}, (403, "wrong_token", None)),
        ([], (400, "bad_request", None)),
    ]
    for body, expected in bad:
        assert refusal(await http.post("/webrtc/offer", json=body)) == expected
    candidate = {"candidate": "candidate:1 1 UDP 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    response = await http.post("/webrtc/offer", json={"type": "ice-candidate", "candidate": candidate, **ids})
    assert refusal(response) == (400, "bad_request", "candidate"), "there is no connection to add it to"
    for _ in range(3):
        async with dial(url, "webrtc") as call:
            assert call.events("ready")


async def test_a_great_body_is_refused_before_it_is_sent(url: str) -> None:
    there = urlsplit(url)
    for head in (b"Content-Length: 30000000", b"Transfer-Encoding: chunked"):
        reader, writer = await asyncio.open_connection(there.hostname, there.port)
        host = b"Host: " + there.netloc.encode()
        writer.write(b"POST /webrtc/offer HTTP/1.1\r\n" + host + b"\r\nContent-Type: application/json\r\n" + head + b"\r\n\r\n")
        if b"chunked" in head:
            for _ in range(5):
                writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        async with asyncio.timeout(20):
            status = await reader.readline()
        assert b" 413 " in status, head
        writer.close()


async def test_it_says_how_it_is(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["status"], ready.json()["store"]) == (200, "ready", "ok")
    metrics = (await http.get("/metrics")).text
    for name in (
        "parley_sessions",
        "parley_sessions_opened_total",
        "parley_sessions_refused_total",
        "parley_store_writes_total",
    ):
        assert f"\n{name}" in metrics


async def test_places_come_back_after_calls_that_are_dropped(url: str, http: httpx.AsyncClient) -> None:
    for _ in range(6):
        async with talk(url) as talker:
            await talker.until("ready")
            talker.socket.transport.abort()
    async with talk(url) as one, talk(url) as two:
        await one.until("ready")
        await two.until("ready")
        assert refusal(await http.post("/sessions")) == (503, "full", None)
