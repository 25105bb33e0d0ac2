"""What is kept of a conversation: the session's state, and the envelope of its log. Knows no Redis."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.events import State


class StoreError(Exception):
    """The store can not do this now; the message says why in words fit for a person."""


class Exchange(BaseModel):
    """One turn of each side: what the user said, and what of the answer was heard. `at_ms`: ms since 1970 (UTC)."""

    model_config = ConfigDict(frozen=True)

    user: str
    heard: str
    at_ms: float


class PendingReply(BaseModel):
    """A reply that was cut off: its clauses in order; those before `first_unheard` were heard whole."""

    model_config = ConfigDict(frozen=True)

    turn: int
    generation: int
    clauses: tuple[str, ...]
    first_unheard: int = Field(default=0, ge=0)


class SessionRecord(BaseModel):
    """Everything that a resumed conversation needs.

    `epoch`, `owner` and `revision` fence writers off from each other and are set by the store alone: a claim raises the
    epoch, a save the revision. They come first because the store's script reads them from the head of the JSON text.
    `acked_ms` is how much of `generation` the listener acknowledged; `*_ms` dates are ms since 1970 (UTC).
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
    created_ms: float = 0.0
    updated_ms: float = 0.0


def encode(value: Mapping[str, Any]) -> bytes:
    """Compact JSON. Never fails: what is no JSON becomes its text, and half a surrogate pair becomes "?"."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


# Names and states, never words of a person or of an answer.
_PLAIN = frozenset({"kind", "type", "state", "next", "previous", "reason", "code", "name", "line"})


def withhold(entry: Any, key: str = "kind") -> Any:
    """A log entry without texts: numbers, times, states and names stay, every other string becomes "withheld"."""
    if isinstance(entry, Mapping):
        return {name: withhold(value, name) for name, value in entry.items()}
    if isinstance(entry, list | tuple):
        return [withhold(value, key) for value in entry]
    return "withheld" if isinstance(entry, str) and key not in _PLAIN else entry
