"""The address of a request, by which clients are counted."""

import re
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

HOME_BITS = 64  # of an IPv6 address: what one customer has (RFC 6177)
PROXIED = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")  # headers of proxies
UNNAMED = "unnamed"  # all together who come through a proxy that does not say from where

caller: ContextVar[str] = ContextVar("caller", default="")  # address of the client whose request is served; "" is not limited


class ClientAddressMiddleware:
    """ASGI middleware that sets `caller` to the address of a request while the request is served."""

    def __init__(self, app: ASGIApp, header: str) -> None:
        """`header`: the header in which a trusted proxy names the client; empty: there is no proxy."""
        self._app = app
        self._header = header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI request."""
        if scope["type"] in ("http", "websocket"):
            caller.set(self._address(scope))
        await self._app(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        headers = scope["headers"]
        if given := [value for name, value in headers if name == self._header] if self._header else []:
            # Each proxy appends where a request came from: what stands before the last was written by somebody else.
            return named(given[-1].decode("latin-1").rpartition(",")[2]) or UNNAMED
        address = client_network((scope.get("client") or ("",))[0])
        if address is not None and not ip_address(address.partition("/")[0]).is_loopback:
            return address
        return UNNAMED if any(name.decode("latin-1") in PROXIED for name, _ in headers) else ""


def named(element: str) -> str | None:
    """The client, as it is counted, that a proxy names: `192.0.2.1`, with a port `192.0.2.1:80` or `[2001:db8::1]:80`, or in
    the form of RFC 7239, `for="[2001:db8::1]:80";proto=https`. None for text that names no address."""
    pair = re.search(r"(?:^|;)\s*for\s*=([^;]*)", element, re.IGNORECASE)
    bare = (pair[1] if pair else element).strip().strip('"')
    parts = re.fullmatch(r"\[([^\[\]]{0,64})\](?::\w{0,16})?|([\d.]{7,15}):\w{0,16}", bare)
    return client_network((parts[1] or parts[2] or "") if parts else bare)


def client_network(address: str) -> str | None:
    """The client, as it is counted, at an address: an IPv4 address itself, or the network of an IPv6 address. None for text
    that is no address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if isinstance(ip, IPv6Address) and not ip.is_loopback:
        return str(ip_network((ip, HOME_BITS), strict=False))
    return str(ip)
