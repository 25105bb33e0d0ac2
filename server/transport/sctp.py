"""Limits what a client's SCTP, which carries its messages, may cost: a packet holds as many parts as fit, and one part can
speak of millions of others. aiortc looks at all of them before anything else is done."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

HEAD, PART = 12, 4  # bytes before the parts of a packet, and before what a part holds (RFC 9260, section 3)
SACK = "_receive_sack_chunk"
SEND = "_send_data"
GAPS = 64  # ranges of one acknowledgement that are looked at: as many as a network makes
RANGE = 1 << 16  # numbers in a range (RFC 9260, section 3.3.4)
NUMBERS = 1 << 32


def parts_in(packet: bytes) -> int:
    """How many parts a packet has, at least one."""
    at, count = HEAD, 0
    while at + PART <= len(packet):
        length = int.from_bytes(packet[at + 2 : at + 4], "big")
        at += max(PART, (length + 3) // 4 * 4)
        count += 1
    return max(1, count)


def lose_what_cannot_leave(dtls: Any) -> None:
    """Loses a packet, as a network does, where the connection below has gone: aiortc learns of its end in several steps, and what
    is sent between them ends a task with a traceback in the log."""
    if (send := getattr(dtls, SEND, None)) is not None:
        setattr(dtls, SEND, _losing(send))


def _losing(send: Callable[[bytes], Awaitable[None]]) -> Callable[[bytes], Awaitable[None]]:
    async def losing(packet: bytes) -> None:
        with suppress(ConnectionError):
            await send(packet)

    return losing


def acknowledge_what_was_sent(sctp: Any) -> None:
    """Reduces an acknowledgement to what can be of packets that are under way."""
    if (receive := getattr(sctp, SACK, None)) is not None and hasattr(sctp, "_local_tsn"):
        setattr(sctp, SACK, _bounded(sctp, receive))


def _bounded(sctp: Any, receive: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    async def bounded(sack: Any) -> None:
        sent = min((sctp._local_tsn - sack.cumulative_tsn) % NUMBERS, RANGE)  # numbers after the one up to which all has come
        ranges, after = [], 1
        for first, last in sorted(sack.gaps)[:GAPS]:
            first, last = max(first, after), min(last, sent)
            if first <= last:
                ranges.append((first, last))
                after = last + 1
        sack.gaps = ranges
        await receive(sack)

    return bounded
