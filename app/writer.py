"""The one writer to Redis: brings what waits in the outbox to the server, in order and once, however often the server goes
away."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter
from redis.asyncio.retry import Retry
from redis.backoff import DecorrelatedJitterBackoff

from app.clock import Clock
from app.keys import UNREACHABLE, is_hopeless
from app.outbox import BUFFERED, DROPPED, Outbox
from app.redisurl import Client
from app.settings import Settings

logger = logging.getLogger(__name__)

_GATHER_S = 0.02  # pause between round trips, in which writes gather
_HEARTBEAT_S = 2.0  # an idle store looks for its server so often

RETRIES = Counter("parley_store_retries", "Attempts to reach Redis that failed and are repeated")


@dataclass(frozen=True, slots=True)
class Status:
    state: Literal["ok", "degraded"]
    reason: str = ""


class Writer:
    """`guard` is held while the server is written to; `flush` needs it. `prepare` is called before a server is looked for
    that was away."""

    def __init__(
        self, client: Client, prepare: Callable[[], Awaitable[None]] | None, settings: Settings, capacity: int, clock: Clock
    ) -> None:
        self.status = Status("degraded", "not connected yet")
        self.guard = asyncio.Lock()
        self.outbox = Outbox(settings, capacity, clock, self._arrived)
        self._client = client
        self._prepare = prepare
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

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
            logger.error("%d writes did not reach the store", len(self.outbox))
            DROPPED.labels("closed").inc(len(self.outbox))
        while not self._task.done():
            self._task.cancel()  # again and again: before Python 3.12, wait_for inside the client may swallow a cancellation
            await asyncio.wait([self._task], timeout=_GATHER_S)
        self._task = None

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all that was handed over before is written; False when that takes longer than `timeout_s`."""
        if self.outbox:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._written.wait()
        return not self.outbox

    async def flush(self) -> None:
        """One round trip with what waits, or a ping. Raises one of UNREACHABLE; what was not written waits on."""
        pipe = self._client.pipeline(transaction=False)
        settle = await self.outbox.fill(pipe, self._client)
        if not settle:
            await self._client.ping()
            return
        failure: Exception | None = None
        for (session_id, written), answer in zip(settle, await pipe.execute(raise_on_error=False), strict=True):
            if isinstance(answer, Exception) and session_id and is_hopeless(answer):
                self.outbox.refused(session_id, answer)
            elif isinstance(answer, Exception):
                failure = answer
            elif isinstance(answer, int) and answer < 0:
                self.outbox.taken_over(session_id)
            else:
                written()
        BUFFERED.set(len(self.outbox))
        if failure is not None:
            raise failure

    def _arrived(self) -> None:
        self._written.clear()
        self._wake.set()
        BUFFERED.set(len(self.outbox))

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
        if self.status.state != "ok" and self._prepare is not None:
            await self._prepare()
        async with self.guard:
            await self.flush()
        if self.status.state != "ok":
            logger.info("the store is reached")
            self.status = Status("ok")
        if self.outbox:
            self._wake.set()
        else:
            self._written.set()

    async def _failed(self, error: Exception) -> None:
        RETRIES.inc()
        reason = f"{type(error).__name__}: {error}"
        if self.status.state == "ok":
            logger.warning("the store is away, writes wait (%s)", reason)
        self.status = Status("degraded", reason)
