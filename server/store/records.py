"""What is kept of a conversation: the session's state, and the entries of its log. Nothing here touches Redis."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.dialogue.last_reply import LastReply
from app.protocol.messages import State
from services.base import Exchange

RECORD_BYTES = 256_000  # of one session's record
TURNS = 50  # exchanges in it


class StoreError(Exception):
    """The store cannot do this now; the message says why in words fit for a person."""


class Erased(Exception):
    """The session was erased, and nobody may go on with it. The argument is the session's id."""


class Busy(StoreError):
    """Too many clients read at once: this one has to come again."""


class PendingReply(BaseModel):
    """A reply that was cut off: its clauses in order; those before `first_unheard` were heard whole. `word_ms` and `remembered`
    are those of `LastReply`; without times nobody can tell later how much of it was heard."""

    model_config = ConfigDict(frozen=True)

    turn: int
    generation: int
    clauses: tuple[str, ...]
    first_unheard: int = Field(default=0, ge=0)
    word_ms: tuple[tuple[int, ...], ...] = ()
    remembered: bool = False

    def as_last(self) -> LastReply | None:
        """The reply as a conversation remembers it."""
        return LastReply(self.generation, self.clauses, self.word_ms, self.remembered) if self.word_ms else None


class SessionRecord(BaseModel):
    """Everything that a resumed conversation needs.

    `epoch`, `owner` and `revision` fence writers off from each other and are set by the store alone: a claim raises the
    epoch, a save the revision. They come first because the store's script reads them from the head of the JSON text.
    The rest is as it would be if the connection ended now: `history` and `pending` count a reply under way by what of it was
    heard. `turn` and `generation` are the last numbers given; `acked_ms` of that generation were acknowledged by the listener;
    `updated_ms` is in ms since 1970 (UTC).
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    epoch: int = 0
    owner: str = Field(default="", pattern=r"^[\w.:-]*$")
    revision: int = 0
    session_id: str
    state: State = "IDLE"
    turn: int = 0
    generation: int = 0
    history: tuple[Exchange, ...] = ()
    profile: dict[str, Any] = Field(default_factory=dict)
    acked_ms: float = 0.0
    pending: PendingReply | None = None
    updated_ms: float = 0.0
    settings: dict[str, Any] | None = None  # `SessionSettings.as_kept`; None before the first save


def bounded(record: SessionRecord) -> SessionRecord:
    """A copy with the last TURNS exchanges, or as many of them as fit into RECORD_BYTES. Where the other parts alone are too
    large, only the numbers are left."""
    kept, room = 0, RECORD_BYTES - len(encode(record.model_copy(update={"history": ()}).model_dump()))
    if room < 0:
        return record.model_copy(update={"history": (), "profile": {}, "pending": None})
    for exchange in reversed(record.history[-TURNS:]):
        room -= len(encode(asdict(exchange))) + 1
        if room < 0:
            break
        kept += 1
    return record.model_copy(update={"history": record.history[len(record.history) - kept :]})


def encode(value: Mapping[str, Any]) -> bytes:
    """Compact JSON. Never fails: a value that is no JSON becomes its text, and half a surrogate pair becomes "?"."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


@dataclass(slots=True)
class LogEntry:
    """An entry of the log. `number` grows over the whole process, so it orders the entries of every session. `dropped` is 0, or
    this entry stands where that many entries of its session had to go."""

    number: int
    at_ms: float
    payload: bytes
    dropped: int = 0

    def text(self) -> bytes:
        """The entry as it is written."""
        if self.dropped:
            return encode({"at_ms": self.at_ms, "kind": "dropped", "count": self.dropped})
        return self.payload
