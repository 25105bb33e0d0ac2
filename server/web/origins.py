"""Which pages may use this server, and by which names it may be reached. A browser sends whatever a page asks it to, so two
headers are checked before anything else: `Host` (a foreign name that leads here is DNS rebinding) and the `Origin` of every
request that changes something."""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings
from server.core.client_address import PROXIED

LOOPBACK_NAMES = ("localhost", "*.localhost")
SAFE = {"GET", "HEAD", "OPTIONS"}  # methods that change nothing; whether an answer may be read is said by CORS
DEFAULT_PORTS = {"http": "80", "https": "443"}


def same_origin(scope: Scope, settings: Settings) -> bool:
    """Whether the page that asks is ours, or one that `settings` allow; programs name no page. The scheme counts too: a page
    that came by http may have been changed on its way, and is another one than the page that came by https."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or {origin, "*"} & set(settings.allowed_origins()):
        return True
    hosts = {*_first(headers, "host"), *_first(headers, "x-forwarded-host")}
    ours = {_whole(f"{scheme}://{host}") for scheme in _schemes(scope, headers) for host in hosts}
    return _whole(origin) in ours


def _schemes(scope: Scope, headers: Headers) -> set[str]:
    """The schemes by which a page of ours may have come. A proxy speaks https for us, and mostly says so in a header; no
    foreign page can set that, for browsers ask before they send such a header elsewhere."""
    scheme = scope["scheme"].replace("ws", "http")
    told = _first(headers, "x-forwarded-proto")
    if "https" in (scheme, *told):
        return {"https"}
    return {"http"} if told or not any(name in headers for name in PROXIED) else {"http", "https"}


def _first(headers: Headers, name: str) -> list[str]:
    """The values that the outermost of several proxies gave."""
    value = headers.get(name, "").split(",")[0].strip()
    return [value] if value else []


def _whole(origin: str) -> str:
    """`origin` with its default port (RFC 6454, section 4)."""
    scheme, _, host = origin.lower().partition("://")
    port = DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if port is None or re.search(r":\d+$", host) else f"{scheme}://{host}:{port}"


def known_host(host: str, names: Collection[str]) -> bool:
    """Whether the `Host` header names this server. An address always does: no foreign page is reached by it."""
    parts = re.fullmatch(r"(?:\[([0-9a-f:.%]+)\]|([^:\[\]]*))(?::\d*)?", host.strip().lower())
    name = (parts[1] or parts[2]) if parts else ""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        name = name.removesuffix(".")
        return any(pattern in ("*", name) or (pattern[0] == "*" and name.endswith(pattern[1:])) for pattern in names)


def siblings(url: str) -> str:
    """The servers beside the one at `url`, as a Content-Security-Policy names them: those at names below the same domain, and
    those at other ports of the same host."""
    scheme, _, rest = url.partition("://")
    host, port = re.fullmatch(r"(\[[^\]]*\]|[^/:]*)(:\d+)?.*", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    names = host.split(".")
    below = f"*.{'.'.join(names[1:])}" if len(names) > 2 and not re.fullmatch(r"[\d.]+", host) else host
    return f"{scheme}://{below}{port or ''} {scheme}://{host}:*"


def host_names(settings: Settings, server: str, mounted: bool) -> Collection[str]:
    """The names by which this server may be reached at the address `server`. Where none are set, our own server on the loopback
    has the names of the loopback; the names of somebody else's app, or of a server for everybody, are known only to whoever
    runs it, so any are let in."""
    if names := settings.hosts():
        return (*names, *LOOPBACK_NAMES)
    return LOOPBACK_NAMES if not mounted and _loopback(settings.host) and _loopback(server) else ("*",)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class OriginMiddleware:
    """ASGI middleware around everything: refuses requests by a wrong name or from a wrong page, and says with every answer who
    may show it in a frame."""

    def __init__(self, app: ASGIApp, settings: Settings, mounted: bool = False) -> None:
        self._app = app
        self._settings = settings
        self._mounted = mounted
        framers = " ".join(["'self'", *settings.framers()])
        policy = f"frame-ancestors {framers}".encode()
        self._headers = [(b"content-security-policy", policy), (b"x-content-type-options", b"nosniff")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        refusal = self._refusal(scope)
        if _schemes(scope, Headers(scope=scope)) == {"https"}:  # for the addresses in the page
            scope = {**scope, "scheme": "wss" if scope["type"] == "websocket" else "https"}
        if refusal is None:
            await self._app(scope, receive, headed)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[0]})
        else:
            code, message = refusal
            body = {"error": {"code": code, "message": message}}
            await JSONResponse(body, 403, {"Cache-Control": "no-store"})(scope, receive, headed)

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        names = host_names(self._settings, (scope.get("server") or ("",))[0], self._mounted)
        if "*" not in names and not all(known_host(host, names) for host in Headers(scope=scope).getlist("host")):
            return "unknown_host", "this server is not known by that name: the setting allowed_hosts lists its names"
        if scope.get("method") not in SAFE and not same_origin(scope, self._settings):
            return "wrong_origin", "pages of other origins need leave: the setting cors_origins lists them"
        return None
