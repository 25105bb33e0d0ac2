"""Log entries on their way to Redis: bounded, in order, and honest about what did not fit."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from app.store.records import encode

MAX_BYTES = 32_000_000  # of the entries that wait
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
        """As it is written."""
        if self.dropped:
            return encode({"at_ms": self.at_ms, "kind": "dropped", "count": self.dropped})
        return self.payload


def rank(entry: Mapping[str, Any]) -> int:
    """Partial transcripts are dropped first, transitions last: without them the log can not be run again."""
    if entry["kind"] == "transcript" and not entry.get("final"):
        return PARTIAL
    return TRANSITION if entry["kind"] == "event" else PLAIN


@dataclass(slots=True)
class Waiting:
    """What waits of one session, by number and by rank. `marker` stands where entries had to go."""

    entries: OrderedDict[int, Entry] = field(default_factory=OrderedDict)
    by_rank: tuple[deque[int], ...] = field(default_factory=lambda: (deque(), deque(), deque()))
    size: int = 0  # bytes
    marker: Entry | None = None

    def add(self, entry: Entry, ranked: int) -> None:
        """Appends an entry of this rank."""
        self.entries[entry.number] = entry
        self.by_rank[ranked].append(entry.number)
        self.size += len(entry.payload)

    def first(self) -> Entry:
        """The oldest, taken out."""
        number, entry = self.entries.popitem(last=False)
        self.size -= len(entry.payload)
        if entry is self.marker:
            self.marker = None
        for numbers in self.by_rank:
            if numbers and numbers[0] == number:
                numbers.popleft()
        return entry

    def drop(self) -> None:
        """Drop the oldest entry of the lowest rank; the first leaves a marker in its place, which counts."""
        entry = self.entries[next(numbers for numbers in self.by_rank if numbers).popleft()]
        self.size -= len(entry.payload)
        if self.marker is None:
            self.marker = entry
            entry.payload = b""
        else:
            del self.entries[entry.number]
        self.marker.dropped += 1


class Buffer:
    """At most `capacity` entries of `max_bytes` in all wait, besides those in flight: the session that takes the largest share
    makes room. In flight means: perhaps written already, so these are never dropped or changed, but sent again until
    `landed`."""

    def __init__(self, capacity: int, max_bytes: int = MAX_BYTES) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._numbers = count(1)
        self._waiting: dict[str, Waiting] = {}
        self._flight: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        return self._count() + sum(map(len, self._flight.values()))

    def _count(self) -> int:
        return sum(len(waiting.entries) for waiting in self._waiting.values())

    def add(self, session_id: str, entry: Mapping[str, Any]) -> int:
        """Append an entry with "kind" and "at_ms"; returns how many entries had to be dropped for it."""
        waiting = self._waiting.setdefault(session_id, Waiting())
        waiting.add(Entry(next(self._numbers), session_id, entry["at_ms"], encode(entry)), rank(entry))
        dropped = 0
        while (largest := self._too_large()) is not None:
            largest.drop()
            dropped += 1
        return dropped

    def _too_large(self) -> Waiting | None:
        """Whoever has to make room now."""
        if self._count() <= self._capacity and sum(one.size for one in self._waiting.values()) <= self._max_bytes:
            return None
        return max((one for one in self._waiting.values() if any(one.by_rank)), key=self._share, default=None)

    def _share(self, waiting: Waiting) -> float:
        return max(len(waiting.entries) / self._capacity, waiting.size / self._max_bytes)

    def flight(self, limit: int) -> dict[str, list[Entry]]:
        """By session, what is to be sent now: what is still in flight, or else up to `limit` waiting entries, one of each session
        in turn."""
        left = 0 if self._flight else limit
        while left and self._waiting:
            for session_id, waiting in list(self._waiting.items())[:left]:
                self._flight.setdefault(session_id, []).append(waiting.first())
                left -= 1
                if not waiting.entries:
                    del self._waiting[session_id]
        return dict(self._flight)

    def landed(self, session_id: str) -> int:
        """All that was in flight for this session is written; returns how many entries that were."""
        return len(self._flight.pop(session_id, []))

    def holds(self, session_id: str) -> bool:
        """Whether anything of this session waits or is in flight."""
        return session_id in self._waiting or session_id in self._flight

    def discard(self, session_id: str) -> int:
        """Forget this session's entries; returns how many entries of the conversation are lost by that."""
        waiting = self._waiting.pop(session_id, Waiting())
        gone = [*self._flight.pop(session_id, []), *waiting.entries.values()]
        return sum(1 for entry in gone if not entry.dropped)
