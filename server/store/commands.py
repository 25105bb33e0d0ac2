"""What lies in Redis, and the only commands that touch it.

`session:{id}` is a session's record as JSON, `logs:session:{id}` its log as a stream whose ids are the sequence numbers, and
`metrics:latency` a capped stream. Two processes may hold the same session for a moment (the user came back on another one).
Scripts on the server (`scripts/`) fence them off: a key remembers the epoch and owner (a process) of its last writer, and whoever
has a lower epoch, or the same under another name, has lost the session. Whoever takes a session, by a claim or by its first write,
takes the epoch above all that is stored. The scripts also make a repeated write harmless: the log skips entry numbers that it
has, the session older revisions. Each script touches one key, as a cluster demands.

A session that was erased leaves a tombstone under both of its keys for a while: it belongs to nobody, so whoever still has the
session in memory can not write it back. A log is bounded: of a longer one the oldest entries are dropped, and the sequence
number of its first entry says how many those were.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from redis.asyncio import RedisCluster
from redis.exceptions import OutOfMemoryError, RedisClusterException, RedisError, ResponseError

from server.store.records import Erased, LogEntry, SessionRecord, StoreError, encode
from server.store.redis_client import Client

LATENCY_KEY = "metrics:latency"
NODES_KEY = "parley:nodes"
UNREACHABLE = (RedisError, RedisClusterException, OSError, StoreError)
_PAGE = 200  # stream entries read at once
_CLAIMS = 5  # attempts when others claim the same session
_HEAD = re.compile(rb'{"version":\d+,"epoch":(\d+),"owner":"([^"]*)"')
_HEAD_BYTES = 255
LOG_BYTES = 2_000_000  # of one session's log: an hour and a half of talk takes so much
LOG_ENTRIES = 10_000  # the same in entries; a turn has some twenty
TAKEN, GONE = -1, -2  # answers of the scripts: the session belongs to somebody else, or to nobody any more
NOBODY = "erased"  # the owner of a tombstone; processes have names of 32 letters
_LAST_EPOCH = 10**15  # a tombstone's: above all others, and exact as a number of Lua

# Answers that repeating can not change: somebody else uses the key for something of their own.
_HOPELESS = ("WRONGTYPE", "The ID specified in XADD")


class ServerMemory(NamedTuple):
    """The memory of the server: the share (0..1) that is taken, 0 where it has no limit; how many keys it has evicted since it
    started; and its policy when it is full."""

    full: float
    evicted: int
    policy: str

    @property
    def evicts(self) -> bool:
        """Whether the server throws keys away when it is full."""
        return self.policy not in ("", "noeviction")


@cache
def script(name: str) -> str:
    """The source of a script in the folder `scripts`; its arguments and answers are described at its head."""
    return (files(__package__) / "scripts" / f"{name}.lua").read_text("utf-8").partition("\n\n")[2]


def session_key(session_id: str) -> str:
    """The key of a session's record."""
    return f"session:{session_id}"


def log_key(session_id: str) -> str:
    """The key of a session's log."""
    return f"logs:session:{session_id}"


@contextlib.contextmanager
def reaching() -> Iterator[None]:
    """Turns every error of reaching the server into a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except UNREACHABLE as error:
        raise StoreError(f"the store is away: {error}") from error


def is_hopeless(answer: Exception) -> bool:
    """Whether the same command would get this answer again."""
    return isinstance(answer, ResponseError) and str(answer).startswith(_HOPELESS)


def append(pipe: Any, session_id: str, owner: str, epoch: int, entries: Iterable[LogEntry], ttl_s: int) -> None:
    """Queues log entries on `pipe`. The answer is how many older entries were dropped for them, or TAKEN or GONE."""
    words = chain.from_iterable((entry.number, entry.text()) for entry in entries)
    pipe.eval(script("append"), 1, log_key(session_id), epoch, owner, ttl_s, LOG_ENTRIES, LOG_BYTES, *words)


def put(pipe: Any, record: SessionRecord, owner: str, epoch: int, ttl_s: int) -> None:
    """Queues a record on `pipe`. The answer is 1, or TAKEN or GONE."""
    text = encode(record.model_dump() | {"epoch": epoch, "owner": owner})
    pipe.eval(script("save"), 1, session_key(record.session_id), text, epoch, owner, record.revision, ttl_s)


def look(pipe: Any, session_id: str) -> None:
    """Queues a look at who has a session on `pipe`; `has` reads the answer."""
    pipe.getrange(session_key(session_id), 0, _HEAD_BYTES)


def has(head: bytes, owner: str, epoch: int) -> int:
    """The meaning of the answer to `look` for `owner`: 1 (the session is theirs, or nothing is stored), TAKEN or GONE."""
    found = _HEAD.match(head)
    if found is None:
        return 1
    if found[2].decode() == NOBODY:
        return GONE
    stored = int(found[1])
    return TAKEN if stored > epoch or (stored == epoch and found[2].decode() != owner) else 1


async def highest_epoch(client: Client, session_id: str) -> int:
    """The highest epoch of all that is stored of this session; 0 when nothing is, or when the keys hold something else. Raises
    Erased."""
    try:
        head = _HEAD.match(cast(bytes, await client.getrange(session_key(session_id), 0, _HEAD_BYTES)))
        last = cast(list[tuple[bytes, dict[bytes, bytes]]], await client.xrevrange(log_key(session_id), count=1))
    except ResponseError as error:
        if is_hopeless(error):
            return 0
        raise
    highest = max(int(head[1]) if head else 0, int(last[0][1].get(b"epoch", 0)) if last else 0)
    if highest >= _LAST_EPOCH:
        raise Erased(session_id)
    return highest


async def take(
    client: Client, session_id: str, owner: str, now: float, ttl_s: int, begins: bool
) -> tuple[int, SessionRecord | None]:
    """Makes `owner` the one who writes this session: returns the epoch from which on this holds, and the session's record, if
    there is one. Where there is none and the session `begins`, an empty record is put down, so that when two begin at once the
    second finds the first. `now`: ms since 1970 (UTC). Raises Erased."""
    key = session_key(session_id)
    for _ in range(_CLAIMS):
        raw = await client.get(key)
        epoch = await highest_epoch(client, session_id) + 1
        if raw is None and not begins:
            return epoch, None
        stamps = {"epoch": epoch, "owner": owner, "revision": 0, "updated_ms": now}
        found = SessionRecord(session_id=session_id) if raw is None else _parse(session_id, raw)
        claimed = SessionRecord.model_validate(found.model_dump() | stamps)
        try:
            swapped = await client.eval(script("swap"), 1, key, raw or "", encode(claimed.model_dump()), ttl_s)
        except OutOfMemoryError:  # the past can be read all the same, and the first write that finds room takes the session
            swapped = True
        if swapped:
            return epoch, None if raw is None else claimed
    raise StoreError(f"session {session_id} is claimed by too many at once")


async def load(client: Client, session_id: str) -> SessionRecord | None:
    """The record of a session, or None. Raises Erased."""
    raw = await client.get(session_key(session_id))
    record = None if raw is None else _parse(session_id, raw)
    if record is not None and record.owner == NOBODY:
        raise Erased(session_id)
    return record


async def read(client: Client, key: str, start: str) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Yields the entries of a stream from the id `start` on, each with the first part of its id."""
    while True:
        with reaching():
            page = cast(list[tuple[bytes, dict[bytes, bytes]]], await client.xrange(key, min=start, count=_PAGE))
        for stream_id, fields in page:
            if b"entry" in fields:  # a tombstone has none
                yield int(stream_id.split(b"-")[0]), json.loads(fields[b"entry"])
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0].decode()}"
        await asyncio.sleep(0)  # whoever waits for the connection gets it first


async def meet(client: Client, name: str, says: str, most: int, ttl_s: int) -> list[str]:
    """Tells the other processes what this one `says`, and returns what up to `most` of them, chosen by chance, have said in the
    last `ttl_s`; so the cost does not grow with their number."""
    answer = await client.eval(script("meet"), 1, NODES_KEY, name, says, most, ttl_s)
    return [line.decode() for line in cast(list[bytes], answer)]


async def exists(client: Client, session_id: str) -> bool:
    """Whether anything of the session is stored."""
    return bool(await client.exists(session_key(session_id))) or bool(await client.exists(log_key(session_id)))


async def erase(client: Client, session_id: str, ttl_s: int) -> None:
    """Puts tombstones in the place of all that is stored, for `ttl_s`. The record comes last: while it is there, an erasure
    that failed half-way can be repeated."""
    stone = SessionRecord(session_id=session_id, epoch=_LAST_EPOCH, owner=NOBODY)
    await client.eval(script("bury_log"), 1, log_key(session_id), _LAST_EPOCH, NOBODY, ttl_s)
    await client.eval(script("bury_record"), 1, session_key(session_id), encode(stone.model_dump()), ttl_s)


async def server_memory(client: Client) -> ServerMemory:
    """How full the server is; of a cluster, its fullest node. An empty answer where INFO is not allowed."""
    try:
        nodes = await _info(client)
    except ResponseError:
        return ServerMemory(0.0, 0, "")
    counted = [node["used_memory"] - node.get("mem_not_counted_for_evict", 0) for node in nodes]
    limits = [node.get("maxmemory", 0) for node in nodes]
    full = max(used / limit if limit else 0.0 for used, limit in zip(counted, limits, strict=True))
    policy = next((node.get("maxmemory_policy", "") for node in nodes if node.get("maxmemory", 0)), "")
    return ServerMemory(full, sum(node.get("evicted_keys", 0) for node in nodes), policy)


async def _info(client: Client) -> list[dict[str, Any]]:
    """The INFO of the server, or of each primary of a cluster that answers. Raises what `info` raises; of a cluster, when no
    primary answers."""
    if not isinstance(client, RedisCluster):
        return [await client.info()]
    await client.initialize()
    told = await asyncio.gather(*(client.info(target_nodes=node) for node in client.get_primaries()), return_exceptions=True)
    nodes = [node for node in told if isinstance(node, dict)]
    if not nodes:
        raise next((error for error in told if isinstance(error, Exception)), ConnectionError("the cluster has no primary"))
    return nodes


def _parse(session_id: str, raw: bytes | str) -> SessionRecord:
    try:
        return SessionRecord.model_validate_json(raw)
    except ValidationError as error:
        raise StoreError(f"session {session_id} was written by another version and can not be read: {error}") from error
