"""What outlives a process: session state, audit log and latency figures in Redis, or in an embedded server.

A conversation only ever hands over (`save`, `log`, `latency`); nothing here makes it wait or tells it what to do, but the
news that another process has taken the session, or erased it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from app.core.clock import LoopClock
from app.settings import Settings
from configuration.redaction import withhold
from server.core.limits import TokenBucket
from server.store import commands as keys
from server.store.commands import UNREACHABLE, reaching
from server.store.embedded_server import EmbeddedServer
from server.store.log_readers import StoreReader
from server.store.queue import Lost
from server.store.records import Busy, Erased, PendingReply, SessionRecord, StoreError
from server.store.redis_client import Client, connect
from server.store.writer import Status, Writer

__all__ = ["Busy", "Erased", "PendingReply", "SessionRecord", "Status", "Store", "StoreError"]

_CLOSE_S = 3.0  # how long the last writes may take
_CLAIM_S = 1.0  # how long a conversation may wait for its past
_AGAIN_S = 0.1  # between attempts to claim
_ERASED_S = 86_400  # a process that was cut off for longer, with an erased session in memory, would bring it back
_MET, _MET_S = 16, 20  # other processes that are looked at in one go, and seconds for which they are taken to be there
# Tombstones for sessions of which nothing is stored: a process that is cut off may have one in memory, but anybody can ask for them
# without end.
_UNSEEN_PER_S, _UNSEEN_AT_ONCE = 0.02, 50


class Store(StoreReader):
    """The store of one process, open inside `async with`. Opening it succeeds although Redis is away, and closing it takes at
    most 3 s to write what waits. Raises ValueError for an impossible Redis URL; every other trouble shows in `status`."""

    def __init__(self, settings: Settings) -> None:
        self._texts = settings.log_transcripts
        self._ttl_s = settings.session_ttl_s
        self._clock = LoopClock()
        self._server = None if settings.redis_url else EmbeddedServer(settings.data_dir / "store")
        url = self._server.url if self._server else settings.redis_url
        self._client: Client = connect(url)
        super().__init__(connect(url), self._clock)
        self._unseen = TokenBucket(_UNSEEN_PER_S, _UNSEEN_AT_ONCE)
        self._writer = Writer(self._client, self._server.ensure if self._server else None, settings, self._clock)
        self._queue = self._writer.queue

    async def __aenter__(self) -> Self:
        await self._writer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._writer.stop(_CLOSE_S)
        await self._client.aclose()
        await self.close_reader()
        if self._server is not None:
            await self._server.stop()

    @property
    def status(self) -> Status:
        """Whether writes arrive."""
        return self._writer.status

    def on_lost(self, tell: Callable[[str, Lost], None]) -> None:
        """Has `tell(session_id, how)` called when another process has taken a session that this one wrote, or has erased it:
        its connection must end. This is known within some 2 s."""
        self._queue.on_lost = tell

    def save(self, record: SessionRecord) -> None:
        """Keeps `record` as the session's state. Of several in a row the last one counts."""
        self._queue.save(record)

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Appends `entry` to the session's log. It has a "kind"; "at_ms" (ms since 1970, UTC) is added where it is missing."""
        stamped = {"at_ms": self._clock.epoch_ms(), **entry}
        self._queue.log(session_id, stamped if self._texts else withhold(stamped))

    def latency(self, entry: Mapping[str, Any]) -> None:
        """Appends a turn's figures, e.g. {"session": id, "turn": 3, "spans": {"stt_final": 210.5}}, spans in ms."""
        self._queue.latency({"at_ms": self._clock.epoch_ms(), **entry})

    async def drain(self, timeout_s: float, session_ids: Iterable[str] | None = None) -> bool:
        """Waits until everything that was handed over is written, or everything of these sessions, whatever others still hand
        over; False when that takes longer than `timeout_s`."""
        return await self._writer.drain(timeout_s, session_ids)

    async def load(self, session_id: str) -> SessionRecord | None:
        """The session's state, None when there is none. Raises Erased, and StoreError when Redis is away and memory does not
        know it."""
        remembered = self._queue.remembered(session_id)
        if remembered is not None:
            return remembered
        with reaching():
            return await keys.load(self._reader, session_id)

    async def claim(self, session_id: str, begins: bool = True) -> SessionRecord | None:
        """Takes the session over to go on with it; the process that had it loses it. None when nothing of it is stored: then it
        begins, if `begins` allows that. Raises Erased.

        While Redis is away, the result is what this process remembers of the session. Where that is nothing, StoreError comes
        after 1 s; the session may start without its past all the same. When Redis returns, the session is taken over and its
        past put before what was said since.
        """
        try:
            async with asyncio.timeout(_CLAIM_S), self._writer.guard:
                epoch, record = await self._take(session_id, begins)
                self._queue.claimed(session_id, epoch, record)
                return record
        except UNREACHABLE as error:
            remembered = self._queue.remembered(session_id)
            self._queue.claimed(session_id, 0, None, None if remembered is None else ())
            if remembered is None:
                reason = str(error) or f"no answer within {_CLAIM_S:g} s"
                raise StoreError(f"the past of session {session_id} can not be had: {reason}") from error
        self._queue.save(remembered)
        return self._queue.remembered(session_id)

    def played(self, session_id: str, generation: int, played_ms: float) -> None:
        """Notes that a listener says that `played_ms` of this generation were played, for a session whose past could not be
        had; it is applied to that past later."""
        self._queue.played(session_id, generation, played_ms)

    async def _take(self, session_id: str, begins: bool) -> tuple[int, SessionRecord | None]:
        while True:
            try:
                await self._writer.flush()
                process, now = self._queue.process, self._clock.epoch_ms()
                return await keys.take(self._client, session_id, process, now, self._ttl_s, begins)
            except StoreError:
                raise
            except UNREACHABLE:
                if self._queue.remembered(session_id) is not None:
                    raise
                await asyncio.sleep(_AGAIN_S)

    async def meet(self, says: str) -> list[str]:
        """Tells the other processes on the same Redis what this one `says`, and returns what some of them say. Raises
        StoreError."""
        with reaching():
            return await keys.meet(self._reader, self._queue.process, says, _MET, _MET_S)

    async def erase(self, session_id: str) -> None:
        """Erases the session's state and log, for every process. Its conversation has to be ended here first. Raises StoreError
        when Redis is away."""
        async with self._writer.guard:
            self._queue.forget(session_id, "erased")
            with reaching():
                if await keys.exists(self._client, session_id) or self._unseen.take_if_left(self._clock.ms() / 1000, 1):
                    await keys.erase(self._client, session_id, max(self._ttl_s, _ERASED_S))
            self._writer.erased()
