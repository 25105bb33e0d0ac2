"""The one writer to Redis: sends what waits in the queue to the server, in order and once, however often the server goes away;
and looks after the server's memory and file."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge
from redis.asyncio.retry import Retry
from redis.backoff import DecorrelatedJitterBackoff
from redis.exceptions import OutOfMemoryError, ResponseError

from app.core.clock import Clock
from app.settings import Settings
from server.store import commands as keys
from server.store.commands import UNREACHABLE, ServerMemory, is_hopeless
from server.store.queue import WriteQueue
from server.store.redis_client import Client

logger = logging.getLogger(__name__)

_GATHER_S = 0.02  # pause between round trips, in which writes gather
_LOOK_S = 0.01  # between looks at whether something has been written
_HEARTBEAT_S = 2.0  # the server, and whose the sessions are, is looked at so often
_FULL = 0.9  # share of the server's memory above which logs wait: the rest is for the sessions and tombstones
_REWRITE_EVERY_S = 10.0  # the file of the embedded server is rewritten no more often

RETRIES = Counter("parley_store_retries", "Attempts to reach Redis that failed and are repeated")
FULL = Gauge("parley_store_full", "Share of the memory of Redis that is taken; 0 where it has no limit")
EVICTED = Counter("parley_store_evicted", "Keys that Redis has thrown away because it was full")


@dataclass(frozen=True, slots=True)
class Status:
    """`full` is the share (0..1) of the server's memory that is taken. Since this process began, the server has `evicted` so
    many keys, and so many writes and old log entries were `dropped`."""

    state: Literal["ok", "degraded"]
    reason: str = ""
    full: float = 0.0
    evicted: int = 0
    dropped: int = 0


class Writer:
    """Sends the queue to the server. `guard` is held while the server is written to; `flush` needs it. `prepare` is called
    before a server that was away is looked for; the embedded server, whose file is also looked after here, is started so."""

    def __init__(self, client: Client, prepare: Callable[[], Awaitable[None]] | None, settings: Settings, clock: Clock) -> None:
        self.guard = asyncio.Lock()
        self.queue = WriteQueue(settings, clock, self._arrived)
        self._client = client
        self._prepare = prepare
        self._clock = clock
        self._away = "not connected yet"  # why the server is not reached; empty: it is
        self._memory: ServerMemory | None = None
        self._refuses = False  # it has no room for what was written last
        self._evicted = 0
        self._looked_ms = self._rewritten_ms = float("-inf")
        self._rewrite = prepare is not None  # the last run may have ended before it rewrote
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        """Whether writes arrive."""
        full = self._memory.full if self._memory else 0.0
        reason = self._away
        if not reason and self._refuses:
            reason = f"the store is {full:.0%} full (OOM): what is written waits"
        elif not reason and full >= _FULL:
            reason = f"the store is {full:.0%} full: logs wait"
        elif not reason and self._evicted:
            reason = f"the store was full and has thrown {self._evicted} keys away"
        return Status("degraded" if reason else "ok", reason, full, self._evicted, self.queue.dropped)

    def erased(self) -> None:
        """Notes that something was erased, which is to leave the file of the embedded server too."""
        self._rewrite = self._prepare is not None
        self._wake.set()

    async def start(self) -> None:
        """Tries to reach the server once, then goes on in the background. Never fails: see `status`."""
        try:
            await self._step()
        except UNREACHABLE as error:
            await self._failed(error)
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def stop(self, timeout_s: float) -> None:
        """Writes what waits, for at most `timeout_s`, and ends. Writes that could not be made are counted and named."""
        if self._task is None:
            return
        if not await self.drain(timeout_s):
            logger.error("%d writes did not reach the store", len(self.queue))
            self.queue.drop("closed", len(self.queue))
        while not self._task.done():
            self._task.cancel()  # again and again: before Python 3.12, wait_for inside the client may swallow a cancellation
            await asyncio.wait([self._task], timeout=_GATHER_S)
        self._task = None

    async def drain(self, timeout_s: float, session_ids: Iterable[str] | None = None) -> bool:
        """Waits until everything that was handed over is written, or everything of these sessions; False when that takes longer
        than `timeout_s`."""
        some = None if session_ids is None else set(session_ids)

        def waiting() -> bool:
            return bool(self.queue) if some is None else any(o.unwritten for n, o in self.queue.sessions.items() if n in some)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while waiting():  # noqa: ASYNC110 (what is written is not told by session)
                    await asyncio.sleep(_LOOK_S)
        return not waiting()

    async def flush(self) -> None:
        """Makes one round trip with what waits, or a ping. Raises one of UNREACHABLE; what was not written waits on."""
        look = self._clock.ms() - self._looked_ms >= _HEARTBEAT_S * 1000
        if look:
            await self._look()
        if self._refuses and not look:  # in a while there may be room
            await self._client.ping()
            return
        pipe = self._client.pipeline(transaction=False)
        settle = await self.queue.fill(pipe, self._client, self._is_full(), look)
        if not settle:
            await self._client.ping()
            return
        failure: Exception | None = None
        self._refuses = False
        for (session_id, written), answer in zip(settle, await pipe.execute(raise_on_error=False), strict=True):
            if isinstance(answer, Exception) and session_id and is_hopeless(answer):
                logger.error("session %s can not be written: %s", session_id, answer)
                self.queue.forget(session_id, "refused")
            elif isinstance(answer, OutOfMemoryError):  # others may read, and erase
                self._refuses = True
            elif isinstance(answer, Exception):
                failure = answer
            elif isinstance(answer, int) and answer < 0:
                self.queue.lost(session_id, answer)
            else:
                written(answer)
        if failure is not None:
            raise failure

    async def _look(self) -> None:
        """Looks at the server's memory, and whether its file is to be rewritten."""
        before, memory = self._memory, await keys.server_memory(self._client)
        self._looked_ms = self._clock.ms()
        self._memory = memory
        FULL.set(memory.full)
        if before is None:
            if memory.evicts:
                logger.warning("the store throws sessions away when it is full: set its maxmemory-policy to noeviction")
        else:
            gone = memory.evicted - before.evicted if memory.evicted >= before.evicted else memory.evicted  # it began anew
            self._evicted += gone
            EVICTED.inc(gone)
            if gone:
                logger.error("the store was full and has thrown %d keys away", gone)
            if self._is_full() and before.full < _FULL:
                logger.error("the store is %.0f %% full: logs wait until there is room", 100 * memory.full)
        if self._rewrite and self._clock.ms() - self._rewritten_ms >= _REWRITE_EVERY_S * 1000:
            with contextlib.suppress(ResponseError):  # one is under way, and may have begun before the erasure: again later
                await self._client.bgrewriteaof()
                self._rewrite, self._rewritten_ms = False, self._clock.ms()

    def _is_full(self) -> bool:
        return self._memory is not None and self._memory.full >= _FULL

    def _arrived(self) -> None:
        self._wake.set()

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
                self._away = repr(error)
            await asyncio.sleep(_GATHER_S)

    async def _step(self) -> None:
        if self._away and self._prepare is not None:
            await self._prepare()
        async with self.guard:
            await self.flush()
        if self._away:
            logger.info("the store is reached")
            self._away = ""
        if self.queue and not self._is_full() and not self._refuses:
            self._wake.set()

    async def _failed(self, error: Exception) -> None:
        RETRIES.inc()
        reason = f"{type(error).__name__}: {error}"
        if not self._away:
            logger.warning("the store is away, writes wait (%s)", reason)
        self._away = reason
