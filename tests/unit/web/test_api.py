"""The HTTP routes over a real ASGI app, with the store and the WebRTC side doubled."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.session_settings import SessionSettings
from app.protocol.messages import Start
from server.sessions.tokens import Ticket
from server.store.records import Busy, SessionRecord
from server.store.writer import Status
from server.web import routes as api
from services.base import Exchange
from tests.unit.doubles import Desk, Peer
from tests.unit.protocol.test_messages import JSON

SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


class FakeRtc:
    def __init__(self) -> None:
        self.offers: list[tuple[Any, ...]] = []
        self.candidates: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    async def offer(self, *call: Any) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        self.offers.append(call)
        return {"sdp": SDP, "type": "answer"}

    async def candidate(self, *call: Any) -> None:
        if self.error is not None:
            raise self.error
        self.candidates.append(call)


class FakeReadiness:
    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.failed: dict[str, str] = {}
        self.degraded: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        return not self.waiting and not self.failed


class Site(Desk):
    """The routes of a desk, and a client for them."""

    def __init__(self, **given_settings: Any) -> None:
        super().__init__(**given_settings)
        self.rtc, self.readiness = FakeRtc(), FakeReadiness()
        app = FastAPI()
        app.include_router(
            api.router(self.sessions, self.rtc, self.store, self.readiness, self.settings),  # type: ignore[arg-type]
            prefix="/voice",
        )
        api.allow_origins(app, self.settings)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site/voice")

    async def join(self, ticket: Ticket) -> Peer:
        peer = Peer()
        (await self.sessions.open(ticket.session_id, ticket.token, peer)).begin(greeting=False)
        return peer

    def offer(self, ticket: Ticket, **fields: Any) -> dict[str, Any]:
        return {"sdp": SDP, "type": "offer", "session_id": ticket.session_id, "token": ticket.token, **fields}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.http.aclose()
    await site.sessions.live.close()


def refusal(response: httpx.Response, status: int, code: str, field: str | None = None) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(response.json()) == {"error"}
    assert (error["code"], error.get("field")) == (code, field)
    assert error["message"] and "Traceback" not in response.text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_session_is_made(site: Site) -> None:
    response = await site.http.post("/sessions")
    assert response.status_code == 201
    body = response.json()
    site.sessions.authorize(body["session_id"], body["token"])
    assert datetime.fromisoformat(body["expires_at"]).tzinfo is not None
    assert body["rtc_configuration"] == {"iceServers": []}
    assert response.headers["cache-control"] == "no-store"


async def test_a_session_is_as_eager_as_it_was_asked_to_be(site: Site) -> None:
    response = await site.http.post("/sessions", json={"eagerness": "low"})
    body = response.json()
    assert response.status_code == 201
    attachment = await site.sessions.open(body["session_id"], body["token"], Peer())
    assert attachment.session.context.agent.session_settings.eagerness == "low"
    plain = await site.http.post("/sessions", json={})
    attachment = await site.sessions.open(plain.json()["session_id"], plain.json()["token"], Peer())
    assert attachment.session.context.agent.session_settings.eagerness == site.settings.eagerness
    refusal(await site.http.post("/sessions", json={"eagerness": "eager"}), 400, "bad_request", "eagerness")
    refusal(await site.http.post("/sessions", json={"eagernes": "low"}), 400, "bad_request", "eagernes")
    refusal(await site.http.post("/sessions", content=b"{"), 400, "bad_request")


async def test_a_session_is_made_with_settings_of_its_own(site: Site) -> None:
    wanted = {"voice": "coral", "speed": 1.25, "interruption": "button", "tools": ["set_timer"], "recording": False}
    made = (await site.http.post("/sessions", json=wanted)).json()
    attachment = await site.sessions.open(made["session_id"], made["token"], Peer())
    assert attachment.session.memory.settings == SessionSettings.model_validate(wanted)
    assert (await site.http.get(f"/sessions/{made['session_id']}", headers=bearer(made["token"]))).status_code == 200


async def test_settings_that_cannot_be_had_are_refused(site: Site) -> None:
    for wrong, field in (
        ({"speed": 9}, "speed"),
        ({"instructions": 7}, "instructions"),
        ({"tools": ["set_timer", ""]}, "tools.1"),
        ({"mood": "sunny"}, "mood"),
    ):
        refusal(await site.http.post("/sessions", json=wrong), 400, "bad_request", field)
    for impossible, field in (
        ({"instructions": "Be brief."}, "instructions"),
        ({"voice": "bariton"}, "voice"),
        ({"tools": ["cook"]}, "tools"),
        ({"language": "de"}, "language"),
    ):
        refusal(await site.http.post("/sessions", json=impossible), 400, "not_possible", field)


@pytest.mark.parametrize("path", ["/sessions", "/webrtc/offer"])
@pytest.mark.parametrize(
    "body", ['{"tools":[' + ",".join("0" * 32_000) + "]}", "[" * 60_000, "{" + '"a":{},' * 8_000 + '"b":0}']
)
async def test_a_body_full_of_lists_is_not_read(site: Site, path: str, body: str) -> None:
    """Parsing it takes long, and finding fault with each of its parts longer."""
    response = await site.http.post(path, content=body)
    refusal(response, 400, "bad_request")
    assert "commas and brackets" in response.json()["error"]["message"]


async def test_many_faults_are_not_described(site: Site) -> None:
    response = await site.http.post("/sessions", json={f"unknown{n}": 0 for n in range(2000)})
    refusal(response, 400, "bad_request")
    assert response.json()["error"]["message"] == "more than 20 faults"
    refusal(await site.http.post("/sessions", json={"tools": [0] * 2000}), 400, "bad_request", "tools.0")


async def test_nobody_makes_another_session_of_his_ticket(site: Site) -> None:
    ticket = site.sessions.create(SessionSettings(eagerness="low"))
    other = site.sessions.create(SessionSettings(eagerness="high"))
    key, mac, sealed = ticket.token.split(".")
    tokens = (
        f"{key}.{mac}",
        f"{key}.{mac}.",
        f"{key}.{mac}.{other.token.split('.')[2]}",
        f"{ticket.token}.",
        f"{key}.{mac}.{sealed}x",
    )
    for token in tokens:
        refusal(await site.http.get(f"/sessions/{ticket.session_id}", headers=bearer(token)), 403, "wrong_token")
    for session_id in (other.session_id, f"{ticket.session_id} {sealed}"):
        refusal(await site.http.get(f"/sessions/{session_id}", headers=bearer(ticket.token)), 403, "wrong_token")


async def test_a_full_house_says_when_to_come_back(site: Site) -> None:
    late = site.sessions.create()
    for _ in range(site.settings.max_sessions):
        await site.join(site.sessions.create())
    for response in (await site.http.post("/sessions"), await site.http.post("/webrtc/offer", json=site.offer(late))):
        refusal(response, 503, "full")
        assert int(response.headers["retry-after"]) > 0
    assert not site.rtc.offers


# --- reading a session ------------------------------------------------------------------------------------------------

READS = [("GET", ""), ("GET", "/log"), ("DELETE", "")]


@pytest.mark.parametrize(("method", "tail"), READS)
async def test_only_its_token_opens_a_session(site: Site, method: str, tail: str) -> None:
    mine, other = site.sessions.create(), site.sessions.create()
    path = f"/sessions/{mine.session_id}{tail}"
    missing = await site.http.request(method, path)
    refusal(missing, 401, "missing_token", "token")
    assert missing.headers["www-authenticate"] == "Bearer"
    refusal(await site.http.request(method, path, headers={"Authorization": "Basic abc"}), 401, "missing_token", "token")
    refusal(await site.http.request(method, path, headers={"Authorization": "Bearer  "}), 401, "missing_token", "token")
    for token in ("guessed", other.token, "é"):
        headers = {"Authorization": f"Bearer {token}".encode()}
        refusal(await site.http.request(method, path, headers=headers), 403, "wrong_token")
    assert (await site.http.request(method, path, headers=bearer(mine.token))).is_success


@pytest.mark.parametrize(("method", "tail"), READS)
async def test_an_expired_session_is_not_found(site: Site, method: str, tail: str) -> None:
    ticket = site.sessions.create()
    site.wall.later_s = site.settings.session_ttl_s + 1
    refusal(
        await site.http.request(method, f"/sessions/{ticket.session_id}{tail}", headers=bearer(ticket.token)),
        404,
        "unknown_session",
    )


@pytest.mark.parametrize(("method", "tail"), READS)
async def test_without_the_store_it_is_said(site: Site, method: str, tail: str) -> None:
    ticket = site.sessions.create()
    site.store.away = True
    response = await site.http.request(method, f"/sessions/{ticket.session_id}{tail}", headers=bearer(ticket.token))
    refusal(response, 503, "store_unavailable")
    assert "retry-after" in response.headers


async def test_state_and_history_are_shown(site: Site) -> None:
    ticket = site.sessions.create()
    await site.join(ticket)
    site.made[0].memory.history.append(Exchange("hello", "Hi there."))
    body = (await site.http.get(f"/sessions/{ticket.session_id}", headers=bearer(ticket.token))).json()
    assert body["state"] == "LISTENING" and body["connected"] is True
    assert body["history"] == [{"user": "hello", "heard": "Hi there."}]
    assert ticket.token not in json.dumps(body)


async def test_the_log_comes_line_by_line(site: Site) -> None:
    ticket = site.sessions.create()
    entries = [{"seq": n, "at_ms": n * 10, "kind": "event", "text": 'naïve "text"\nwith lines'} for n in range(1, 1201)]
    site.store.logs[ticket.session_id] = entries
    response = await site.http.get(f"/sessions/{ticket.session_id}/log", headers=bearer(ticket.token))
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in response.text.splitlines()] == entries
    empty = site.sessions.create()
    response = await site.http.get(f"/sessions/{empty.session_id}/log", headers=bearer(empty.token))
    assert (response.status_code, response.text) == (200, "")


async def test_an_erased_session_is_gone(site: Site) -> None:
    ticket = site.sessions.create()
    site.store.records[ticket.session_id] = SessionRecord(session_id=ticket.session_id)
    site.store.logs[ticket.session_id] = [{"seq": 1}]
    peer = await site.join(ticket)
    response = await site.http.delete(f"/sessions/{ticket.session_id}", headers=bearer(ticket.token))
    assert (response.status_code, response.content) == (204, b"")
    assert peer.error is not None and peer.error.code == "deleted"
    assert not site.store.records and not site.store.logs
    for method, tail in READS:
        response = await site.http.request(method, f"/sessions/{ticket.session_id}{tail}", headers=bearer(ticket.token))
        refusal(response, 404, "unknown_session")
    refusal(await site.http.post("/webrtc/offer", json=site.offer(ticket)), 404, "unknown_session")


# --- the offer --------------------------------------------------------------------------------------------------------


async def test_an_offer_is_answered(site: Site) -> None:
    ticket = site.sessions.create()
    response = await site.http.post("/webrtc/offer", json=site.offer(ticket))
    assert (response.status_code, response.json()) == (200, {"sdp": SDP, "type": "answer"})
    more = {"greeting": False, "played": {"generation": 3, "played_ms": 1200.5}}
    body = {"sdp": SDP, "type": "offer", "session_id": ticket.session_id, **more}
    assert (await site.http.post("/webrtc/offer", json=body, headers=bearer(ticket.token))).is_success
    who = {"session_id": ticket.session_id, "token": ticket.token}
    assert site.rtc.offers == [(SDP, "offer", Start(**who)), (SDP, "offer", Start.model_validate(who | more))]


async def test_candidates_go_the_same_way(site: Site) -> None:
    ticket = site.sessions.create()
    ids = {"session_id": ticket.session_id, "token": ticket.token, "type": "ice-candidate"}
    candidate = {"candidate": "candidate:1 1 UDP 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    assert (await site.http.post("/webrtc/offer", json={**ids, "candidate": candidate})).is_success
    assert (await site.http.post("/webrtc/offer", json={**ids, "candidate": None})).is_success
    assert site.rtc.candidates == [(ticket.session_id, candidate)]
    site.rtc.error = ValueError("no such connection")
    refusal(await site.http.post("/webrtc/offer", json={**ids, "candidate": candidate}), 400, "bad_request", "candidate")


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"sdp": None}, 400, "bad_request", "sdp"),
        ({"sdp": 5}, 400, "bad_request", "sdp"),
        ({"type": "answer"}, 400, "bad_request", "type"),
        ({"type": "ice-candidate", "candidate": "text"}, 400, "bad_request", "candidate"),
        (
            {"type": "ice-candidate", "candidate": {"candidate": "x", "sdpMLineIndex": -1}},
            400,
            "bad_request",
            "candidate.sdpMLineIndex",
        ),
        ({"session_id": None}, 400, "bad_request", "session_id"),
        ({"session_id": ["a"]}, 400, "bad_request", "session_id"),
        ({"greeting": "perhaps"}, 400, "bad_request", "greeting"),
        ({"token": None}, 401, "missing_token", "token"),
        ({"token": "guessed"}, 403, "wrong_token", None),
        ({"session_id": "another"}, 403, "wrong_token", None),
    ],
)
async def test_bad_offers_are_refused(site: Site, fields: dict[str, Any], status: int, code: str, field: str | None) -> None:
    response = await site.http.post("/webrtc/offer", json=site.offer(site.sessions.create(), **fields))
    refusal(response, status, code, field)
    assert not site.rtc.offers


async def test_what_webrtc_cannot_use_is_a_bad_request(site: Site) -> None:
    site.rtc.error = ValueError("sdp: cannot be parsed")
    refusal(await site.http.post("/webrtc/offer", json=site.offer(site.sessions.create())), 400, "bad_request", "sdp")


async def test_an_error_inside_is_not_shown(site: Site) -> None:
    site.rtc.error = RuntimeError("secret detail")
    response = await site.http.post("/webrtc/offer", json=site.offer(site.sessions.create()))
    refusal(response, 500, "internal")
    assert "secret" not in response.text


async def test_a_body_too_large_is_not_read(site: Site) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * api.MAX_BODY:
            read += 4096
            yield b" " * 4096

    refusal(await site.http.post("/webrtc/offer", content=endless(), headers={"Content-Length": "9999999"}), 413, "too_large")
    assert read == 0, "what is announced as too large is not read at all"
    refusal(await site.http.post("/webrtc/offer", content=endless()), 413, "too_large")
    assert api.MAX_BODY < read < 2 * api.MAX_BODY


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["sdp", "type", "session_id", "token", "candidate", "greeting"]), JSON).map(
        lambda value: json.dumps(value).encode()
    )
)
async def test_any_body_gets_a_refusal_in_words(site: Site, body: bytes) -> None:
    response = await site.http.post("/webrtc/offer", content=body)
    assert response.status_code in (400, 401, 403)
    error = response.json()["error"]
    assert error["code"] and 0 < len(error["message"]) <= 300


# --- one server of several --------------------------------------------------------------------------------------------


async def test_a_client_is_told_which_server_it_talks_to() -> None:
    site = Site(node_url="https://node-1.example.org/")
    made = (await site.http.post("/sessions")).json()
    assert made["url"] == "https://node-1.example.org"
    shown = await site.http.get(f"/sessions/{made['session_id']}", headers=bearer(made["token"]))
    assert shown.json()["url"] == made["url"]
    await site.http.aclose()


async def test_while_it_drains_nobody_new_is_let_in(site: Site) -> None:
    ticket = site.sessions.create()
    site.sessions.admission.draining = True
    response = await site.http.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    for path, body in (("/sessions", {}), ("/webrtc/offer", site.offer(ticket))):
        response = await site.http.post(path, json=body)
        refusal(response, 503, "shutting_down")
        assert response.headers["retry-after"] == "1"
    assert (await site.http.get(f"/sessions/{ticket.session_id}", headers=bearer(ticket.token))).status_code == 200
    assert "parley_capacity 0.0" in (await site.http.get("/metrics")).text


async def test_while_it_is_behind_it_is_ready_and_takes_nobody_new(site: Site) -> None:
    site.sessions.load.overloaded = True
    assert (await site.http.get("/readyz")).status_code == 200
    response = await site.http.post("/sessions")
    refusal(response, 503, "full")
    assert response.headers["retry-after"] == "10"


# --- health -----------------------------------------------------------------------------------------------------------


async def test_it_is_alive_before_it_is_ready(site: Site) -> None:
    site.readiness.waiting = {"stt", "tts"}
    assert (await site.http.get("/healthz")).status_code == 200
    response = await site.http.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "loading")
    assert response.json()["waiting"] == ["stt", "tts"]
    site.readiness.waiting, site.readiness.failed = set(), {"stt": "no weights"}
    response = await site.http.get("/readyz")
    assert (response.status_code, response.json()["failed"]) == (503, {"stt": "no weights"})
    site.readiness.failed = {}
    assert (await site.http.get("/readyz")).status_code == 200


async def test_a_service_that_is_stood_in_for_is_named_without_its_reason(site: Site) -> None:
    assert "degraded" not in (await site.http.get("/readyz")).json()
    site.readiness.degraded["llm"] = "api.example.org: 401"
    answer = await site.http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["llm"]


async def test_a_degraded_store_is_named_and_no_obstacle(site: Site) -> None:
    assert (await site.http.get("/readyz")).json()["store"] == "ok"
    site.store.status = Status("degraded", "connection refused")
    response = await site.http.get("/readyz")
    assert (response.status_code, response.json()["store"]) == (200, "degraded")
    assert "refused" not in response.text, "where the store is, and why it is away, is the operator's affair"


async def test_what_the_store_lost_is_told(site: Site) -> None:
    fresh = (await site.http.get("/readyz")).json()
    assert not {"store_full", "store_evicted", "store_dropped"} & fresh.keys()
    site.store.status = Status("degraded", "full", full=0.954, evicted=3, dropped=17)
    told = (await site.http.get("/readyz")).json()
    assert (told["store_full"], told["store_evicted"], told["store_dropped"]) == (0.95, 3, 17)


async def test_too_many_readers_are_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(session_id: str, address: str) -> AsyncIterator[dict[str, Any]]:
        if begun:
            yield {"seq": 1}
        raise Busy("too many")

    monkeypatch.setattr(site.store, "read_log", busy)
    ticket, begun = site.sessions.create(), False
    response = await site.http.get(f"/sessions/{ticket.session_id}/log", headers=bearer(ticket.token))
    refusal(response, 429, "busy")
    assert response.headers["retry-after"] == "1"
    begun = True
    response = await site.http.get(f"/sessions/{ticket.session_id}/log", headers=bearer(ticket.token))
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines == [{"seq": 1}, {"error": {"code": "cut_off", "message": "too many"}}]


async def test_metrics_count(site: Site) -> None:
    await site.join(site.sessions.create())
    with pytest.raises(Exception, match="token"):
        site.sessions.authorize("a", "b")
    text = (await site.http.get("/metrics")).text
    assert "parley_sessions 1.0" in text
    assert 'parley_sessions_refused_total{code="wrong_token"}' in text


async def test_other_origins_need_leave() -> None:
    for origins, answer in (("", None), ("https://elsewhere", "https://elsewhere")):
        site = Site(cors_origins=origins)
        response = await site.http.post("/sessions", headers={"Origin": "https://elsewhere"})
        assert response.headers.get("access-control-allow-origin") == answer
        await site.http.aclose()
