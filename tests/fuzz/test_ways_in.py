"""Every way into a running server: whatever comes, no answer is an error of ours, and afterwards the server is as it was (see
`Target.is_well`)."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app import Settings, create_app
from app.protocol.messages import MAX_MESSAGE_BYTES
from server.bootstrap.gradio_import import import_gradio
from server.web.routes import WEBRTC
from tests.attack.clients import Peer, first
from tests.fuzz import SEED, cases
from tests.fuzz.conftest import Target
from tests.fuzz.messages import frame, message, sound
from tests.fuzz.mutations import broken, changed
from tests.fuzz.offers import candidate, offer
from tests.fuzz.test_offers import offers

CASES = cases(600)
WARM_UP = 0.3  # of the cases
REFERENCE = "#/components/schemas/{model}"
WAITING = 16_000  # bytes that a client has sent and that are still under way
TOGETHER = 50  # messages before it is looked what came of them
FILLINGS = (
    "x",
    "../../etc/passwd",
    "https://x.example/",
    "/etc/passwd",
    "\x00",
    "é",
    "%2e%2e/",
    "a" * 3000,
    "\\..",
    "..;/",
    "\r\nX: y",
    " ",
)
METHODS = ("GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW")
TYPES = ("application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "x", "")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def tried(target: Target, number: int = CASES) -> AsyncIterator[tuple[int, random.Random]]:
    """As many cases, each with dice of its own; the server is warm after some of them."""
    warm = round(number * WARM_UP)
    for case in range(number):
        if case == warm:
            await target.is_warm()
        yield case, random.Random(f"{SEED} {case}")


def fine(response: httpx.Response) -> None:
    assert response.status_code < 500, (response.request, response.text)
    assert "Traceback" not in response.text


# --- conversations ----------------------------------------------------------------------------------------------------


async def test_a_websocket(target: Target) -> None:
    socket: ClientConnection | None = None
    async for case, rng in tried(target):
        try:
            if socket is None:
                socket = await connect(f"ws{target.url[4:]}/orchestrate", max_size=None, max_queue=None)
                start = {"type": "start", "sample_rate": rng.choice((8000, 16000, 48000)), "binary": rng.random() < 0.5}
                await socket.send(json.dumps(start))
                await first(socket, "ready")
            await socket.send(sound(rng)[:8000] if rng.random() < 0.3 else message(rng, rng.randrange(4)))
            if case % TOGETHER == 0:
                await socket.send(json.dumps({"type": "ping"}))
                await first(socket, "pong")
        except ConnectionClosed:
            assert socket is not None and socket.close_code not in (1006, 1011), (case, socket.close_code)
            socket = None
        if rng.random() < 0.02 and socket is not None:
            await socket.close()
            socket = None
    if socket is not None:
        await socket.close()


async def test_a_data_channel(target: Target) -> None:
    one: Peer | None = None
    answers: Counter[str] = Counter()
    async for case, rng in tried(target):
        if one is None:
            one, pongs = Peer(), 0
            await target.attacker.call(one)
        assert one.channel is not None
        # aiortc takes what it is given, and after a loss sends a packet a second: a ping would wait behind all of it.
        for _ in range(6000):
            if one.channel.bufferedAmount <= WAITING or one.closed.is_set():
                break
            await asyncio.sleep(0.01)
        if one.channel.readyState == "open":
            data = message(rng, rng.randrange(4)).encode()[:MAX_MESSAGE_BYTES]  # aiortc sends no more
            one.channel.send(data if rng.random() < 0.2 else data.decode(errors="ignore"))
        if case % TOGETHER == TOGETHER - 1 and one.channel.readyState == "open":
            try:
                one.send("ping")
                await one.until("pong", pongs := pongs + 1)
                answers["answered"] += 1
            except AssertionError:
                answers["ended"] += 1
            except TimeoutError:  # the packets that tell of the end may be lost, where the machine is busy
                answers["lost"] += 1
                one.closed.set()
        if one.closed.is_set():
            assert "internal" not in one.codes()
            await one.pc.close()
            one = None
    assert answers["lost"] <= 1, answers
    if one is not None:
        assert "internal" not in one.codes()
        await one.pc.close()


async def test_offers_and_candidates(target: Target) -> None:
    wholes, session = await offers(), await target.attacker.ticket()
    kinds = set()
    async for case, rng in tried(target):
        if case % 20 == 0:
            session = await target.attacker.ticket()
        body: Any = {"type": "offer", "sdp": offer(rng, wholes)}
        if rng.random() < 0.5:
            body = {"type": "ice-candidate", "candidate": candidate(rng)}
        body |= {"session_id": session["session_id"], "token": session["token"]}
        if rng.random() < 0.2:
            body = changed(rng, body)
        data = json.dumps(body).encode("utf-8", "surrogatepass")
        response = await target.http.post("/webrtc/offer", content=broken(rng, data) if rng.random() < 0.1 else data)
        fine(response)
        kinds.add((str(body.get("type")) if isinstance(body, dict) else "", response.status_code))
    assert {("offer", 200), ("offer", 400), ("ice-candidate", 200), ("ice-candidate", 400)} <= kinds, kinds


# --- what speaks HTTP, or does not ------------------------------------------------------------------------------------


async def test_the_api_by_its_own_description(target: Target) -> None:
    """Schemathesis makes the calls; half of them are about a session that is there, with its token."""
    assert (await target.http.get("/openapi.json")).status_code == 404
    document = create_app(Settings(_env_file=None)).openapi()  # type: ignore[call-arg]
    body = {"required": True, "content": {"application/json": {"schema": WEBRTC.json_schema(ref_template=REFERENCE)}}}
    document["components"] = {"schemas": body["content"]["application/json"]["schema"].pop("$defs")}  # type: ignore[index]
    document["paths"]["/webrtc/offer"]["post"]["requestBody"] = body
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert {"/sessions/{session_id}", "/sessions/{session_id}/log", "/webrtc/offer"} <= {each.path for each in operations}
    sessions = [await target.converse() for _ in range(5)]
    seen: Counter[int] = Counter()

    @seed(SEED)
    @settings(
        max_examples=max(60, CASES // 2),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.one_of([each.as_strategy() for each in operations]), st.sampled_from(sessions), st.booleans())
    def ask(case: schemathesis.Case, session: dict[str, str], known: bool) -> None:
        if known:
            if "session_id" in case.path_parameters:
                case.path_parameters["session_id"] = session["session_id"]
            if isinstance(case.body, dict):
                case.body |= session
            case.headers["Authorization"] = f"Bearer {session['token']}"
        response = case.call(base_url=target.url, timeout=30)
        assert response.status_code < 500, response.text
        assert "Traceback" not in response.text
        seen[response.status_code] += 1

    await asyncio.to_thread(ask)
    await target.is_warm()
    await asyncio.to_thread(ask)
    assert {200, 201, 400, 401} <= set(seen), seen


async def test_bytes_that_are_hardly_http(target: Target) -> None:
    there = urlsplit(target.url)
    heads = [
        b"GET /orchestrate HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"POST /webrtc/offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n" + b'{"type": "offer"}   ',
        b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
        b"GET /?session_id=a&token=b HTTP/1.0\r\nHost: [::1]:80\r\n\r\n",
    ]
    async for _, rng in tried(target):
        data = rng.choice(heads)
        if upgraded := data.startswith(b"GET /orchestrate") and rng.random() < 0.5:
            frames = b"".join(frame(rng) for _ in range(rng.randrange(1, 6)))
            data += frames
        else:
            for _ in range(rng.choice((1, 1, 2, 4))):
                data = broken(rng, data)
        reader, writer = await asyncio.open_connection(there.hostname, there.port)
        with suppress(OSError):  # the server may have hung up before all is sent
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(20):
                said = await reader.read()
            assert not re.match(rb"HTTP/1\.1 50[^15]", said), (data, said)
            assert not upgraded or said.startswith(b"HTTP/1.1 101"), (data, said)
        writer.close()


def paths(routes: Iterable[Any]) -> Iterator[str]:
    for route in routes:
        if inner := getattr(route, "original_router", None):
            yield from paths(inner.routes)
        elif path := getattr(route, "path", ""):
            yield path


async def test_what_is_gradios(target: Target) -> None:
    import_gradio()
    import gradio as gr

    known = sorted(set(paths(gr.routes.App.create_app(gr.Blocks()).routes)))
    assert len(known) > 40
    wholes, component = await offers(), 11
    async for _, rng in tried(target):
        path = re.sub(
            r"\{[^}]*\}", quote(rng.choice(FILLINGS), safe=rng.choice(("", "/"))).replace("\\", ""), rng.choice(known)
        )
        path = path[:10_000]  # whoever is still writing a head that is too long to be read may miss the answer
        method, name = rng.choice(METHODS), rng.choice(("a", "b-2", "é"))
        offered = {"type": "offer", "sdp": offer(rng, wholes), "webrtc_id": name}
        body: Any = rng.choice((
            {"fn_name": "turn", "component_id": component, "session_hash": "x", "data": None},
            {"fn_name": "offer", "component_id": component, "data": offered},
            {"fn_name": "offer", "data": {"type": "ice-candidate", "candidate": candidate(rng), "webrtc_id": name}},
            {"fn_name": "quit_output_stream", "data": {"webrtc_id": name}},
            {"data": [{"textbox": "", "webrtc_id": name}], "fn_index": 0, "trigger_id": component, "session_hash": "h"},
            {"data": [], "event_data": None, "fn_index": 10**6, "session_hash": name},
        ))  # fmt: skip
        if rng.random() < 0.5:
            body = changed(rng, body)
        if rng.random() < 0.5:
            method, path = "POST", rng.choice(("/gradio_api/component_server", "/gradio_api/queue/join"))
        data = json.dumps(body).encode("utf-8", "surrogatepass")
        data = broken(rng, data) if rng.random() < 0.2 else data
        query = rng.choice(
            ("", "", "?session_hash=h", "?session_hash=%00", "?file=https://x.example", "?a=" + "b" * 5000, "?%ff=%fe")
        )
        fine(await target.http.request(method, path + query, content=data, headers={"Content-Type": rng.choice(TYPES)}))
