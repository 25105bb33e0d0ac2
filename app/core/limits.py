"""Limits of what one client may cost: budgets by the second, connections that wait for their start, one log line an episode."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from prometheus_client import Gauge
from starlette.types import ASGIApp, Receive, Scope, Send

from app.protocol.messages import Error, Farewell, ShuttingDown

EPISODE_S = 60.0  # what happens again within this is the same episode
WAITING = 4  # connections that have not started, for each conversation that may be had
WAITING_OF_ONE = 8  # of these, how many may come from one address
HOME_BITS = 64  # of an IPv6 address: what one customer has (RFC 6177)

HELD = Gauge("parley_waiting", "Connections that have not begun a conversation")

caller: ContextVar[str] = ContextVar("caller", default="")  # address of the client whose request is served; "" is not limited


@dataclass(slots=True)
class Allowance:
    """A token bucket: `burst` at once, `rate` a second in the long run."""

    rate: float
    burst: float
    spent: float = 0.0
    at: float = 0.0

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Uses `amount`; `now` in seconds. False when there was not as much left: it is owed all the same."""
        self._refill(now)
        self.spent += amount
        return self.spent <= self.burst

    def take_if_left(self, now: float, amount: float) -> bool:
        """Uses `amount` where there is as much left, and otherwise nothing."""
        self._refill(now)
        if self.spent + amount > self.burst:
            return False
        self.spent += amount
        return True

    def _refill(self, now: float) -> None:
        self.spent = max(0.0, self.spent - (now - self.at) * self.rate)
        self.at = now


class Budgets:
    """An `Allowance` for each address."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._of: dict[str, Allowance] = {}

    def take(self, address: str, now: float) -> bool:
        """Uses one of the address; `now` in seconds. "" is not limited."""
        if not address:
            return True
        if address not in self._of:  # those that have all of theirs again need not be known
            lasts_s = self._burst / self._rate
            self._of = {other: allowance for other, allowance in self._of.items() if now - allowance.at < lasts_s}
            self._of[address] = Allowance(self._rate, self._burst, at=now)
        return self._of[address].take_if_left(now, 1)


class Episodes:
    """Tells the first time of something from those that follow it closely."""

    def __init__(self, length_s: float = EPISODE_S) -> None:
        self._length_s = length_s
        self._last = float("-inf")

    def begins(self, now: float) -> bool:
        """It happens at `now` (seconds); True when it has not within the last `length_s`."""
        begins = now - self._last > self._length_s
        self._last = now
        return begins


class OncePerEpisode(logging.Filter):
    """For a logger whose warnings clients can bring about again and again: of a message (before its arguments are filled in) the
    first is logged, and another each EPISODE_S while it goes on, with how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[object, tuple[float, int]] = {}  # when a kind was logged, and how many were left out since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now, kind = self._clock(), (record.msg, type(record.exc_info[1]) if record.exc_info else None)
        told_at, left_out = self._told.pop(kind, (float("-inf"), 0))
        if now - told_at < EPISODE_S:
            self._told[kind] = told_at, left_out + 1
            return False
        # What has not happened for long is forgotten: the messages of some loggers are never the same twice.
        self._told = {other: told for other, told in self._told.items() if now - told[0] < 2 * EPISODE_S}
        self._told[kind] = now, 0
        if left_out:
            record.msg = f"{record.msg} (and {left_out} times more in the meantime)"
        return True


def quiet_logger(name: str) -> logging.Logger:
    """The logger of this name, with `OncePerEpisode`."""
    log = logging.getLogger(name)
    log.addFilter(OncePerEpisode())
    return log


# --- who connects -----------------------------------------------------------------------------------------------------


class Callers:
    """ASGI middleware: `caller` is set to where a request comes from while it is served."""

    def __init__(self, app: ASGIApp, header: str) -> None:
        """`header` names the client where a proxy that is trusted sets it; empty: there is no proxy."""
        self._app = app
        self._header = header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            caller.set(self._address(scope))
        await self._app(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        given = [value for name, value in scope["headers"] if name == self._header] if self._header else []
        # Each proxy appends where a request came from: what stands before the last was written by somebody else.
        if given and (named := network(given[-1].decode("latin-1").rpartition(",")[2].strip())):
            return named
        address = network((scope.get("client") or ("",))[0])
        return "" if address is None or ip_address(address.partition("/")[0]).is_loopback else address


def network(address: str) -> str | None:
    """What is counted as one client: an IPv4 address, or the network of an IPv6 one. None for what is no address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if isinstance(ip, IPv6Address) and not ip.is_loopback:
        return str(ip_network((ip, HOME_BITS), strict=False))
    return str(ip)


class Waits(Protocol):
    address: str

    def close(self, last: Farewell | None = None) -> None: ...


class WaitingRoom:
    """The connections that have not yet begun a conversation. When there are too many, in all or from one address, the oldest of
    whoever has most gives way: who comes in earnest stays for a second, and nobody can keep others out by only waiting."""

    def __init__(self, conversations: int) -> None:
        self._most = conversations * WAITING
        self._waiting: dict[Waits, None] = {}  # in the order in which they came

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: Waits) -> None:
        counts = Counter(waiting.address for waiting in self._waiting)
        if connection.address and counts[connection.address] >= WAITING_OF_ONE:
            self._turn_out(connection.address)
        elif len(self._waiting) >= self._most:
            self._turn_out(counts.most_common(1)[0][0])
        self._waiting[connection] = None
        HELD.set(len(self._waiting))

    def leave(self, connection: Waits) -> None:
        self._waiting.pop(connection, None)
        HELD.set(len(self._waiting))

    def _turn_out(self, address: str) -> None:
        oldest = next(waiting for waiting in self._waiting if waiting.address == address)
        self.leave(oldest)
        oldest.close(Error(code="crowded", message="newer connections took this one's place before it had started", fatal=True))

    def close(self) -> None:
        for waiting in list(self._waiting):
            waiting.close(ShuttingDown())
