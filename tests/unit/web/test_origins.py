"""Who is let in by which name, and from which page."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.settings import Settings
from server.web.origins import LOOPBACK_NAMES, OriginMiddleware, known_host, same_origin

HERE = "here.example:7860"


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


def asked(scheme: str = "http", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "scheme": scheme, "headers": pairs}


@pytest.mark.parametrize(
    ("scheme", "headers", "may"),
    [
        ("http", {"host": HERE}, True),
        ("http", {"host": HERE, "origin": f"http://{HERE}"}, True),
        ("ws", {"host": HERE, "origin": f"http://{HERE}"}, True),
        ("ws", {"host": HERE, "origin": f"https://{HERE}"}, False),
        ("wss", {"host": HERE, "origin": f"https://{HERE}"}, True),
        ("wss", {"host": HERE, "origin": f"http://{HERE}"}, False),
        ("http", {"host": "HERE.example", "origin": "http://here.example:80"}, True),
        ("http", {"host": "[::1]:7860", "origin": "http://[::1]:7860"}, True),
        ("http", {"host": HERE, "origin": "https://elsewhere"}, False),
        ("http", {"host": HERE, "origin": f"http://{HERE}.elsewhere"}, False),
        ("http", {"host": HERE, "origin": "http://here.example"}, False),
        ("http", {"host": HERE, "origin": "null"}, False),
        ("http", {"host": HERE, "origin": ""}, False),
        # a proxy in front that speaks TLS
        ("http", {"host": "a.example", "origin": "https://a.example", "x_forwarded_proto": "https"}, True),
        ("http", {"host": "a.example", "origin": "http://a.example", "x_forwarded_proto": "https"}, False),
        ("http", {"host": "a.example", "origin": "https://a.example", "x_forwarded_proto": "http"}, False),
        ("http", {"host": "a.example", "origin": "https://a.example", "x_forwarded_for": "1.2.3.4"}, True),
        ("http", {"host": "127.0.0.1:7860", "origin": "https://a.example", "x_forwarded_host": "a.example, inner"}, True),
    ],
)
def test_only_our_own_page_needs_no_leave(scheme: str, headers: dict[str, str], may: bool) -> None:
    assert same_origin(asked(scheme, **headers), settings()) is may


@pytest.mark.parametrize(
    "origin", ["http://[", "http://]", "http://[::1", "://", "http://:", "\xff", "http://a:b:c", "http://%"]
)
def test_what_is_no_origin_is_nobodys(origin: str) -> None:
    assert not same_origin(asked(host=HERE, origin=origin), settings())


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ("https://a, https://elsewhere", "https://elsewhere", True),
        ("https://elsewhere", "http://elsewhere", False),
        ("*", "https://elsewhere", True),
        ("null", "null", True),
    ],
)
def test_pages_of_other_origins_need_leave(allowed: str, origin: str, may: bool) -> None:
    assert same_origin(asked(host=HERE, origin=origin), settings(cors_origins=allowed)) is may


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7860", "app.localhost", "127.0.0.1:7860", "[::1]:7860", "192.0.2.1", "localhost."]
)
def test_addresses_and_the_loopbacks_names_are_ours(host: str) -> None:
    assert known_host(host, LOOPBACK_NAMES)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:7860@localhost", "[::1]evil", "", "*"],
)
def test_other_names_are_not(host: str) -> None:
    assert not known_host(host, LOOPBACK_NAMES)


def site(mounted: bool = False, **given: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(OriginMiddleware, settings=settings(**given), mounted=mounted)

    @app.api_route("/thing", methods=["GET", "POST"])
    async def thing() -> str:
        return "here"

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return app


@pytest.mark.parametrize(
    ("given", "server", "host", "status"),
    [
        ({}, "127.0.0.1", "evil.example", 403),
        ({}, "127.0.0.1", "localhost:7860", 200),
        ({"mounted": True}, "127.0.0.1", "evil.example", 200),  # the other app's business
        ({"mounted": True, "allowed_hosts": "a.example"}, "127.0.0.1", "evil.example", 403),
        ({"host": "0.0.0.0"}, "127.0.0.1", "a.example", 200),
        ({"host": "::"}, "192.0.2.1", "a.example", 200),
        ({"host": "::1"}, "::1", "evil.example", 403),
        ({"allowed_hosts": "a.example, *.b.example"}, "192.0.2.1", "a.example", 200),
        ({"allowed_hosts": "a.example, *.b.example"}, "192.0.2.1", "x.b.example:443", 200),
        ({"allowed_hosts": "a.example, *.b.example"}, "192.0.2.1", "b.example", 403),
        ({"allowed_hosts": "a.example"}, "192.0.2.1", "10.1.2.3:7860", 200),  # a probe
        ({"allowed_hosts": "*"}, "127.0.0.1", "any.example", 200),
        ({}, "testserver", "testserver", 200),
    ],
)
async def test_the_name_is_looked_at_before_anything_else(given: dict[str, Any], server: str, host: str, status: int) -> None:
    transport = httpx.ASGITransport(site(**given))

    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://{f'[{server}]' if ':' in server else server}"
    ) as client:
        response = await client.get("/thing", headers={"Host": host})
    assert response.status_code == status
    if status == 403:
        assert response.json()["error"]["code"] == "unknown_host"


def test_a_page_of_another_origin_changes_nothing_and_opens_no_socket() -> None:
    client = TestClient(site())
    elsewhere = {"Origin": "https://elsewhere"}
    assert client.get("/thing", headers=elsewhere).status_code == 200
    refused = client.post("/thing", headers=elsewhere)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "wrong_origin")
    for origin in ("https://elsewhere", "http://[", "null"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers={"Origin": origin}):
            pass
    with client.websocket_connect("/socket", headers={"Origin": "http://testserver"}):
        pass
    allowed = TestClient(site(cors_origins="https://elsewhere"))
    assert allowed.post("/thing", headers=elsewhere).status_code == 200


@pytest.mark.parametrize(
    ("framers", "policy"),
    [
        ("", "frame-ancestors 'self'"),
        ("https://a.example, https://*.b", "frame-ancestors 'self' https://a.example https://*.b"),
    ],
)
def test_who_may_show_it_in_a_frame_is_a_setting(framers: str, policy: str) -> None:
    client = TestClient(site(frame_ancestors=framers))
    for response in (client.get("/thing"), client.get("/nothing"), client.post("/thing", headers={"Origin": "null"})):
        assert response.headers["content-security-policy"] == policy
