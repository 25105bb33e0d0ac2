"""What outlives a process: session state, audit log and latency figures in Redis, or in an embedded server.

A conversation only ever hands over (`save`, `log`, `latency`); nothing here makes it wait or tells it what to do, but the
news that another process has taken the session. Keys: `session:{id}`, `logs:session:{id}`, `metrics:latency`.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self, cast

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.embedded import EmbeddedServer
from app.records import PendingReply, SessionRecord, StoreError, encode, withhold
from app.redisurl import TIMEOUT_S, connect
from app.settings import Settings
from app.writer import LATENCY_KEY, UNREACHABLE, Held, Status, Writer, log_key, session_key

__all__ = ["PendingReply", "SessionRecord", "Status", "Store", "StoreError"]

logger = logging.getLogger(__name__)

CAPACITY = 20_000  # log entries that wait for Redis: some 10 MB, over an hour of eight conversations
_CLOSE_S = 3.0  # how long the last writes may take
_PAGE = 500  # stream entries read at once
_CLAIMS = 5  # attempts when others claim the same session
_Page = list[tuple[bytes, dict[bytes, bytes]]]

# ARGV: the text that was read, the text to put in its place, seconds to live.
_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class Store:
    """One for each process. Raises ValueError for a Redis URL that can not be one; every other trouble shows in `status`."""

    def __init__(self, settings: Settings, capacity: int = CAPACITY) -> None:
        self._texts = settings.log_transcripts
        self._ttl_s = settings.session_ttl_s
        self._server: EmbeddedServer | None = None
        if settings.redis_url:
            self._client = connect(settings.redis_url)
        else:
            self._server = EmbeddedServer(settings.data_dir / "store")
            self._client = Redis(
                unix_socket_path=str(self._server.socket),
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
        self._writer = Writer(
            self._client,
            self._prepare,
            session_ttl_s=self._ttl_s,
            log_ttl_s=settings.log_ttl_s,
            capacity=capacity,
        )

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Start the embedded server if it is wanted, and the writer. Returns although Redis is away: see `status`."""
        await self._writer.start()

    async def close(self) -> None:
        """Write what waits (for at most 3 s), then disconnect and end the embedded server."""
        await self._writer.stop(_CLOSE_S)
        await self._client.aclose()
        if self._server is not None:
            await self._server.stop()

    @property
    def status(self) -> Status:
        return self._writer.status

    def on_taken_over(self, tell: Callable[[str], None]) -> None:
        """Call `tell(session_id)` when another process owns a session that this one wrote: its connection must end."""
        self._writer.on_taken_over = tell

    def save(self, record: SessionRecord) -> None:
        """Keep this as the session's state. Of several in a row the last one wins."""
        self._writer.save(record)

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Append to the session's log. `entry` has a "kind"; "at_ms" (ms since 1970, UTC) is added where it lacks."""
        stamped = {"at_ms": self._writer.clock.epoch_ms(), **entry}
        self._writer.log(session_id, stamped if self._texts else withhold(stamped))

    def latency(self, entry: Mapping[str, Any]) -> None:
        """Append a turn's figures, e.g. {"session": id, "turn": 3, "spans": {"stt_final": 210.5}}, spans in ms."""
        self._writer.latency({"at_ms": self._writer.clock.epoch_ms(), **entry})

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is written; False when that takes longer."""
        return await self._writer.drain(timeout_s)

    async def load(self, session_id: str) -> SessionRecord | None:
        """The session's state, None when there is none. Raises StoreError when Redis is away and memory does not know it."""
        remembered = self._remembered(session_id)
        if remembered is not None:
            return remembered
        try:
            raw = await self._client.get(session_key(session_id))
        except UNREACHABLE as error:
            raise StoreError(f"the store is away: {error}") from error
        return None if raw is None else _parse(session_id, raw)

    async def claim(self, session_id: str, owner: str) -> SessionRecord | None:
        """Take the session over to go on with it; whoever had it loses it. None when nothing of it is stored.

        `owner` names this process ([A-Za-z0-9_.:-]), the same in every claim. Without Redis, what this process remembers of the
        session is given; when that is nothing, StoreError: the session may start without its past all the same, and is taken
        over when Redis returns.
        """
        writer = self._writer
        async with writer.guard:
            try:
                await writer.flush()
                writer.held[session_id] = held = await self._take(session_id, owner)
                return held.record
            except UNREACHABLE as error:
                remembered = self._remembered(session_id)
                writer.held[session_id] = Held(owner)
                if remembered is None:
                    raise StoreError(f"the store is away: {error}") from error
        writer.save(remembered)
        return writer.held[session_id].record

    async def _take(self, session_id: str, owner: str) -> Held:
        key = session_key(session_id)
        for _ in range(_CLAIMS):
            raw = await self._client.get(key)
            epoch = await self._writer.highest_epoch(session_id) + 1
            if raw is None:
                return Held(owner, epoch)
            stamps = {"epoch": epoch, "owner": owner, "revision": 0, "updated_ms": self._writer.clock.epoch_ms()}
            claimed = SessionRecord.model_validate(_parse(session_id, raw).model_dump() | stamps)
            if await self._client.eval(_SWAP, 1, key, raw, encode(claimed.model_dump()), self._ttl_s):
                return Held(owner, epoch, claimed)
        raise StoreError(f"session {session_id} is claimed by too many at once")

    async def read_log(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        """The session's log in order: {"seq", "at_ms", "kind", ...}. Raises StoreError when Redis is away."""
        async for stream_id, entry in self._read(log_key(session_id), "-"):
            yield {"seq": int(stream_id.split("-")[0])} | entry

    async def read_latency(self, since_ms: float) -> AsyncIterator[dict[str, Any]]:
        """Latency entries from `since_ms` (ms since 1970, UTC) on, each once though it was written twice."""
        seen: set[tuple[Any, Any, Any]] = set()
        async for _, entry in self._read(LATENCY_KEY, str(int(since_ms))):
            key = entry.get("session"), entry.get("turn"), entry["at_ms"]
            if key not in seen:
                seen.add(key)
                yield entry

    async def erase(self, session_id: str) -> None:
        """Erase the session's state and log. End its conversation first. Raises StoreError when Redis is away."""
        async with self._writer.guard:
            self._writer.forget(session_id, "erased")
            try:
                await self._client.delete(session_key(session_id))
                await self._client.delete(log_key(session_id))
            except UNREACHABLE as error:
                raise StoreError(f"the store is away, nothing was erased: {error}") from error

    async def _read(self, key: str, start: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        while True:
            try:
                page = cast(_Page, await self._client.xrange(key, min=start, count=_PAGE))
            except UNREACHABLE as error:
                raise StoreError(f"the store is away: {error}") from error
            for stream_id, fields in page:
                yield stream_id.decode(), json.loads(fields[b"entry"])
            if len(page) < _PAGE:
                return
            start = f"({page[-1][0].decode()}"

    async def _prepare(self) -> None:
        if self._server is not None:
            await self._server.ensure()

    def _remembered(self, session_id: str) -> SessionRecord | None:
        held = self._writer.held.get(session_id)
        if held is None or held.lost or held.record is None:
            return None
        expired = held.record.updated_ms + self._ttl_s * 1000 < self._writer.clock.epoch_ms()
        return None if expired else held.record


def _parse(session_id: str, raw: bytes | str) -> SessionRecord:
    try:
        return SessionRecord.model_validate_json(raw)
    except ValidationError as error:
        raise StoreError(f"session {session_id} was written by another version and can not be read: {error}") from error
