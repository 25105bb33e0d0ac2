"""What conversations hand over for the store, until it is written: log entries, the last record of each session, and latency
figures; and what this process knows of the sessions it writes."""

import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from prometheus_client import Counter, Gauge

from app.core.clock import Clock
from app.settings import Settings
from app.store import commands as keys
from app.store.client import Client
from app.store.commands import Held
from app.store.log_buffer import Buffer
from app.store.records import Erased, SessionRecord, StoreError, bounded, encode
from services.base import Exchange

logger = logging.getLogger(__name__)

_BATCH = 500  # log entries in one round trip
_REMEMBERED = 256  # sessions whose last record this process keeps
_LATENCY_WAITING = 1_000  # turns whose latency waits for the server
_LATENCY_KEPT = 20_000  # turns in the latency stream, about 10 MB

WRITES = Counter("parley_store_writes", "Writes that reached Redis", ["kind"])
DROPPED = Counter("parley_store_dropped", "Writes given up, and old log entries that made room for new ones", ["reason"])
BUFFERED = Gauge("parley_store_buffered", "Writes that wait for Redis")

Lost = Literal["taken_over", "erased"]  # how a session can leave the process that has it
Settle = list[tuple[str, Callable[[Any], None]]]


class Outbox:
    """`save`, `log` and `latency` are for the event loop's thread; they return at once and never fail for the server's sake.
    `arrived` is called for each. `process` is the name under which this one owns sessions. `dropped` counts what was given up
    since the process began."""

    def __init__(self, settings: Settings, capacity: int, clock: Clock, arrived: Callable[[], None]) -> None:
        self.held: OrderedDict[str, Held] = OrderedDict()
        self.on_lost: Callable[[str, Lost], None] = lambda session_id, how: None
        self.dropped = 0
        self._session_ttl_s = settings.session_ttl_s
        self._log_ttl_s = settings.log_ttl_s
        self._clock = clock
        self._arrived = arrived
        self.process = uuid.uuid4().hex
        self._log = Buffer(capacity)
        self._records: dict[str, SessionRecord] = {}
        self._latency: deque[bytes] = deque()  # those in flight are at the head

    def __len__(self) -> int:
        return len(self._log) + len(self._records) + len(self._latency)

    def holds(self, session_id: str) -> bool:
        """Whether anything of this session is still to be written."""
        return session_id in self._records or self._log.holds(session_id)

    def save(self, record: SessionRecord) -> None:
        """Keeps this as the session's state; the last one wins."""
        if held := self._hold(record.session_id):
            revision = held.record.revision + 1 if held.record else 1
            held.record = record.model_copy(update={"revision": revision, "updated_ms": self._clock.epoch_ms()})
            self._records[record.session_id] = held.record
            self._arrived()

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Appends to the session's log."""
        if self._hold(session_id):
            self.drop("buffer_full", self._log.add(session_id, entry))
            self._arrived()

    def latency(self, entry: Mapping[str, Any]) -> None:
        """Appends the figures of a turn."""
        if len(self._latency) < _LATENCY_WAITING:
            self._latency.append(encode(entry))
            self._arrived()
        else:
            self.drop("latency_full", 1)

    def drop(self, reason: str, count: int) -> None:
        """So much was given up."""
        DROPPED.labels(reason).inc(count)
        self.dropped += count

    def remembered(self, session_id: str) -> SessionRecord | None:
        """The last record of a session that this process still writes, for as long as it would live on the server."""
        held = self.held.get(session_id)
        if held is None or held.lost or held.record is None:
            return None
        expired = held.record.updated_ms + self._session_ttl_s * 1000 < self._clock.epoch_ms()
        return None if expired else _whole(held.record, held)

    def forget(self, session_id: str, reason: str) -> None:
        """Write nothing more of this session until it is claimed again."""
        self.drop(reason, self._log.discard(session_id) + (self._records.pop(session_id, None) is not None))
        self.held[session_id] = Held(lost=True)

    async def fill(self, pipe: Any, client: Client, full: bool = False, look: bool = False) -> Settle:
        """Queue on `pipe` what is to be sent now. For each command: whose it is, and what to do with its answer once it is
        written. `full`: the log waits, what is left of the server's memory is for the sessions. `look`: ask of every session
        whether it still belongs to this process."""
        flight, records = {} if full else self._log.flight(_BATCH), dict(self._records)
        helds = {session_id: self.held[session_id] for session_id in flight.keys() | records.keys()}
        for session_id, held in helds.items():
            try:
                held.epoch = held.epoch or await keys.highest_epoch(client, session_id) + 1
                if held.past is None:
                    held.past = await _history(client, session_id)
            except Erased:
                self.lost(session_id, keys.GONE)
        helds = {session_id: held for session_id, held in helds.items() if self.held.get(session_id) is held}
        settle: Settle = []
        for session_id, held in helds.items():
            if entries := flight.get(session_id):
                keys.append(pipe, session_id, self.process, held.epoch, entries, self._log_ttl_s)
                settle.append((session_id, partial(self._appended, session_id)))
            if record := records.get(session_id):
                whole = _whole(record, held)
                kept = bounded(whole)
                keys.put(pipe, kept, self.process, held.epoch, self._session_ttl_s)
                settle.append((session_id, partial(self._saved, record, len(kept.history) < len(whole.history))))

        def measured(answer: bytes) -> None:
            WRITES.labels("latency").inc()
            self._latency.popleft()

        for entry in list(self._latency):
            pipe.xadd(keys.LATENCY_KEY, {"entry": entry}, maxlen=_LATENCY_KEPT)
            settle.append(("", measured))
        for session_id, held in self.held.items():
            if look and held.epoch and not held.lost:
                keys.look(pipe, session_id)
                settle.append((session_id, partial(self._looked, session_id)))
        return settle

    def lost(self, session_id: str, answer: int) -> None:
        """The server says that somebody else has the session (keys.TAKEN), or nobody (keys.GONE)."""
        if session_id in self.held and not self.held[session_id].lost:
            how: Lost = "erased" if answer == keys.GONE else "taken_over"
            logger.warning("session %s %s", session_id, "was erased" if how == "erased" else "goes on elsewhere")
            self.forget(session_id, how)
            self.on_lost(session_id, how)

    def _hold(self, session_id: str) -> Held | None:
        """None: it is lost, and what somebody still wants to write of it is dropped."""
        held = self.held.setdefault(session_id, Held())
        self.held.move_to_end(session_id)
        while len(self.held) > _REMEMBERED:
            oldest = next(iter(self.held))
            self.forget(oldest, "too_many_sessions")
            del self.held[oldest]
        if held.lost:
            self.drop("taken_over", 1)
            return None
        return held

    def _appended(self, session_id: str, old: int) -> None:
        WRITES.labels("log").inc(self._log.landed(session_id))
        self.drop("log_full", old)

    def _saved(self, record: SessionRecord, cut: bool, answer: int) -> None:
        WRITES.labels("session").inc()
        held = self.held.get(record.session_id)
        if cut and held is not None and not held.cut:
            held.cut = True
            logger.warning("session %s is too long to be kept whole: its oldest exchanges are left out", record.session_id)
            self.drop("record_full", 1)
        if self._records.get(record.session_id) is record:
            del self._records[record.session_id]

    def _looked(self, session_id: str, head: bytes) -> None:
        held = self.held.get(session_id)
        if held is not None and (answer := keys.has(head, self.process, held.epoch)) < 0:
            self.lost(session_id, answer)


async def _history(client: Client, session_id: str) -> tuple[Exchange, ...]:
    try:
        record = await keys.load(client, session_id)
    except StoreError as error:
        logger.error("the past of session %s is given up: %s", session_id, error)
        return ()
    return record.history if record is not None else ()


def _whole(record: SessionRecord, held: Held) -> SessionRecord:
    """The record with the past that its conversation does not know of."""
    return record.model_copy(update={"history": held.past + record.history}) if held.past else record
