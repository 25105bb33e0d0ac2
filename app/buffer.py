"""Log entries on their way to Redis: bounded, in order, and honest about what did not fit."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from app.records import encode

PARTIAL, PLAIN, TRANSITION = range(3)  # who goes first when there is no room


@dataclass(slots=True)
class Entry:
    """`number` grows over the whole process, so it orders the entries of every session. `dropped` is 0, or this entry
    stands where so many entries of its session had to go."""

    number: int
    session_id: str
    at_ms: float
    payload: bytes
    dropped: int = 0

    def text(self) -> bytes:
        if self.dropped:
            return encode({"at_ms": self.at_ms, "kind": "dropped", "count": self.dropped})
        return self.payload


def rank(entry: Mapping[str, Any]) -> int:
    """Partial transcripts are dropped first, transitions last: without them the log can not be run again."""
    if entry["kind"] == "transcript" and not entry.get("final"):
        return PARTIAL
    return TRANSITION if entry["kind"] == "event" else PLAIN


class Buffer:
    """At most `capacity` entries wait, besides those in flight. In flight means: perhaps written already, so these are
    never dropped or changed, but sent again until `landed`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._numbers = count(1)
        self._waiting: OrderedDict[int, Entry] = OrderedDict()
        self._by_rank: tuple[deque[int], ...] = (deque(), deque(), deque())
        self._markers: dict[str, Entry] = {}
        self._flight: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._flight.values()))

    def add(self, session_id: str, entry: Mapping[str, Any]) -> int:
        """Append an entry with "kind" and "at_ms"; returns how many entries had to be dropped for it."""
        number = next(self._numbers)
        self._waiting[number] = Entry(number, session_id, entry["at_ms"], encode(entry))
        self._by_rank[rank(entry)].append(number)
        dropped = 0
        while len(self._waiting) > self._capacity and self._drop_one():
            dropped += 1
        return dropped

    def flight(self, limit: int) -> dict[str, list[Entry]]:
        """By session, what is to be sent now: what is still in flight, or else up to `limit` waiting entries."""
        if not self._flight:
            for _ in range(min(limit, len(self._waiting))):
                _, entry = self._waiting.popitem(last=False)
                if entry.dropped:
                    del self._markers[entry.session_id]
                self._flight.setdefault(entry.session_id, []).append(entry)
            self._forget_gone()
        return dict(self._flight)

    def landed(self, session_id: str) -> int:
        """All that was in flight for this session is written; returns how many entries that were."""
        return len(self._flight.pop(session_id, []))

    def discard(self, session_id: str) -> int:
        """Forget this session's entries; returns how many entries of the conversation are lost by that."""
        gone = self._flight.pop(session_id, [])
        gone += [entry for entry in self._waiting.values() if entry.session_id == session_id]
        for entry in gone:
            self._waiting.pop(entry.number, None)
        self._markers.pop(session_id, None)
        self._forget_gone()
        return sum(1 for entry in gone if not entry.dropped)

    def _drop_one(self) -> bool:
        """Drop the oldest entry of the lowest rank; the first of a session leaves a marker in its place, which counts."""
        for numbers in self._by_rank:
            while numbers:
                entry = self._waiting.get(numbers.popleft())
                if entry is None:
                    continue
                marker = self._markers.setdefault(entry.session_id, entry)
                marker.dropped += 1
                if marker is entry:
                    entry.payload = b""
                else:
                    del self._waiting[entry.number]
                return True
        return False

    def _forget_gone(self) -> None:
        for numbers in self._by_rank:
            while numbers and numbers[0] not in self._waiting:
                numbers.popleft()
