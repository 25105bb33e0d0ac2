"""The one writer to Redis: takes what conversations leave behind without ever making them wait, and brings it to the server
in order and once, however often the server goes away.

Two writers may hold the same session for a moment (the user came back on another process). Scripts on the server fence them
off: a key remembers the epoch and owner of its last writer, and whoever has a lower epoch, or the same with another name, has
lost the session. Whoever takes a session, by a claim or by its first write, takes the epoch above all that is stored. The
scripts also make a repeated write harmless: the log skips entry numbers that it has, the session older revisions.
"""

import asyncio
import contextlib
import logging
import re
import uuid
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Literal, cast

from prometheus_client import Counter, Gauge
from redis.asyncio.retry import Retry
from redis.backoff import DecorrelatedJitterBackoff
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from app.buffer import Buffer
from app.clock import Clock, LoopClock
from app.records import SessionRecord, StoreError, encode
from app.redisurl import Client

logger = logging.getLogger(__name__)

LATENCY_KEY = "metrics:latency"
UNREACHABLE = (RedisError, RedisClusterException, OSError, StoreError)
_BATCH = 500  # log entries in one round trip
_GATHER_S = 0.02  # pause between round trips, in which writes gather
_HEARTBEAT_S = 2.0  # an idle store looks for its server so often
_REMEMBERED = 256  # sessions whose last record this process keeps
_LATENCY_WAITING = 1_000  # turns whose latency waits for the server
_LATENCY_KEPT = 20_000  # turns in the latency stream, about 10 MB
# Answers that repeating can not change: somebody else uses the key for something of their own.
_HOPELESS = ("WRONGTYPE", "The ID specified in XADD")

WRITES = Counter("parley_store_writes", "Writes that reached Redis", ["kind"])
RETRIES = Counter("parley_store_retries", "Attempts to reach Redis that failed and are repeated")
DROPPED = Counter("parley_store_dropped", "Writes given up", ["reason"])
BUFFERED = Gauge("parley_store_buffered", "Log entries that wait for Redis")

_HEAD = re.compile(rb'{"version":\d+,"epoch":(\d+),')

# ARGV: epoch, owner, seconds to live, then number and text of each entry. Answers the last sequence number, or -1.
_APPEND = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local seq, epoch, owner, number = 0, 0, '', 0
if last then
  seq = tonumber(string.match(last[1], '^%d+'))
  epoch, owner, number = tonumber(last[2][2]) or 0, last[2][4], tonumber(last[2][6]) or 0
end
local mine = tonumber(ARGV[1])
if epoch > mine or (epoch == mine and owner ~= ARGV[2]) then return -1 end
if owner ~= ARGV[2] then number = 0 end
for i = 4, #ARGV, 2 do
  if tonumber(ARGV[i]) > number then
    seq = seq + 1
    redis.call('XADD', KEYS[1], string.format('%d-0', seq),
      'epoch', ARGV[1], 'owner', ARGV[2], 'number', ARGV[i], 'entry', ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return seq
"""

# ARGV: the record, epoch, owner, revision, seconds to live. Answers 1, or -1 when the session belongs to somebody else.
_SAVE = """
local epoch, owner, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 255),
  '^{"version":%d+,"epoch":(%d+),"owner":"([^"]*)","revision":(%d+)')
local mine = tonumber(ARGV[2])
if epoch then
  epoch, revision = tonumber(epoch), tonumber(revision)
  if epoch > mine or (epoch == mine and owner ~= ARGV[3]) then return -1 end
  if epoch == mine and revision >= tonumber(ARGV[4]) then return 1 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[5])
return 1
"""


def session_key(session_id: str) -> str:
    return f"session:{session_id}"


def log_key(session_id: str) -> str:
    return f"logs:session:{session_id}"


@dataclass(frozen=True, slots=True)
class Status:
    state: Literal["ok", "degraded"]
    reason: str = ""


@dataclass(slots=True)
class Held:
    """What this process knows of a session that it writes. Epoch 0: to be found out when the server is reached. `lost`:
    somebody else owns the session now, or it is erased."""

    owner: str
    epoch: int = 0
    record: SessionRecord | None = None
    lost: bool = False


@dataclass(slots=True)
class _Pending:
    """Writes that wait: the last record of each session, and latency entries (those in flight at the head)."""

    records: dict[str, SessionRecord] = field(default_factory=dict)
    latency: deque[bytes] = field(default_factory=deque)


class Writer:
    """`save`, `log` and `latency` are for the event loop's thread; they return at once and never raise for the server's
    sake. `guard` is held while the server is written to; `flush` needs it."""

    def __init__(
        self,
        client: Client,
        prepare: Callable[[], Awaitable[None]],
        *,
        session_ttl_s: int,
        log_ttl_s: int,
        capacity: int,
        clock: Clock | None = None,
    ) -> None:
        self.client = client
        self.status = Status("degraded", "not connected yet")
        self.guard = asyncio.Lock()
        self.on_taken_over: Callable[[str], None] = lambda session_id: None
        self.held: OrderedDict[str, Held] = OrderedDict()
        self.clock = clock or LoopClock()
        self._prepare = prepare
        self._ttls = session_ttl_s, log_ttl_s
        self._process = uuid.uuid4().hex
        self._buffer = Buffer(capacity)
        self._pending = _Pending()
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def save(self, record: SessionRecord) -> None:
        held = self._hold(record.session_id)
        if held.lost:
            DROPPED.labels("taken_over").inc()
            return
        revision = held.record.revision + 1 if held.record else 1
        stamps = {"revision": revision, "updated_ms": self.clock.epoch_ms()}
        held.record = self._pending.records[record.session_id] = record.model_copy(update=stamps)
        self._stir()

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        if self._hold(session_id).lost:
            DROPPED.labels("taken_over").inc()
            return
        dropped = self._buffer.add(session_id, entry)
        if dropped:
            DROPPED.labels("buffer_full").inc(dropped)
        self._stir()

    def latency(self, entry: Mapping[str, Any]) -> None:
        if len(self._pending.latency) >= _LATENCY_WAITING:
            DROPPED.labels("latency_full").inc()
            return
        self._pending.latency.append(encode(entry))
        self._stir()

    def forget(self, session_id: str, reason: str) -> None:
        """Write nothing more of this session until it is claimed again."""
        lost = self._buffer.discard(session_id) + (self._pending.records.pop(session_id, None) is not None)
        DROPPED.labels(reason).inc(lost)
        self.held[session_id] = Held("", lost=True)

    async def start(self) -> None:
        """Reach for the server once, then go on in the background. Never fails: see `status`."""
        try:
            await self._step()
        except UNREACHABLE as error:
            await self._failed(error)
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def stop(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s`, and end. What could not be written is counted and named."""
        if self._task is None:
            return
        if not await self.drain(timeout_s):
            logger.error("%d log entries and %d sessions were not written", len(self._buffer), len(self._pending.records))
            DROPPED.labels("closed").inc(len(self._buffer) + len(self._pending.records))
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all that was handed over before is written; False when that takes longer than `timeout_s`."""
        if self._waiting():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._written.wait()
        return not self._waiting()

    async def flush(self) -> None:
        """One round trip with what waits, or a ping. Raises one of UNREACHABLE; what was not written waits on."""
        flight, records = self._buffer.flight(_BATCH), dict(self._pending.records)
        helds = {session_id: self.held[session_id] for session_id in flight.keys() | records.keys()}
        for session_id, held in helds.items():
            held.epoch = held.epoch or await self.highest_epoch(session_id) + 1
        pipe = self.client.pipeline(transaction=False)
        settle: list[tuple[str, Callable[[Any], None]]] = []
        for session_id, entries in flight.items():
            held = helds[session_id]
            words: Iterable[int | bytes] = chain.from_iterable((entry.number, entry.text()) for entry in entries)
            pipe.eval(_APPEND, 1, log_key(session_id), held.epoch, held.owner, self._ttls[1], *words)
            settle.append((session_id, partial(self._appended, session_id)))
        for session_id, record in records.items():
            held = helds[session_id]
            text = encode(record.model_dump() | {"epoch": held.epoch, "owner": held.owner})
            pipe.eval(_SAVE, 1, session_key(session_id), text, held.epoch, held.owner, record.revision, self._ttls[0])
            settle.append((session_id, partial(self._saved, record)))
        for entry in list(self._pending.latency):
            pipe.xadd(LATENCY_KEY, {"entry": entry}, maxlen=_LATENCY_KEPT)
            settle.append(("", self._measured))
        if not settle:
            await self.client.ping()
            return
        failure: Exception | None = None
        for (session_id, done), answer in zip(settle, await pipe.execute(raise_on_error=False), strict=True):
            if not isinstance(answer, Exception):
                done(answer)
            elif session_id and str(answer).startswith(_HOPELESS):
                logger.error("session %s can not be written: %s", session_id, answer)
                self.forget(session_id, "refused")
            else:
                failure = answer
        BUFFERED.set(len(self._buffer))
        if failure is not None:
            raise failure

    async def highest_epoch(self, session_id: str) -> int:
        """Of all that is stored of this session; 0 when nothing is, or when the keys hold something else."""
        try:
            head = _HEAD.match(cast(bytes, await self.client.getrange(session_key(session_id), 0, 255)))
            last = cast(list[tuple[bytes, dict[bytes, bytes]]], await self.client.xrevrange(log_key(session_id), count=1))
        except ResponseError as error:
            if str(error).startswith(_HOPELESS):
                return 0
            raise
        return max(int(head[1]) if head else 0, int(last[0][1].get(b"epoch", 0)) if last else 0)

    def _hold(self, session_id: str) -> Held:
        held = self.held.setdefault(session_id, Held(self._process))
        self.held.move_to_end(session_id)
        while len(self.held) > _REMEMBERED:
            oldest = next(iter(self.held))
            self.forget(oldest, "too_many_sessions")
            del self.held[oldest]
        return held

    def _waiting(self) -> bool:
        return bool(len(self._buffer) or self._pending.records or self._pending.latency)

    def _stir(self) -> None:
        self._written.clear()
        self._wake.set()
        BUFFERED.set(len(self._buffer))

    async def _run(self) -> None:
        # This backoff never computes a power of the failure count, which overflows after 1,024 of them.
        retry = Retry(DecorrelatedJitterBackoff(cap=1.0, base=0.05), -1, UNREACHABLE)  # type: ignore[arg-type]
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await retry.call_with_retry(self._step, self._failed)
            except Exception as error:  # a defect: say so, and keep the store alive for every other session
                logger.exception("the store's writer failed")
                self.status = Status("degraded", repr(error))
            await asyncio.sleep(_GATHER_S)

    async def _step(self) -> None:
        if self.status.state != "ok":
            await self._prepare()
        async with self.guard:
            await self.flush()
        if self.status.state != "ok":
            logger.info("the store is reached")
            self.status = Status("ok")
        if self._waiting():
            self._wake.set()
        else:
            self._written.set()

    async def _failed(self, error: Exception) -> None:
        RETRIES.inc()
        reason = f"{type(error).__name__}: {error}"
        if self.status.state == "ok":
            logger.warning("the store is away, writes wait (%s)", reason)
        self.status = Status("degraded", reason)

    def _appended(self, session_id: str, answer: int) -> None:
        if answer < 0:
            self._taken_over(session_id)
        else:
            WRITES.labels("log").inc(self._buffer.landed(session_id))

    def _saved(self, record: SessionRecord, answer: int) -> None:
        if answer < 0:
            self._taken_over(record.session_id)
            return
        WRITES.labels("session").inc()
        if self._pending.records.get(record.session_id) is record:
            del self._pending.records[record.session_id]

    def _measured(self, answer: Any) -> None:
        WRITES.labels("latency").inc()
        self._pending.latency.popleft()

    def _taken_over(self, session_id: str) -> None:
        if session_id not in self.held or self.held[session_id].lost:
            return
        logger.warning("session %s goes on elsewhere", session_id)
        self.forget(session_id, "taken_over")
        self.on_taken_over(session_id)
