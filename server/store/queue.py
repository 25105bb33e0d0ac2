"""Queues what conversations hand over for the store until it is written: log entries, the last record of each session, and
latency figures; and keeps what this process knows of the sessions that it writes. The log is bounded and in order, and says
what did not fit."""

import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, Literal

from prometheus_client import Counter, Gauge

from app.core.clock import Clock
from app.settings import Settings
from server.store import commands as keys
from server.store.records import Erased, LogEntry, SessionRecord, StoreError, bounded, encode
from server.store.redis_client import Client
from services.base import Exchange

logger = logging.getLogger(__name__)

CAPACITY = 20_000  # log entries that wait for Redis: some 10 MB, over an hour of eight conversations
MAX_BYTES = 32_000_000  # of these entries
BATCH = 500  # log entries in one round trip
_REMEMBERED = 256  # sessions whose last record this process keeps
_LATENCY_WAITING = 1_000  # turns whose latency waits for the server
_LATENCY_KEPT = 20_000  # turns in the latency stream, about 10 MB

WRITES = Counter("parley_store_writes", "Writes that reached Redis", ["kind"])
DROPPED = Counter("parley_store_dropped", "Writes given up, and old log entries that made room for new ones", ["reason"])
BUFFERED = Gauge("parley_store_buffered", "Writes that wait for Redis")

Lost = Literal["taken_over", "erased"]  # how a session can leave the process that has it
Settle = list[tuple[str, Callable[[Any], None]]]


def rank(entry: Mapping[str, Any]) -> int:
    """The rank of a log entry, 0 to 2, of which the lowest is dropped first: partial transcripts go before others, transitions
    last, for without them the log cannot be run again."""
    if entry["kind"] == "transcript" and not entry.get("final"):
        return 0
    return 2 if entry["kind"] == "event" else 1


@dataclass(slots=True, eq=False)
class SessionWrites:
    """The writes of one session, and what this process knows of it. Epoch 0: to be found out when the server is reached.
    `lost`: somebody else owns the session now, or it is erased. `past`: what was said before, where the conversation began
    without knowing it; None: to be found out, with the generation and the ms that its listener says were `played` of it. `cut`:
    the record has grown too large and is not kept whole. Entries wait by their rank; `marker` stands where some had to go. The
    entries in `flight` may have been written already: they are never dropped or changed, but sent again until that is known."""

    epoch: int = 0
    record: SessionRecord | None = None
    unsaved: SessionRecord | None = None
    lost: bool = False
    past: tuple[Exchange, ...] | None = ()
    played: tuple[int, float] | None = None
    cut: bool = False
    ranks: tuple[deque[LogEntry], ...] = field(default_factory=lambda: (deque(), deque(), deque()))
    marker: LogEntry | None = None
    flight: list[LogEntry] = field(default_factory=list)
    size: int = 0  # bytes of the entries that wait

    @property
    def waiting(self) -> int:
        """How many entries wait."""
        return sum(map(len, self.ranks)) + (self.marker is not None)

    @property
    def unwritten(self) -> int:
        """How many writes are not known to have arrived."""
        return self.waiting + len(self.flight) + (self.unsaved is not None)

    def first(self) -> LogEntry:
        """Takes out the oldest entry that waits."""
        queues = [queue for queue in self.ranks if queue]
        if self.marker is not None and all(self.marker.number < queue[0].number for queue in queues):
            marker, self.marker = self.marker, None
            return marker
        entry = min(queues, key=lambda queue: queue[0].number).popleft()
        self.size -= len(entry.payload)
        return entry

    def drop_one(self) -> None:
        """Drops the oldest entry of the lowest rank; the first leaves a marker in its place, which counts."""
        entry = next(queue for queue in self.ranks if queue).popleft()
        self.size -= len(entry.payload)
        self.marker = self.marker or LogEntry(entry.number, entry.at_ms, b"")
        self.marker.dropped += 1

    def whole(self, record: SessionRecord) -> SessionRecord:
        """`record` with the past that its conversation does not know."""
        return record.model_copy(update={"history": self.past + record.history}) if self.past else record


class WriteQueue:
    """`save`, `log` and `latency` are for the event loop's thread; they return at once and never fail because of the server.
    `arrived` is called for each write. `process` is the name under which this process owns sessions. `dropped` counts the
    writes that were given up since the process began."""

    def __init__(self, settings: Settings, clock: Clock, arrived: Callable[[], None] = lambda: None) -> None:
        self.sessions: OrderedDict[str, SessionWrites] = OrderedDict()
        self.on_lost: Callable[[str, Lost], None] = lambda session_id, how: None
        self.dropped = 0
        self.process = uuid.uuid4().hex
        self._settings = settings
        self._clock = clock
        self._arrived = arrived
        self._numbers = count(1)
        self._latency: deque[bytes] = deque()  # those in flight are at the head
        BUFFERED.set_function(self.__len__)

    def __len__(self) -> int:
        return sum(one.unwritten for one in self.sessions.values()) + len(self._latency)

    def save(self, record: SessionRecord) -> None:
        """Keeps `record` as the session's state; of several the last one counts."""
        if (one := self._of(record.session_id)) is not None:
            revision = one.record.revision + 1 if one.record else 1
            stamps = {"revision": revision, "updated_ms": self._clock.epoch_ms()}
            one.record = one.unsaved = record.model_copy(update=stamps)
            self._arrived()

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Appends `entry`, which has "kind" and "at_ms", to the session's log. Where the queue is full, the session with the
        largest share of it makes room."""
        if (one := self._of(session_id)) is None:
            return
        added = LogEntry(next(self._numbers), entry["at_ms"], encode(entry))
        one.ranks[rank(entry)].append(added)
        one.size += len(added.payload)
        while (largest := _too_large(self.sessions.values())) is not None:
            largest.drop_one()
            self.drop("buffer_full", 1)
        self._arrived()

    def latency(self, entry: Mapping[str, Any]) -> None:
        """Appends the figures of a turn."""
        if len(self._latency) < _LATENCY_WAITING:
            self._latency.append(encode(entry))
            self._arrived()
        else:
            self.drop("latency_full", 1)

    def drop(self, reason: str, count: int) -> None:
        """Counts `count` writes as given up."""
        DROPPED.labels(reason).inc(count)
        self.dropped += count

    def remembered(self, session_id: str) -> SessionRecord | None:
        """The last record of a session that this process still writes, for as long as it would live on the server."""
        one = self.sessions.get(session_id)
        if one is None or one.lost or one.record is None:
            return None
        expired = one.record.updated_ms + self._settings.session_ttl_s * 1000 < self._clock.epoch_ms()
        return None if expired else one.whole(one.record)

    def claimed(
        self, session_id: str, epoch: int, record: SessionRecord | None, past: tuple[Exchange, ...] | None = ()
    ) -> None:
        """Notes that this process writes the session from now on. Writes that wait stay; those that are being sent for an
        earlier claim are not sent for this one."""
        before = self.sessions.get(session_id, SessionWrites())
        self.sessions[session_id] = replace(before, epoch=epoch, record=record, lost=False, past=past, played=None, cut=False)

    def played(self, session_id: str, generation: int, played_ms: float) -> None:
        """Notes how much the listener says was played of the last reply, for a session whose past is still to be found out."""
        if (one := self.sessions.get(session_id)) is not None:
            one.played = generation, played_ms

    def forget(self, session_id: str, reason: str) -> None:
        """Writes nothing more of this session until it is claimed again."""
        one = self.sessions.get(session_id, SessionWrites())
        entries = sum(map(len, one.ranks)) + sum(not entry.dropped for entry in one.flight)
        self.drop(reason, entries + (one.unsaved is not None))
        self.sessions[session_id] = SessionWrites(lost=True)

    def take_off(self, most: int = BATCH) -> None:
        """The log entries that are sent next: those that were sent without an answer, or else up to `most`, one of each session
        in turn."""
        left = 0 if any(one.flight for one in self.sessions.values()) else most
        while left and (some := [one for one in self.sessions.values() if one.waiting][:left]):
            for one in some:
                one.flight.append(one.first())
            left -= len(some)

    async def fill(self, pipe: Any, client: Client, full: bool = False, look: bool = False) -> Settle:
        """Queues on `pipe` what is to be sent now. Returns, for each command, whose it is and what to do with its answer once
        it is written. `full`: the log waits, for the rest of the server's memory is for the sessions. `look`: ask of every
        session whether it still belongs to this process."""
        if not full:
            self.take_off()
        due = {name: one for name, one in self.sessions.items() if one.unsaved or (one.flight and not full)}
        for session_id, one in due.items():
            try:
                one.epoch = one.epoch or await keys.highest_epoch(client, session_id) + 1
                if one.past is None:
                    one.past = await _history(client, session_id, one.played)
            except Erased:
                self.lost(session_id, keys.GONE)
        settle: Settle = []

        def appended(flight: list[LogEntry], old: int) -> None:
            WRITES.labels("log").inc(len(flight))
            flight.clear()
            self.drop("log_full", old)

        def measured(answer: bytes) -> None:
            WRITES.labels("latency").inc()
            self._latency.popleft()

        for session_id, one in due.items():
            if self.sessions.get(session_id) is not one:
                continue
            if one.flight and not full:
                keys.append(pipe, session_id, self.process, one.epoch, one.flight, self._settings.log_ttl_s)
                settle.append((session_id, partial(appended, one.flight)))
            if one.unsaved is not None:
                whole = one.whole(one.unsaved)
                kept = bounded(whole)
                keys.put(pipe, kept, self.process, one.epoch, self._settings.session_ttl_s)
                settle.append((session_id, partial(self._saved, one.unsaved, len(kept.history) < len(whole.history))))
        for entry in list(self._latency):
            pipe.xadd(keys.LATENCY_KEY, {"entry": entry}, maxlen=_LATENCY_KEPT)
            settle.append(("", measured))
        for session_id, one in self.sessions.items():
            if look and one.epoch and not one.lost:
                keys.look(pipe, session_id)
                settle.append((session_id, partial(_looked, self, one, session_id)))
        return settle

    def lost(self, session_id: str, answer: int) -> None:
        """Notes that by the server's answer somebody else has the session (keys.TAKEN), or nobody (keys.GONE)."""
        if session_id in self.sessions and not self.sessions[session_id].lost:
            how: Lost = "erased" if answer == keys.GONE else "taken_over"
            logger.warning("session %s %s", session_id, "was erased" if how == "erased" else "goes on elsewhere")
            self.forget(session_id, how)
            self.on_lost(session_id, how)

    def _of(self, session_id: str) -> SessionWrites | None:
        """The writes of a session; None where it is lost, and what is still to be written of it is dropped."""
        one = self.sessions.setdefault(session_id, SessionWrites())
        self.sessions.move_to_end(session_id)
        while len(self.sessions) > _REMEMBERED:
            oldest = next(iter(self.sessions))
            self.forget(oldest, "too_many_sessions")
            del self.sessions[oldest]
        if one.lost:
            self.drop("taken_over", 1)
            return None
        return one

    def _saved(self, record: SessionRecord, cut: bool, answer: int) -> None:
        WRITES.labels("session").inc()
        one = self.sessions.get(record.session_id)
        if one is None:
            return
        if cut and not one.cut:
            one.cut = True
            logger.warning("session %s is too long to be kept whole: its oldest exchanges are left out", record.session_id)
            self.drop("record_full", 1)
        if one.unsaved is record:
            one.unsaved = None


def _too_large(sessions: Collection[SessionWrites]) -> SessionWrites | None:
    """The session that has to make room now, if any."""
    waiting, size = (sum(getattr(one, name) for one in sessions) for name in ("waiting", "size"))
    if waiting <= CAPACITY and size <= MAX_BYTES:
        return None
    some = (one for one in sessions if any(one.ranks))
    return max(some, key=lambda one: max(one.waiting / CAPACITY, one.size / MAX_BYTES), default=None)


def _looked(queue: WriteQueue, one: SessionWrites, session_id: str, head: bytes) -> None:
    answer = keys.has(head, queue.process, one.epoch)
    if answer < 0 and queue.sessions.get(session_id) is one:
        queue.lost(session_id, answer)


async def _history(client: Client, session_id: str, played: tuple[int, float] | None) -> tuple[Exchange, ...]:
    try:
        record = await keys.load(client, session_id)
    except StoreError as error:
        logger.error("the past of session %s is given up: %s", session_id, error)
        return ()
    history = record.history if record is not None else ()
    last = record.pending.as_last() if record is not None and record.pending is not None else None
    return history if last is None or played is None else tuple(last.history(history, last.reached(*played)))
