"""What the HTTP services share: pooled connections, a limit on every wait, retries where nothing was received, a circuit breaker,
and patience with servers that know fewer parameters or are still loading their model.

Whoever stops reading, or is cancelled, closes the connection at once, so that the server stops working. HTTP/2 would keep it open
for other calls and not tell the server (httpcore sends no RST_STREAM); therefore each connection carries one call at a time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from services.base import ServiceError, ServiceTimeout, ServiceUnavailable
from services.endpoint import Endpoint
from services.guard import Guard
from services.health import Health
from vendors.http.address import Address
from vendors.http.body import HttpBody
from vendors.http.errors import Overloaded, Rejected, error_from, objection
from vendors.http.model_names import suited

log = logging.getLogger(__name__)

ATTEMPTS = 3
BACKOFF_S = 0.1  # before the first retry, doubled for the next, where the server names no time
POOL = 8  # connections kept open
KEEP_S = 60.0  # a connection is kept open for so long without use
LOADS_S = 300.0  # a model may take so long to be loaded
UNLOADS_S = 240.0  # a model that was not used for so long may have been unloaded (Ollama: after five minutes)
UNSURE_S = 1.0  # an answer that has not begun by then may wait for a model to be loaded

Fields = dict[str, Any]
T = TypeVar("T")
Build = Callable[[frozenset[str]], Fields]  # from the names of what the server refuses to what it is sent


_TRY_AGAIN = (
    Overloaded,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wished = error.after_s if isinstance(error, Overloaded) else None
    return BACKOFF_S * float(2 ** (state.attempt_number - 1)) if wished is None else wished


class _Unsuited(ServiceError):
    """The server has models, but none for this."""


class HttpClient:
    """One service. It says of each call to `health` whether it worked."""

    def __init__(self, service: str, endpoint: Endpoint, health: Health, usual: str = "default") -> None:
        """`usual` is the model that is asked for where none is set and the server does not tell which ones it has."""
        self.service = service
        self.endpoint = endpoint
        self.model = endpoint.model
        self.refused: frozenset[str] = frozenset()  # what the server does not want to be sent
        self._usual = usual
        self._place = Address(endpoint.url)
        self._found = not self.model  # it is the server's list that names the model
        self._health = health
        self._tls = _of_the_environment(httpx.create_ssl_context)
        self._idle: list[httpx.AsyncClient] = []
        self._loading: asyncio.Task[None] | None = None
        self._answered_at = float("-inf")
        self._guard = Guard(service, health, endpoint.rest_s)

    async def warm(self) -> None:
        """Connects, and asks for the name of the model where none is set. Never raises: a service that is away may come back."""
        try:
            found = await self._listed(self.endpoint.first_s)
            if not self.model:
                self.model = found
        except (httpx.HTTPError, TimeoutError, ServiceError) as error:
            if not self.model or isinstance(error, httpx.TransportError | TimeoutError):
                known = isinstance(error, ServiceError)
                self._health.failed(self.service, f"{self._host}/models: {error if known else type(error).__name__}")

    async def close(self) -> None:
        """Closes its connections."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        idle, self._idle = self._idle, []
        await asyncio.gather(*(client.aclose() for client in idle))

    @asynccontextmanager
    async def post(self, path: str, build: Build, files: Mapping[str, Any] | None = None) -> AsyncIterator[HttpBody]:
        """The answer to a POST of what `build` makes: JSON, or a form where there are `files`; the name of the model is added. The
        body of the answer is read inside the context. Raises ServiceError, ServiceTimeout, ServiceUnavailable; what the body of the
        context raises of httpx or as TimeoutError becomes one of these."""
        async with self._guard.call():
            try:
                async with self._answer(path, build, files) as reading:
                    yield reading
            except ServiceError:
                raise
            except (httpx.TimeoutException, TimeoutError) as error:
                raise ServiceTimeout(self.service, f"{self._host} took too long") from error
            except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
                raise ServiceUnavailable(self.service, f"{self._host}: {type(error).__name__}: {error}") from error
            except Exception as error:  # in reading what somebody else has written: it is the service that fails, not the turn
                log.exception("%s: %s answers what was not expected", self.service, self._host)
                message = f"{self._host} answers what was not expected: {type(error).__name__}"
                raise ServiceError(self.service, message) from error
        self._answered_at = _now()

    @property
    def _host(self) -> str:
        return self._place.host

    @asynccontextmanager
    async def _answer(self, path: str, build: Build, files: Mapping[str, Any] | None) -> AsyncIterator[HttpBody]:
        """The answer as soon as its first bytes are there. Its connection is kept for the next call only when all has gone well."""
        began = _now()
        client = self._idle.pop() if self._idle else self._connection()
        opening = asyncio.create_task(self._open(client, path, build, files, began))
        reading: HttpBody | None = None
        try:
            if not (await asyncio.wait({opening}, timeout=self.endpoint.first_s))[0]:
                raise TimeoutError
            reading = opening.result()
            yield reading
        except BaseException:
            if reading is None and not opening.done() and self._may_load(began):
                self._loading = asyncio.create_task(self._let_load(client, opening))
                await asyncio.sleep(0)  # it has begun: from now on it closes the connection, whatever happens to it
                raise
            opening.cancel()
            await asyncio.wait({opening})
            if not opening.cancelled():
                opening.exception()  # somebody has looked at it
            await client.aclose()
            raise
        await reading.close()
        if len(self._idle) < POOL:
            self._idle.append(client)
        else:
            await client.aclose()

    def _may_load(self, began: float) -> bool:
        now = _now()
        rested = now - self._answered_at > UNLOADS_S
        return (
            rested and now - began >= min(UNSURE_S, self.endpoint.first_s) and (self._loading is None or self._loading.done())
        )

    async def _let_load(self, client: httpx.AsyncClient, opening: asyncio.Task[HttpBody]) -> None:
        """Nobody waits for this answer any more, but a server that loads its model for it would begin anew at the next call (Ollama
        gives up loading when the connection is closed): it is waited for until the answer begins."""
        try:
            async with asyncio.timeout(LOADS_S):
                await (await opening).close()
            log.info("%s: %s has begun to answer", self.service, self._host)
        except (TimeoutError, httpx.HTTPError, ServiceError) as error:
            log.info("%s: %s was waited for in vain: %s", self.service, self._host, type(error).__name__)
        finally:
            opening.cancel()
            await client.aclose()

    def _connection(self) -> httpx.AsyncClient:
        return _of_the_environment(
            httpx.AsyncClient,
            params=self._place.query,
            # A packed answer saves nothing worth having, and could be far larger than it is long.
            headers={"Accept-Encoding": "identity"} | self._place.heads(self.endpoint.key),
            verify=self._tls,
            mounts=_without_proxy(self._place.name),
            http2=True,
            timeout=httpx.Timeout(None, connect=self.endpoint.connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S),
        )

    async def _open(
        self, client: httpx.AsyncClient, path: str, build: Build, files: Mapping[str, Any] | None, began: float
    ) -> HttpBody:
        """The answer to a request that the server accepts. What it objects to is left out, and is left out from then on if that
        has helped and it is not the amount that was too much."""
        refused, renamed, lasting, places = self.refused, False, True, self._place.places(path)
        while True:
            fields = build(refused)
            fields["model"] = await self._named()
            sent: Fields = {"data": fields, "files": files} if files is not None else {"json": fields}
            try:
                reading = await self._send(client, client.build_request("POST", places[0], **sent), began)
            except Rejected as error:
                if (name := objection(error, fields)) and name not in refused:
                    refused |= {name}
                    lasting = lasting and not error.is_of_the_amount
                elif self._found and error.names_the_model and not renamed:
                    self.model, renamed = "", True  # another one runs there now
                elif error.is_of_the_place and len(places) > 1:
                    places = places[1:]
                else:
                    raise
                continue
            if refused != self.refused and lasting:
                log.warning("%s: %s does not take %s", self.service, self._host, ", ".join(sorted(refused)))
                self.refused = refused
            self._place.found(path, places[0])
            return reading

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request, began: float) -> HttpBody:
        """The answer as soon as the first bytes of its body are there. Tried again as long as nothing was received."""
        again = retry_if_exception_type(_TRY_AGAIN)
        async for attempt in AsyncRetrying(retry=again, stop=stop_after_attempt(ATTEMPTS), wait=_pause, reraise=True):
            with attempt:
                response = await client.send(request, stream=True)
                if not response.is_success:
                    raise await error_from(self.service, self._host, self.endpoint.key, response)
                chunks = response.aiter_raw()
                try:
                    first = await anext(chunks, b"")
                except httpx.HTTPError:
                    await response.aclose()
                    raise
                limits = self.endpoint.first_s, self.endpoint.gap_s, self.endpoint.total_s
                reading = HttpBody(self.service, response, _with(first, chunks), began, limits)
        return reading

    async def _named(self) -> str:
        """The model to ask for. A server that was away, or had none yet, is asked for it again at every call."""
        if not self.model:
            try:
                self.model = await self._listed(min(self.endpoint.connect_s, self.endpoint.first_s / 4))
            except _Unsuited:
                raise
            except (TimeoutError, httpx.HTTPError, ServiceError):
                return self._usual
        return self.model or self._usual

    async def _listed(self, limit_s: float) -> str:
        """The model of the server's list that suits, "" where the list is empty; the usual one where the server has no list."""
        client = self._connection()
        try:
            async with asyncio.timeout(limit_s):
                listed = await self._list(client)
        except BaseException:
            await client.aclose()
            raise
        self._idle.append(client)
        if listed is None:
            return self._usual
        try:
            name = suited(listed, self.service)
        except TypeError as error:
            raise ServiceError(self.service, f"{self._host}/models answers no list of models") from error
        if not name and listed and (not isinstance(listed, dict) or listed.get("data") or listed.get("models")):
            raise _Unsuited(self.service, f"{self._host} lists no model for this: set its name")
        return name

    async def _list(self, client: httpx.AsyncClient) -> Any:
        """What `/models` answers, None where the server has no such list. Where it stands in the usual place and not where it was
        looked for, all else stands there, too."""
        base, other = self._place.base, self._place.elsewhere()
        try:
            listed = await self._asked(client, base)
        except ServiceError:
            if not other or (listed := await self._asked(client, other)) is None:
                raise
            base = other
        else:
            if other and not _is_list(listed) and _is_list(found := await self._asked(client, other)):
                base, listed = other, found
        if _is_list(listed):
            self._place.settle(base)
        return listed

    async def _asked(self, client: httpx.AsyncClient, base: str) -> Any:
        response = await client.send(client.build_request("GET", f"{base}/models"), stream=True)
        try:
            if response.status_code in (404, 405, 501):
                return None
            if not response.is_success:
                raise await error_from(self.service, self._host, self.endpoint.key, response)
            limits = (self.endpoint.first_s,) * 3
            return await HttpBody(self.service, response, response.aiter_raw(), _now(), limits).json()
        finally:
            await response.aclose()


def _is_list(listed: Any) -> bool:
    """It is a list of models, and no page or error that a server answers for every address."""
    return isinstance(listed, list) or (isinstance(listed, dict) and ("data" in listed or "models" in listed))


def _without_proxy(host: str) -> dict[str, None]:
    """For httpx: that no proxy of the environment stands before `host`, where that is this machine itself. Other hosts of a private
    network may be reached through one only: those are for NO_PROXY to name."""
    try:
        address = ip_address(host)
    except ValueError:
        here = host == "localhost" or host.endswith(".localhost")
    else:
        here = address.is_loopback or address.is_unspecified
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None} if here else {}


def _of_the_environment(make: Callable[..., T], **given: Any) -> T:
    """What httpx makes with the proxies and certificates that the environment names, and without them where they cannot be: in
    somebody else's process they may be meant for other programs."""
    try:
        return make(**given)
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        log.warning("proxies and certificates of the environment are ignored: %s", error)
        return make(**given, trust_env=False)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _with(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in others:
        yield chunk
