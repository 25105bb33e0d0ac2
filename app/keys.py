"""What lies in Redis, and the only commands that touch it.

`session:{id}` is a session's record as JSON, `logs:session:{id}` its log as a stream whose ids are the sequence numbers, and
`metrics:latency` a capped stream. Two processes may hold the same session for a moment (the user came back on another one).
Scripts on the server fence them off: a key remembers the epoch and owner (a process) of its last writer, and whoever has a
lower epoch, or the same under another name, has lost the session. Whoever takes a session, by a claim or by its first write,
takes the epoch above all that is stored. The scripts also make a repeated write harmless: the log skips entry numbers that it
has, the session older revisions. Each script touches one key, as a cluster demands.
"""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from pydantic import ValidationError
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from app.buffer import Entry
from app.records import SessionRecord, StoreError, encode
from app.redisurl import Client
from services.base import Exchange

LATENCY_KEY = "metrics:latency"
UNREACHABLE = (RedisError, RedisClusterException, OSError, StoreError)
_PAGE = 500  # stream entries read at once
_CLAIMS = 5  # attempts when others claim the same session
_HEAD = re.compile(rb'{"version":\d+,"epoch":(\d+),')

# Answers that repeating can not change: somebody else uses the key for something of their own.
_HOPELESS = ("WRONGTYPE", "The ID specified in XADD")

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

# ARGV: the text that was read, the text to put in its place, seconds to live.
_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


@dataclass(slots=True)
class Held:
    """What this process knows of a session that it writes. Epoch 0: to be found out when the server is reached. `lost`:
    somebody else owns the session now, or it is erased. `past`: what was said before, where the conversation began without
    knowing it; None: to be found out."""

    epoch: int = 0
    record: SessionRecord | None = None
    lost: bool = False
    past: tuple[Exchange, ...] | None = ()


def session_key(session_id: str) -> str:
    return f"session:{session_id}"


def log_key(session_id: str) -> str:
    return f"logs:session:{session_id}"


@contextlib.contextmanager
def reaching() -> Iterator[None]:
    """Whatever keeps the server away becomes a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except UNREACHABLE as error:
        raise StoreError(f"the store is away: {error}") from error


def is_hopeless(answer: Exception) -> bool:
    return isinstance(answer, ResponseError) and str(answer).startswith(_HOPELESS)


def append(pipe: Any, session_id: str, owner: str, epoch: int, entries: Iterable[Entry], ttl_s: int) -> None:
    """Queue log entries. The answer is negative when the session belongs to somebody else."""
    words = chain.from_iterable((entry.number, entry.text()) for entry in entries)
    pipe.eval(_APPEND, 1, log_key(session_id), epoch, owner, ttl_s, *words)


def put(pipe: Any, record: SessionRecord, owner: str, epoch: int, ttl_s: int) -> None:
    """Queue a record. The answer is negative when the session belongs to somebody else."""
    text = encode(record.model_dump() | {"epoch": epoch, "owner": owner})
    pipe.eval(_SAVE, 1, session_key(record.session_id), text, epoch, owner, record.revision, ttl_s)


async def highest_epoch(client: Client, session_id: str) -> int:
    """Of all that is stored of this session; 0 when nothing is, or when the keys hold something else."""
    try:
        head = _HEAD.match(cast(bytes, await client.getrange(session_key(session_id), 0, 255)))
        last = cast(list[tuple[bytes, dict[bytes, bytes]]], await client.xrevrange(log_key(session_id), count=1))
    except ResponseError as error:
        if is_hopeless(error):
            return 0
        raise
    return max(int(head[1]) if head else 0, int(last[0][1].get(b"epoch", 0)) if last else 0)


async def take(client: Client, session_id: str, owner: str, now: float, ttl_s: int) -> Held:
    """Make `owner` the one who writes this session; its record, if there is one, comes with it. `now`: ms since 1970 (UTC)."""
    key = session_key(session_id)
    for _ in range(_CLAIMS):
        raw = await client.get(key)
        epoch = await highest_epoch(client, session_id) + 1
        if raw is None:
            return Held(epoch)
        stamps = {"epoch": epoch, "owner": owner, "revision": 0, "updated_ms": now}
        claimed = SessionRecord.model_validate(_parse(session_id, raw).model_dump() | stamps)
        if await client.eval(_SWAP, 1, key, raw, encode(claimed.model_dump()), ttl_s):
            return Held(epoch, claimed)
    raise StoreError(f"session {session_id} is claimed by too many at once")


async def load(client: Client, session_id: str) -> SessionRecord | None:
    raw = await client.get(session_key(session_id))
    return None if raw is None else _parse(session_id, raw)


async def read(client: Client, key: str, start: str) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """The entries of a stream from the id `start` on, each with the first part of its id."""
    while True:
        with reaching():
            page = cast(list[tuple[bytes, dict[bytes, bytes]]], await client.xrange(key, min=start, count=_PAGE))
        for stream_id, fields in page:
            yield int(stream_id.split(b"-")[0]), json.loads(fields[b"entry"])
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0].decode()}"


async def erase(client: Client, session_id: str) -> None:
    await client.delete(session_key(session_id))
    await client.delete(log_key(session_id))


def _parse(session_id: str, raw: bytes | str) -> SessionRecord:
    try:
        return SessionRecord.model_validate_json(raw)
    except ValidationError as error:
        raise StoreError(f"session {session_id} was written by another version and can not be read: {error}") from error
