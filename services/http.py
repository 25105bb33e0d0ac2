"""What the HTTP services share: pooled connections, a limit on every wait, retries where nothing was received, a circuit breaker.

Whoever stops reading, or is cancelled, closes the connection at once, so that the server stops working. HTTP/2 would keep it open
for other calls and not tell the server (httpcore sends no RST_STREAM); therefore each connection carries one call at a time.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from httpx_sse import EventSource, SSEError
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from services.base import ServiceError, ServiceTimeout, ServiceUnavailable
from services.health import Health

T = TypeVar("T")

OPENAI: Final = "https://api.openai.com/v1"
ATTEMPTS = 3
LONGEST_WAIT_S = 1.0  # between two attempts; a server that wants more is not asked again for this call
BACKOFF_S = 0.1  # before the first retry, doubled for the next, where the server names no time
FAILURES = 3  # in a row after which a service is left alone
POOL = 8  # connections kept open
KEEP_S = 60.0  # a connection is kept open for so long without use
DRAIN_S = 0.25  # a server may take so long to end a stream whose last event has come
EXCUSE = 300  # bytes of an error's body that are told


@dataclass(frozen=True, slots=True)
class Remote:
    """An OpenAI-compatible service: `url` is what `/models` stands under. Limits in seconds: on connecting, on the wait for the
    first piece of an answer, between two pieces, and on all waiting together. After FAILURES it is left alone for `rest_s`."""

    url: str
    model: str = ""
    key: SecretStr = field(default_factory=lambda: SecretStr(""))
    connect_s: float = 2.0
    first_s: float = 8.0
    gap_s: float = 5.0
    total_s: float = 60.0
    rest_s: float = 20.0

    @property
    def is_openai(self) -> bool:
        return self.url == OPENAI


class _Refused(ServiceUnavailable):
    """The server is overloaded; `after_s` is when it wants to be asked again, if it says so."""

    def __init__(self, service: str, message: str, after_s: float | None) -> None:
        super().__init__(service, message)
        self.after_s = after_s


_TRY_AGAIN = (_Refused, httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wished = error.after_s if isinstance(error, _Refused) else None
    return BACKOFF_S * float(2 ** (state.attempt_number - 1)) if wished is None else wished


class Reading:
    """An answer as it arrives."""

    def __init__(self, service: str, response: httpx.Response, remote: Remote, began: float) -> None:
        self._service = service
        self._response = response
        self._remote = remote
        self._began = began
        self.kind = response.headers.get("content-type", "").lower()

    async def whole(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces()])

    def pieces(self) -> AsyncIterator[bytes]:
        """Bytes as they come. Raises TimeoutError, httpx.HTTPError."""
        return self._paced(self._response.aiter_bytes())

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The data of server-sent events, up to `[DONE]`. Raises ServiceError for what is no JSON object, or an error told in
        mid-stream; TimeoutError, httpx.HTTPError."""
        source = EventSource(self._response).aiter_sse()
        async for event in self._paced(source):
            if event.data.strip() == "[DONE]":
                await self._drain(source)
                return
            if event.data:
                yield self._parsed(event.data)

    def _parsed(self, data: str) -> dict[str, Any]:
        try:
            parsed = json.loads(data)
        except ValueError as error:
            raise ServiceError(self._service, f"an event is no JSON: {data[:80]!r}") from error
        if not isinstance(parsed, dict) or parsed.get("error"):
            raise ServiceError(self._service, f"an event tells of an error: {data[:EXCUSE]}")
        return parsed

    async def _drain(self, source: AsyncIterator[Any]) -> None:
        """Reads to the end of the stream, so that the connection can be used again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                async for _ in source:
                    pass

    async def _paced(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        loop, began, limit = asyncio.get_running_loop(), self._began, self._remote.first_s
        left = self._remote.total_s  # for waiting: what the reader takes its time for does not count
        while True:
            try:
                async with asyncio.timeout_at(began + min(limit, left)):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except SSEError as error:
                raise ServiceError(self._service, f"answers {self.kind or 'nothing known'}, not events") from error
            left -= loop.time() - began
            yield item
            began, limit = loop.time(), self._remote.gap_s


class Peer:
    """One service. It says of each call to `health` whether it worked."""

    def __init__(self, service: str, remote: Remote, health: Health) -> None:
        self.service = service
        self.remote = remote
        self.model = remote.model
        self._health = health
        self._tls = httpx.create_ssl_context()
        self._idle: list[httpx.AsyncClient] = []
        # Whoever breaks off says nothing about the service.
        ignored: list[Any] = [asyncio.CancelledError, GeneratorExit]
        self._breakers = AsyncCircuitBreakerFactory(FAILURES, remote.rest_s, ignored)

    async def warm(self) -> None:
        """Connects, and asks for the name of the model where none is set. Never raises: a service that is away may come back."""
        try:
            async with asyncio.timeout(self.remote.first_s), self._client() as client:
                listed = await client.get("models")
            if not self.model:
                self.model = str(listed.raise_for_status().json()["data"][0]["id"])
        except (httpx.HTTPError, TimeoutError, ValueError, LookupError, TypeError) as error:
            if not self.model or isinstance(error, httpx.TransportError | TimeoutError):
                self._health.failed(self.service, f"{self.remote.url}/models: {type(error).__name__}")

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(client.aclose() for client in idle))

    @asynccontextmanager
    async def post(self, path: str, **request: Any) -> AsyncIterator[Reading]:
        """The answer to a POST; its body is read inside the context. Raises ServiceError, ServiceTimeout, ServiceUnavailable; what
        the body of the context raises of httpx or as TimeoutError becomes one of these."""
        try:
            async with await self._breakers.get_breaker(self.service), self._client() as client:
                began = asyncio.get_running_loop().time()
                response = await self._open(client, path, request)
                try:
                    yield Reading(self.service, response, self.remote, began)
                finally:
                    await response.aclose()
        except OpenedState:
            raise self._failure(ServiceUnavailable, "is left alone after repeated failures") from None
        except ServiceError as error:
            self._health.failed(self.service, str(error).removeprefix(f"{self.service}: "))
            raise
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._failure(ServiceTimeout, f"{self._host} took too long") from error
        except httpx.HTTPError as error:
            raise self._failure(ServiceUnavailable, f"{self._host}: {type(error).__name__}: {error}") from error
        self._health.worked(self.service)

    def _failure(self, kind: type[ServiceError], message: str) -> ServiceError:
        self._health.failed(self.service, message)
        return kind(self.service, message)

    @property
    def _host(self) -> str:
        return urlsplit(self.remote.url).netloc

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A connection for one call. It is kept for the next one only when the call has gone through."""
        client = self._idle.pop() if self._idle else self._connection()
        try:
            yield client
        except BaseException:
            await client.aclose()
            raise
        if len(self._idle) < POOL:
            self._idle.append(client)
        else:
            await client.aclose()

    def _connection(self) -> httpx.AsyncClient:
        key = self.remote.key.get_secret_value()
        return httpx.AsyncClient(
            base_url=self.remote.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            verify=self._tls,
            http2=True,
            timeout=httpx.Timeout(None, connect=self.remote.connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S),
        )

    async def _open(self, client: httpx.AsyncClient, path: str, request: dict[str, Any]) -> httpx.Response:
        """The response as soon as its status is known. Tried again as long as nothing was received and there is time."""
        again = retry_if_exception_type(_TRY_AGAIN)
        async with asyncio.timeout(self.remote.first_s):
            async for attempt in AsyncRetrying(retry=again, stop=stop_after_attempt(ATTEMPTS), wait=_pause, reraise=True):
                with attempt:
                    response = await client.send(client.build_request("POST", path, **request), stream=True)
                    if response.status_code != 200:
                        raise await self._complaint(response)
        return response

    async def _complaint(self, response: httpx.Response) -> ServiceError:
        """What the status of `response` means; closes it."""
        status, body = response.status_code, b""
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) >= EXCUSE:
                    break
        finally:
            await response.aclose()
        if status in (401, 403):  # the body may quote parts of the key
            return ServiceUnavailable(self.service, f"{self._host} refuses the key ({status})")
        excuse = body.decode(errors="replace").replace(self.remote.key.get_secret_value() or "\0", "***")
        message = f"{self._host} answers {status}: {excuse[:EXCUSE]}"
        if status in (429, 503):
            wish = response.headers.get("retry-after", "")  # seconds, or a date, which is never soon enough
            after = float(wish) if wish.replace(".", "", 1).isdecimal() else None
            if not wish or (after is not None and after <= LONGEST_WAIT_S):
                return _Refused(self.service, message, after)
            return ServiceUnavailable(self.service, message)
        return ServiceTimeout(self.service, message) if status in (408, 504) else ServiceError(self.service, message)
