"""Reads logs and latencies from Redis, on a connection of its own, so that no reader keeps the writer waiting. A reader of a
log costs the store work and this process the memory of a page, for as long as the client takes."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.core.clock import Clock
from server.store import commands as keys
from server.store.records import Busy
from server.store.redis_client import Client

READERS = 16  # at once
EACH = 2  # of one session
OF_ONE = 4  # of one address
LEAST_S = 2.0  # that a reader has, before he gives way; a log is read in less


@dataclass(slots=True, eq=False)
class Reader:
    """A client that reads a log."""

    session_id: str
    address: str
    since: float  # seconds
    out: bool = False  # others came

    def check(self) -> None:
        """Raises Busy when this reader has had to give way."""
        if self.out:
            raise Busy("others wait to read, and this took long: please come again")


class Readers:
    """The clients that read logs. When there are too many, the one that has read longest gives way, so that nobody can keep
    others out by reading slowly."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives the time in seconds."""
        self._now = now
        self._reading: dict[Reader, None] = {}  # in the order in which they came

    @contextlib.contextmanager
    def place(self, session_id: str, address: str) -> Iterator[Reader]:
        """Holds a place for a reader at `address`; the address "" is not counted. Raises Busy when there is none."""
        sessions, addresses = (Counter(getattr(one, name) for one in self._reading) for name in ("session_id", "address"))
        if sessions[session_id] >= EACH or (address and addresses[address] >= OF_ONE):
            raise Busy("too many of yours read logs already")
        if len(self._reading) >= READERS:
            self._make_room()
        reader = Reader(session_id, address, self._now())
        self._reading[reader] = None
        try:
            yield reader
        finally:
            self._reading.pop(reader, None)

    def _make_room(self) -> None:
        longest = next(iter(self._reading))
        if self._now() - longest.since < LEAST_S:
            raise Busy("too many read logs at once")
        longest.out = True
        del self._reading[longest]


class StoreReader:
    """The reading half of a `Store`."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._reader = client
        self._readers = Readers(lambda: clock.ms() / 1000)

    async def close_reader(self) -> None:
        """Closes the connection."""
        await self._reader.aclose()

    async def read_log(self, session_id: str, address: str = "") -> AsyncGenerator[dict[str, Any], None]:
        """Yields the session's log in order, for a client at `address`: {"seq", "at_ms", "kind", ...}. Where the log was too
        long to be kept whole, its first entry is {"kind": "dropped", "count"}. Raises Busy when too many clients read (a slow
        reader also later on), and StoreError when Redis is away."""
        with self._readers.place(session_id, address) as reader:
            first = True
            async for seq, entry in keys.read(self._reader, keys.log_key(session_id), "-"):
                if first and seq > 1:
                    yield {"seq": seq - 1, "at_ms": entry["at_ms"], "kind": "dropped", "count": seq - 1}
                first = False
                reader.check()
                yield {"seq": seq} | entry

    async def read_latency(self, since_ms: float) -> AsyncIterator[dict[str, Any]]:
        """Yields latency entries from `since_ms` (ms since 1970, UTC) on, each once even if it was written twice. Raises
        StoreError."""
        seen: set[tuple[Any, Any, Any]] = set()
        async for _, entry in keys.read(self._reader, keys.LATENCY_KEY, str(int(since_ms))):
            key = entry.get("session"), entry.get("turn"), entry["at_ms"]
            if key not in seen:
                seen.add(key)
                yield entry
