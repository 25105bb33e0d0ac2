"""What a stranger can do to the web side of a running server: Gradio's own routes, great, slow and endless requests, connections
that never ask, names and origins that are not ours. The server may open 1,024 files and logs at DEBUG."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.settings import Settings
from server.transport.http_server import LAST_S, PARTING_S, Config
from server.transport.http_server import Server as HttpServer
from tests.attack.clients import HELD, Attacker, log_of, peer
from tests.bench.server import ROOT, Server, serve
from tests.integration.talker import talk, ticket

FILES = 1024  # that the server may open
HALF_OPEN = 1100
AT_ONCE = 50  # of these; the kernel would let others wait if more came than it may hold for the server
GREAT = 300_000_000  # bytes
MEMORY_MB = 100.0  # more than before: a leak
HELD_S = 2.0  # whoever asks meanwhile waits no longer, on a busy machine
REQUEST_S = 3.0  # the server's time limit for the head of a request
SERVER = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""
ROUTES = """
import json
from app import Settings, create_app
from starlette.routing import Mount

def walk(app):
    for route in app.routes:
        if inner := getattr(route, "original_router", None):
            yield from walk(inner)
        elif getattr(route, "path", None):
            yield [route.path, sorted(getattr(route, "methods", None) or ["WEBSOCKET"])]

app = create_app(Settings(_env_file=None))
fence = next(route.app for route in app.routes if isinstance(route, Mount))
print(json.dumps(list(walk(fence._gradio))))
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    settings = {"log_level": "DEBUG", "request_timeout_s": REQUEST_S}
    async with serve(Namespace(server=""), ("-c", SERVER), **settings) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


@contextlib.asynccontextmanager
async def unharmed(server: Server) -> AsyncIterator[None]:
    """While the body runs the server answers at once; afterwards it is as great as it was, and has said little."""
    before, logged = server.memory_mb(), log_of(server)
    waits: list[float] = []
    over = threading.Event()

    def ask() -> None:
        # A new connection each time: one that is kept between two requests gives way as others do.
        with httpx.Client(base_url=server.url, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            while True:
                began = time.perf_counter()
                client.get("/healthz").raise_for_status()
                waits.append(time.perf_counter() - began)
                if over.wait(0.05):
                    return

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        held = await Attacker(client).figure(HELD)
    asking = asyncio.create_task(asyncio.to_thread(ask))
    try:
        yield
        await asyncio.sleep(0.2)
    finally:
        over.set()
        await asking
    said = log_of(server)[len(logged) :]
    assert waits and max(waits) < HELD_S
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        assert await Attacker(client).figure(HELD) == held, f"the event loop was held: {said}"
    assert server.memory_mb() - before < MEMORY_MB
    assert "Traceback" not in said, said
    assert len(said) < 20_000, "the log is filled"


async def opened(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    there = urlsplit(server.url)
    return await asyncio.open_connection(there.hostname, there.port)


async def ended(reader: asyncio.StreamReader, within_s: float) -> bytes:
    """All that comes until the server ends the connection."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(within_s):
            return await reader.read()
    return b""


def hostile(response: httpx.Response) -> None:
    """What an answer to a stranger must not hold."""
    for word in ("Traceback", "site-packages", str(ROOT), 'File "'):
        assert word not in response.text
    allowed = {name for name in response.headers if name.startswith("access-control-")}
    assert not allowed
    assert "location" not in response.headers
    assert "frame-ancestors 'self'" in response.headers["content-security-policy"]


# --- Gradio's routes --------------------------------------------------------------------------------------------------

OURS = {"", "/", "/favicon.ico", "/theme.css"}


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    """Every route that Gradio registers, with each of its methods."""
    found = subprocess.run([sys.executable, "-c", ROUTES], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    listed = json.loads(found.stdout.splitlines()[-1])
    pairs = [(method, path) for path, methods in listed for method in methods]
    assert len(pairs) > 60
    return pairs


@pytest.mark.parametrize("filling", ["x", "../../../../etc/passwd", "https://evil.example/"])
async def test_nothing_of_gradio_is_there_but_what_our_page_uses(
    server: Server, http: httpx.AsyncClient, routes: list[tuple[str, str]], filling: str
) -> None:
    origin = {"Origin": "https://evil.example"}
    async with unharmed(server):
        for method, path in routes:
            filled = re.sub(r"\{[^}]*\}", filling, path)
            if method == "WEBSOCKET":
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(server.url.replace("http", "ws") + "/" + filled.lstrip("/")):
                        pass
                assert refused.value.response.status_code == 403
                continue
            for headers in ({}, origin):
                response = await http.request(method, filled or "/", headers=headers, params={"session_hash": "x", "page": "x"})
                hostile(response)
                if path.rstrip("/") in OURS and method in ("GET", "HEAD"):
                    assert response.status_code == 200, (method, path)
                else:
                    assert response.status_code in (400, 403, 404, 405, 422), (method, path, response.status_code)
    for other in ("OPTIONS", "PUT", "PATCH", "TRACE"):
        response = await http.request(
            other, "/gradio_api/queue/join", headers=origin | {"Access-Control-Request-Method": "POST"}
        )
        hostile(response)
        assert response.status_code >= 400


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://evil.example/",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/proxy=https://evil.example/",
        "/assets/../app.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/assets//etc/passwd",
        "/gradio_api/custom_component/00/client/component/..%2f..%2fapp.py",
        "/config",
        "/gradio_api/info",
        "/openapi.json",
        "/monitoring/summary",
    ],
)
async def test_no_file_and_no_other_place_is_had(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, follow_redirects=False)
    hostile(response)
    assert response.status_code == 404
    assert response.json()["error"]["code"]


async def test_the_page_is_made_once(server: Server, http: httpx.AsyncClient) -> None:
    """... for each name of the server; it is the same whatever else is asked, and for whoever packs it."""
    async with unharmed(server):
        first = await http.get("/")
        assert first.status_code == 200 and len(first.content) > 10_000
        for number in range(200):
            other = await http.get(f"/?n={number}", headers={"Accept-Encoding": "gzip" if number % 2 else "br"})
            assert other.content == first.content and other.headers["content-security-policy"]
        by_name = await http.get("/", headers={"Host": "localhost"})
        assert by_name.status_code == 200


async def nothing() -> None:
    pass


def said(**fields: object) -> dict[str, object]:
    return {"component_id": 11, "session_hash": "x", "fn_name": "offer", **fields}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 60_000,
        json.dumps(said(data={})).encode(),
        json.dumps(said(data={"type": "offer", "sdp": 5, "webrtc_id": "x"})).encode(),
        json.dumps(said(data={"type": "offer", "sdp": "v=0", "webrtc_id": "x" * 1000})).encode(),
        json.dumps(said(data={"type": "offer", "sdp": "v=0", "webrtc_id": {"a": 1}})).encode(),
        json.dumps(said(data={"type": "ice-candidate", "candidate": 5, "webrtc_id": "x"})).encode(),
        json.dumps(said(fn_name="handle_offer", data={})).encode(),
        json.dumps(said(fn_name="__init__", data={})).encode(),
        json.dumps(said(fn_name="quit_output_stream", data=[])).encode(),
    ],
)
async def test_the_component_hears_only_what_our_page_says(server: Server, http: httpx.AsyncClient, body: bytes) -> None:
    async with unharmed(server):
        for path in ("/gradio_api/component_server/", "/gradio_api/component_server", "/gradio_api/queue/join"):
            response = await http.post(path, content=body, headers={"Content-Type": "application/json"})
            hostile(response)
            assert response.status_code == 400
            assert response.json()["error"]["message"]


async def test_unknown_connections_have_no_view(server: Server, http: httpx.AsyncClient) -> None:
    async with unharmed(server):
        for number in range(200):
            body = {"data": [{"webrtc_id": f"guessed{number}"}], "fn_index": number % 4, "session_hash": f"s{number}"}
            response = await http.post("/gradio_api/queue/join", json=body)
            assert response.status_code == 404
            assert (await http.get("/gradio_api/queue/data", params={"session_hash": f"s{number}"})).status_code == 404


async def test_two_who_read_one_view_leave_no_traceback(server: Server, http: httpx.AsyncClient) -> None:
    attacker = Attacker(http)
    async with unharmed(server):
        async with peer() as one:
            await attacker.page(one, "viewed")
            body = {"data": [{"webrtc_id": "viewed"}], "session_hash": "viewer"}
            assert (await http.post("/gradio_api/queue/join", json=body)).status_code == 200
            readers = [asyncio.create_task(http.get("/gradio_api/queue/data?session_hash=viewer", timeout=2)) for _ in range(2)]
            await asyncio.sleep(0.5)
        await asyncio.gather(*readers, return_exceptions=True)
        await attacker.empty()


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/component_server/", "/gradio_api/queue/join", "/sessions"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_great_body_is_neither_kept_nor_waited_for(server: Server, path: str, announced: bool) -> None:
    length = f"Content-Length: {GREAT}" if announced else "Transfer-Encoding: chunked"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n"
    block = b"x" * 0x40000 if announced else b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    async with unharmed(server):
        _, writer = await opened(server)
        writer.write(head.encode())
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(REQUEST_S + 5):
                while sent < GREAT:
                    writer.write(block)
                    await writer.drain()
                    sent += len(block)
        assert sent < GREAT
        writer.close()


@pytest.mark.parametrize("path", ["/sessions", "/webrtc/offer", "/gradio_api/component_server/", "/gradio_api/queue/join"])
async def test_bodies_that_are_long_to_read_hold_nobody_up(server: Server, http: httpx.AsyncClient, path: str) -> None:
    bodies = ('{"tools":[' + ",".join("0" * 32_000) + "]}", "[" * 60_000, "{" + '"a":[],' * 8_000 + '"b":0}')
    async with unharmed(server):
        for body in bodies:
            for response in await asyncio.gather(*(http.post(path, content=body) for _ in range(20))):
                hostile(response)
                assert response.status_code == 400
                assert "commas and brackets" in response.json()["error"]["message"]


# --- connections that do not ask --------------------------------------------------------------------------------------


UNFINISHED = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{",
    b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n",
)


@pytest.mark.parametrize("request_begun", UNFINISHED)
async def test_unfinished_requests_neither_end_the_server_nor_fill_its_log(server: Server, request_begun: bytes) -> None:
    async with unharmed(server):
        links = []
        for _ in range(HALF_OPEN // AT_ONCE):
            links += await asyncio.gather(*(opened(server) for _ in range(AT_ONCE)))
            for _, writer in links[-AT_ONCE:]:
                writer.write(request_begun)
            async with httpx.AsyncClient(base_url=server.url, timeout=5) as late:  # and by then they are all accepted
                assert (await late.get("/healthz")).status_code == 200
        for _ in range(10):  # while they are open, others are served
            async with httpx.AsyncClient(base_url=server.url, timeout=5) as late:
                assert (await late.post("/sessions")).status_code == 201
            await asyncio.sleep(0.1)
        assert server.handles() < FILES - 100
        if request_begun is UNFINISHED[0]:
            await asyncio.gather(*(ended(reader, REQUEST_S + 10) for reader, _ in links))
        for _, writer in links:
            writer.close()
    for _ in range(100):
        if server.handles() < 100:
            break
        await asyncio.sleep(0.1)
    assert server.handles() < 100


SLOW = (
    [],  # nothing at all
    [b"GET / HT"],
    [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: ", *[b"x"] * 40],  # a letter at a time
    [b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 40],  # a body nobody reads
    [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET ", *[b"/"] * 40],  # a second request
)


async def test_a_client_that_never_finishes_is_left(server: Server) -> None:
    async def drip(drops: list[bytes]) -> float:
        """How long the server bears with it, s."""
        reader, writer = await opened(server)
        began = time.monotonic()
        end = asyncio.create_task(ended(reader, 3 * REQUEST_S))
        for drop in drops:
            if end.done():
                break
            writer.write(drop)
            await asyncio.sleep(REQUEST_S / 8)
        await end
        writer.close()
        return time.monotonic() - began

    assert max(await asyncio.gather(*map(drip, SLOW))) < 2.5 * REQUEST_S


@pytest.mark.parametrize("path", ["/sessions", "/webrtc/offer", "/healthz"])
async def test_a_body_that_is_none_costs_its_own_connection_only(server: Server, path: str) -> None:
    """It is found to be none when its request is being answered already."""
    async with unharmed(server):
        for _ in range(20):
            reader, writer = await opened(server)
            writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n".encode())
            assert (await ended(reader, 10)).startswith(b"HTTP/1.1 400")
            writer.close()


@pytest.mark.parametrize(
    "head", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"]
)
async def test_a_websocket_is_asked_for_in_ascii(server: Server, head: str) -> None:
    asking = "\r\n".join([
        "GET /orchestrate HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: x", "", "",
    ])  # fmt: skip
    async with unharmed(server):
        for wrong in (b"\xe9", b"\x80", b", \xc3\xa9"):
            reader, writer = await opened(server)
            writer.write(asking.encode().replace(head.encode(), head.encode() + wrong))
            assert re.match(rb"HTTP/1.1 4\d\d ", await ended(reader, 10))
            writer.close()


async def test_a_head_without_end_is_refused(server: Server) -> None:
    async with unharmed(server):
        reader, writer = await opened(server)
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 5_000_000)
            await writer.drain()
        assert (await ended(reader, REQUEST_S + 5))[:12] in (b"HTTP/1.1 400", b"")  # nobody reads to its end
        writer.close()


@pytest.mark.parametrize("path", ["/webrtc/offer", "/nothing", "/gradio_api/queue/join"])
async def test_a_body_in_crumbs_holds_nobody_up(server: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with unharmed(server):
        links = await asyncio.gather(*(opened(server) for _ in range(4)))
        for _, writer in links:
            writer.write(head + b"1\r\nx\r\n" * 80_000)
        await asyncio.gather(*(ended(reader, 30) for reader, _ in links))
        for _, writer in links:
            writer.close()


UPGRADE = (
    "{method} /orchestrate HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("POST", ""),
        ("GET", "Content-Length: 0\r\n"),
        ("GET", "".join(f"X{n}: y\r\n" for n in range(200))),
        ("GET", f"X: {'y' * 9000}\r\n"),
        ("GET", "Sec-WebSocket-Version: 12\r\n"),
        ("GET", "Transfer-Encoding: chunked\r\n"),
    ],
)
async def test_a_handshake_that_cannot_be_read_keeps_no_connection(server: Server, method: str, more: str) -> None:
    async with unharmed(server):
        reader, writer = await opened(server)
        writer.write(UPGRADE.format(method=method, more=more).encode())
        began = time.monotonic()
        assert b" 101 " not in await ended(reader, 2 * REQUEST_S)
        assert time.monotonic() - began < REQUEST_S + 2
        writer.close()


MASK = b"\0\0\0\0"


@pytest.mark.parametrize(
    "frames",
    [
        (b"\x89\x80" + MASK) * 40_000,  # pings
        (b"\x89\xfd" + MASK + b"x" * 125) * 2_000,
        (b"\x8a\x80" + MASK) * 40_000,  # pongs
        b"\x01\x80" + MASK + (b"\x00\x80" + MASK) * 40_000,  # a message in pieces of nothing
        (b"\x81\x82" + MASK + b"{}") * 30_000,
        b"\x81\x82" + MASK + b"\xff\xfe",  # no text
    ],
)
async def test_frames_beyond_all_use_hold_nobody_up(server: Server, frames: bytes) -> None:
    """... of a client that takes no answers."""
    async with unharmed(server):
        reader, writer = await opened(server)
        writer.write(UPGRADE.format(method="GET", more="").encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            for _ in range(200):
                writer.write(frames)
                async with asyncio.timeout(10):
                    await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()


BAD_TEXT = b"\x81\x82" + MASK + b"\xff\xfe"
CLOSE = b"\x88\x82" + MASK + b"\x03\xe8"


@pytest.mark.parametrize(
    "packet",
    [
        BAD_TEXT * 3,
        BAD_TEXT + CLOSE,
        CLOSE + BAD_TEXT,
        BAD_TEXT + b"\x89\x80" + MASK + BAD_TEXT + CLOSE * 2,
        (b"\x01\x81" + MASK + b"\xff" + b"\x80\x81" + MASK + b"\xfe") * 2,  # in pieces
        BAD_TEXT + b"\x83\x80" + MASK,  # of a kind that there is not
        BAD_TEXT + b"\x81\x82" + MASK + b"{}",
    ],
)
async def test_several_faults_in_one_packet_leave_no_traceback(server: Server, packet: bytes) -> None:
    """... with the handshake, and after it."""
    upgrade = UPGRADE.format(method="GET", more="").encode()
    async with unharmed(server):
        for at_once in (True, False):
            for _ in range(20):
                reader, writer = await opened(server)
                writer.write(upgrade + packet if at_once else upgrade)
                if not at_once:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(packet)
                    await ended(reader, REQUEST_S)
                else:
                    await asyncio.sleep(0.02)
                writer.close()


async def test_a_server_that_ends_waits_for_nobody_who_does_not_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """A body that does not come is not waited for, an answer that is not taken only for so long; neither is the app's fault."""
    app, got = FastAPI(), asyncio.Event()

    @app.post("/body")
    async def body(request: Request) -> None:
        got.set()
        with contextlib.suppress(ClientDisconnect):
            await request.body()

    @app.get("/great")
    async def great() -> Response:
        got.set()
        return Response(b"x" * 50_000_000)

    for head, within_s in (("POST /body", PARTING_S - LAST_S), ("GET /great", PARTING_S)):
        got.clear()
        server = HttpServer(Config(app, Settings(_env_file=None), port=0), drain=nothing, hasten=lambda: None)  # type: ignore[call-arg]
        serving = asyncio.create_task(server.serve())
        for _ in range(500):
            if server.started:
                break
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n".encode())
        writer.write(b"" if head.startswith("POST") else b"123456789")
        await got.wait()
        await asyncio.sleep(0.1)
        began, server.should_exit = time.monotonic(), True
        await serving
        assert time.monotonic() - began < within_s
        writer.close()
    assert not caplog.records, caplog.text


# --- names, origins, logs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/sessions", "/healthz", "/gradio_api/component_server/"])
async def test_a_name_that_is_not_ours_leads_nowhere(http: httpx.AsyncClient, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:7860", "localhost.evil.example"):
        for method in ("GET", "POST"):
            response = await http.request(method, path, headers={"Host": host, "Origin": f"http://{host}"})
            assert (response.status_code, response.json()["error"]["code"]) == (403, "unknown_host")


@pytest.mark.parametrize("origin", ["http://[", "null", "https://evil.example", "HTTPS", "http://localhost:1", "\xff"])
async def test_pages_of_others_change_nothing(server: Server, http: httpx.AsyncClient, origin: str) -> None:
    for path in ("/sessions", "/webrtc/offer", "/gradio_api/component_server/", "/gradio_api/queue/join"):
        response = await http.post(path, headers={"Origin": origin.encode("latin-1")}, json={})
        assert (response.status_code, response.json()["error"]["code"]) == (403, "wrong_origin")
        hostile(response)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.url.replace("http", "ws") + "/orchestrate", additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403
    secure = server.url.replace("http", "https")
    assert (await http.post("/sessions", headers={"Origin": secure})).status_code == 403
    assert (await http.post("/sessions", headers={"Origin": server.url})).status_code == 201


async def test_the_log_tells_neither_tokens_nor_what_was_typed(server: Server) -> None:
    """At DEBUG, where libraries write down what they carry."""
    session, words = await ticket(server.url), "a word that only I know"
    address = f"{server.url.replace('http', 'ws')}/orchestrate?session_id={session['session_id']}&%74oken={session['token']}"
    async with connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "greeting": False}))
        await socket.recv()
    async with talk(server.url, session, greeting=False) as talker:
        await talker.until("ready")
        await talker.send("text", text=words)
        await talker.until("agent_response")
    await asyncio.sleep(0.5)
    said = log_of(server)
    assert session["token"] not in said
    assert words not in said


async def test_health_is_told_to_who_only_asks_for_the_head(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        response = await http.head(path)
        assert (response.status_code, response.content) == (200, b"")
