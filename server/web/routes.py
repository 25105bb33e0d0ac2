"""The HTTP side: sessions, the guarded WebRTC offer, health and metrics. Every refusal has its own status code and one shape,
`{"error": {"code", "message", "field"?}}`; nobody reads a session without its token."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from app.core.session_settings import SessionSettings
from app.protocol.codec import BadMessage, first_fault, read_json
from app.protocol.messages import MAX_TOKEN, Played, Start
from app.settings import Settings
from configuration.redaction import clean
from server.core.client_address import caller
from server.sessions.readiness import Readiness
from server.sessions.sessions import Sessions
from server.sessions.tokens import Refused
from server.store.records import Busy, StoreError, encode
from server.store.store import Store

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024  # bytes
BODY_TIMEOUT_S = 10.0
RETRY_AFTER_S = 10
NO_STORE = {"Cache-Control": "no-store"}

T = TypeVar("T")

TASKS = Gauge("parley_tasks", "Tasks of the event loop")


class ApiError(Exception):
    """A refusal: `status`, and what is wrong in words."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> JSONResponse:
        """The refusal as a JSON response."""
        error = {"code": self.code, "message": clean(str(self))} | ({"field": self.field} if self.field else {})
        return JSONResponse({"error": error}, self.status, NO_STORE | self.headers)


class IceCandidate(BaseModel):
    """An ICE candidate, as RTCIceCandidate.toJSON() gives it."""

    candidate: str = Field(max_length=1024)
    sdpMid: str | None = Field(default=None, max_length=64)  # noqa: N815 (the browser's name)
    sdpMLineIndex: int | None = Field(default=None, ge=0, le=64)  # noqa: N815
    usernameFragment: str | None = Field(default=None, max_length=256)  # noqa: N815


class Credentials(BaseModel):
    """A session, and the token that proves the right to it."""

    session_id: str | None = Field(default=None, max_length=128)
    token: str | None = Field(default=None, max_length=MAX_TOKEN)


class Offer(Credentials):
    """A WebRTC offer."""

    type: Literal["offer"]
    sdp: str
    greeting: bool = True
    played: Played | None = None


class Candidate(Credentials):
    """An ICE candidate for a session; None: there are no more."""

    type: Literal["ice-candidate"]
    candidate: IceCandidate | None = None


SETTINGS: TypeAdapter[SessionSettings] = TypeAdapter(SessionSettings)
WEBRTC: TypeAdapter[Offer | Candidate] = TypeAdapter(Annotated[Offer | Candidate, Field(discriminator="type")])


class Rtc(Protocol):
    """The WebRTC transport. Both methods raise ValueError for input that cannot be used."""

    async def offer(self, sdp: str, kind: str, start: Start) -> dict[str, str]:
        """Answers an offer, which begins as `start` says. Raises Refused and BadOffer."""

    async def candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        """Takes another address of the client. Raises BadOffer."""


class Route(APIRoute):
    """Gives every error of its handler one form, whatever form the app around it uses."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler whose errors all have that form."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as error:
                return error.response()
            except Refused as error:
                headers = {"Retry_After": str(error.retry_after_s)} if error.retry_after_s else {}
                return ApiError(error.status, error.code, str(error), error.field, **headers).response()
            except Busy as error:
                return ApiError(429, "busy", str(error), Retry_After="1").response()
            except StoreError as error:
                return ApiError(503, "store_unavailable", str(error), Retry_After=str(RETRY_AFTER_S)).response()
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                return ApiError(500, "internal", "an unexpected error; it has been logged").response()

        return guarded


def allow_origins(app: FastAPI, settings: Settings) -> None:
    """Lets the pages of other origins that `settings` name use all of `app`."""
    if origins := settings.allowed_origins():
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])


async def read_body(request: Request) -> bytes:
    """The body, at most MAX_BODY bytes: it is refused as soon as there are more, whatever length was announced. Raises ApiError
    (408, 413)."""
    too_large = ApiError(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, "timeout", f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from None
    except ClientDisconnect:
        raise ApiError(400, "cut_off", "the body ended early") from None
    return bytes(body)


def valid(model: TypeAdapter[T], body: bytes) -> T:
    """The body as a `model`. Raises ApiError (400) that names the field at fault."""
    try:
        return read_json(model, body)
    except BadMessage as error:
        raise ApiError(400, "bad_request", str(error)) from None
    except ValidationError as error:
        path, words = first_fault(error)
        tagged = model is WEBRTC and len(path) > 1
        field = ".".join(path[1:] if tagged else path) or None
        raise ApiError(400, "bad_request", words, field) from None


def bearer(request: Request) -> str:
    """The token of the Authorization header. Raises ApiError (401)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        message = "send the session's token as `Authorization: Bearer TOKEN`"
        raise ApiError(401, "missing_token", message, "token", WWW_Authenticate="Bearer")
    return token.strip()


def router(sessions: Sessions, rtc: Rtc, store: Store, readiness: Readiness, settings: Settings) -> APIRouter:
    """All routes of the API."""
    routes = APIRouter(route_class=Route)
    _session_routes(routes, sessions, settings, store)
    _webrtc_routes(routes, sessions, rtc)
    _health_routes(routes, store, readiness, sessions)
    return routes


def _session_routes(routes: APIRouter, sessions: Sessions, settings: Settings, store: Store) -> None:
    here = {"url": settings.node_url} if settings.node_url else {}

    @routes.post("/sessions")
    async def create(request: Request) -> Response:
        ticket = sessions.create(valid(SETTINGS, await read_body(request) or b"{}"))
        expires_at = datetime.fromtimestamp(ticket.expires_at, UTC).isoformat().replace("+00:00", "Z")
        body = {
            "session_id": ticket.session_id,
            "token": ticket.token,
            "expires_at": expires_at,
            "rtc_configuration": settings.rtc_configuration(),
            **here,
        }
        return JSONResponse(body, 201, NO_STORE)

    @routes.get("/sessions/{session_id}")
    async def show(request: Request, session_id: str) -> Response:
        sessions.authorize(session_id, bearer(request))
        return JSONResponse(await sessions.look(session_id) | here, headers=NO_STORE)

    @routes.get("/sessions/{session_id}/log")
    async def show_log(request: Request, session_id: str) -> Response:
        sessions.authorize(session_id, bearer(request))
        await sessions.look(session_id)
        entries = store.read_log(session_id, caller.get())
        first = await anext(entries, None)  # before the status is sent: the store may be away

        async def lines() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(entries):
                if first is not None:
                    yield encode(first) + b"\n"
                try:
                    async for entry in entries:
                        yield encode(entry) + b"\n"
                except StoreError as error:  # the last line says why it is the last
                    yield encode({"error": {"code": "cut_off", "message": clean(str(error))}}) + b"\n"

        return StreamingResponse(lines(), headers=NO_STORE, media_type="application/x-ndjson")

    @routes.delete("/sessions/{session_id}")
    async def erase(request: Request, session_id: str) -> Response:
        sessions.authorize(session_id, bearer(request))
        await sessions.erase(session_id)
        return Response(status_code=204)


def _webrtc_routes(routes: APIRouter, sessions: Sessions, rtc: Rtc) -> None:
    @routes.post("/webrtc/offer")
    async def offer(request: Request) -> Response:
        message = valid(WEBRTC, await read_body(request))
        token = message.token or bearer(request)
        if message.session_id is None:
            raise ApiError(400, "bad_request", "session_id: field required", "session_id")
        sessions.authorize(message.session_id, token)
        try:
            if isinstance(message, Offer):
                await sessions.admit(message.session_id, caller.get())
                start = Start(session_id=message.session_id, token=token, greeting=message.greeting, played=message.played)
                answer = await rtc.offer(message.sdp, message.type, start)
                return JSONResponse(answer, headers=NO_STORE)
            if message.candidate is not None:
                await rtc.candidate(message.session_id, message.candidate.model_dump(exclude_none=True))
            return JSONResponse({"status": "success"}, headers=NO_STORE)
        except ValueError as error:
            raise ApiError(400, "bad_request", str(error), "sdp" if isinstance(message, Offer) else "candidate") from None


def _health_routes(routes: APIRouter, store: Store, readiness: Readiness, sessions: Sessions) -> None:
    @routes.api_route("/healthz", methods=["GET", "HEAD"])
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @routes.api_route("/readyz", methods=["GET", "HEAD"])
    async def ready() -> Response:
        status = "ready" if readiness.ready else "failed" if readiness.failed else "loading"
        status = "draining" if sessions.admission.draining else status
        stored = store.status
        body: dict[str, Any] = {
            "status": status,
            "waiting": sorted(readiness.waiting),
            "failed": {name: clean(reason) for name, reason in readiness.failed.items()},
            "store": stored.state,
        }
        if readiness.degraded:
            body["degraded"] = sorted(readiness.degraded)
        figures = {"store_full": round(stored.full, 2), "store_evicted": stored.evicted, "store_dropped": stored.dropped}
        body |= {name: figure for name, figure in figures.items() if figure}
        return JSONResponse(body, 200 if status == "ready" else 503, NO_STORE)

    @routes.api_route("/metrics", methods=["GET", "HEAD"])
    async def metrics() -> Response:
        TASKS.set(len(asyncio.all_tasks()))
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
