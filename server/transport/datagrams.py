"""Filters the datagrams that reach the sockets of a WebRTC connection, to which anybody can send. aioice keeps every datagram,
from any address, until somebody reads it, and learns an address for each port that a client sends from, with a task for each;
aiortc ends a connection for an empty datagram."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection

from server.core.limits import TokenBucket, quiet_logger
from server.transport.offers import MAX_CANDIDATES
from server.transport.rtp import transports_of

log = quiet_logger(__name__)

LARGEST = 2048  # bytes; what goes through a network is at most 1,500
UNREAD = 256  # datagrams that wait to be read: five seconds of sound, for a connection whose handshake is not done
LEARNED = MAX_CANDIDATES + 16  # addresses of one client: those that it named, and those that a router gave it
# STUN of addresses that are not known yet, and of the client's own. A browser checks each pair of addresses a few times a second.
STRANGERS_PER_SECOND, STRANGERS_AT_ONCE = 20.0, 100.0
CHECKS_PER_SECOND, CHECKS_AT_ONCE = 100.0, 500.0

Address = tuple[Any, ...]


class DatagramFilter:
    """Lets datagrams in to one of aioice's connections. A datagram from an address that its client neither named nor proved by
    STUN is not looked at. Datagrams that are too many are dropped, which ends nothing: the client need not have sent them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._now = asyncio.get_running_loop().time
        self._strangers = TokenBucket(STRANGERS_PER_SECOND, STRANGERS_AT_ONCE, at=self._now())
        self._checks = TokenBucket(CHECKS_PER_SECOND, CHECKS_AT_ONCE, at=self._now())

    def guard(self, receive: Callable[[bytes, Address], None]) -> Callable[[bytes, Address], None]:
        """A function that calls `receive` for datagrams that are let in."""

        def guarded(data: bytes, address: Address) -> None:
            try:
                if self._lets_in(data, address[:2]):
                    receive(data, address)
            except Exception as error:  # aioice takes for granted what a message should have
                log.warning("a datagram cannot be used: %r", error)

        return guarded

    def _lets_in(self, data: bytes, address: Address) -> bool:
        if not 0 < len(data) <= LARGEST:
            return False
        known, first = self._knows(address), data[0]
        if first < 4:  # STUN; this and what follows by RFC 7983, section 7
            allowance = self._checks if known else self._strangers
            room = known or len(self._connection._remote_candidates) < LEARNED
            return room and allowance.take_if_left(self._now(), 1)
        dtls, srtp = 20 <= first < 64, 128 <= first < 192
        return known and (dtls or srtp) and self._connection._queue.qsize() < UNREAD

    def _knows(self, address: Address) -> bool:
        if any(pair.remote_addr == address for pair in self._connection._nominated.values()):
            return True
        return any((one._network_host, one.port) == address for one in self._connection._remote_candidates)


def filter_datagrams(pc: RTCPeerConnection) -> None:
    """Filters the datagrams of `pc`; to be called when the local description is set, for then there are sockets."""
    for transport in transports_of(pc, "ice"):
        connection: Any = getattr(transport, "_connection", None)
        if not all(hasattr(connection, name) for name in ("_nominated", "_remote_candidates", "_queue", "_protocols")):
            log.error("this aioice is not known: datagrams of strangers are let in")
            return
        datagram_filter = DatagramFilter(connection)
        for protocol in connection._protocols:
            protocol.datagram_received = datagram_filter.guard(protocol.datagram_received)
