"""Writes conversations into the store, and makes their memory again from what was written."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.conversation.context import ConversationContext
from app.core.latency import Spans
from app.core.session_settings import SessionSettings
from app.core.telemetry import Traces, observe
from app.dialogue.memory import Memory, Timer
from server.store.records import PendingReply, SessionRecord
from server.store.store import Store
from services.base import Exchange

log = logging.getLogger(__name__)

PROFILE: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(float) for name in ("speed", "gain")
}  # of a record, beside its timers
TIMER = TypeAdapter(Timer)
UNDER_WAY = ("THINKING", "SPEAKING", "INTERRUPTED")  # states with a reply that is not in the history yet


class StoreRecorder:
    """A `Recorder` (app/conversation/context.py) that writes to the store, and to metrics and traces."""

    def __init__(self, store: Store, traces: Traces | None = None) -> None:
        self._store = store
        self._traces = traces

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Appends `entry` to the session's log; an entry with latencies goes to the latency stream as well."""
        self._store.log(session_id, entry)
        if entry["kind"] == "latency":
            self._store.latency({"session": session_id, "turn": entry["turn"], "spans": entry["spans"]})

    def changed(self, context: ConversationContext) -> None:
        """Renews the record of the conversation."""
        self._store.save(record_of(context))

    def measured(self, context: ConversationContext, turn: int, reply: Spans | None, stop: Spans | None) -> None:
        """Adds the times to the metrics and the traces."""
        to_epoch = context.clock.epoch_ms() - context.clock.ms()
        for name, spans in (("turn", reply), ("interruption", stop)):
            if spans is not None:
                observe(spans)
                if self._traces is not None:
                    self._traces.export(name, spans, to_epoch, {"session.id": context.id, "turn": turn})


def record_of(context: ConversationContext) -> SessionRecord:
    """The session's record, as it would be if the connection ended now; without the texts that are not to be kept."""
    memory, reply, ledger = context.memory, context.player.reply, context.player.ledger
    profile = {
        "speed": memory.speed,
        "gain": memory.gain,
        "timers": [asdict(timer) for timer in memory.timers],
    }
    base = SessionRecord(
        session_id=context.id,
        state=context.state,
        turn=memory.turn,
        generation=memory.generation,
        history=() if memory.settings.recording is False else tuple(found for found in memory.history if not found.private),
        profile=profile,
        settings=memory.settings.as_kept(),
    )
    if reply is None or ledger is None or context.state not in UNDER_WAY:
        return base.model_copy(update={"pending": _last(memory)})
    turn, heard, said = reply.request.turn, ledger.heard_text(), ledger.heard_clauses()
    if memory.is_private:
        pending = PendingReply(turn=turn, generation=reply.generation, clauses=tuple(reply.clauses[said:]))
        return base.model_copy(update={"pending": pending, "acked_ms": ledger.heard_ms})
    under_way = (Exchange(reply.request.text, heard, tuple(memory.done)),) if heard or reply.request.text else ()
    pending = PendingReply(
        turn=turn,
        generation=reply.generation,
        clauses=tuple(reply.clauses),
        first_unheard=said,
        word_ms=ledger.word_ms(),
        remembered=bool(under_way),
    )
    update = {"history": base.history + under_way, "pending": pending, "acked_ms": ledger.heard_ms}
    return base.model_copy(update=update)


def _last(memory: Memory) -> PendingReply | None:
    """The last reply of a conversation in which nothing is being said. Where its words are not to be kept, or a prompt came
    after the reply that was cut off, only what was not heard."""
    last, unheard = memory.last, tuple(memory.unheard)
    private = memory.settings.recording is False or bool(memory.history and memory.history[-1].private)
    if last is None or private or unheard != last.clauses[len(last.clauses) - len(unheard) :]:
        return PendingReply(turn=0, generation=0, clauses=unheard) if unheard else None
    return PendingReply(
        turn=0,
        generation=last.generation,
        clauses=last.clauses,
        first_unheard=len(last.clauses) - len(unheard),
        word_ms=last.word_ms,
        remembered=last.remembered,
    )


def memory_of(record: SessionRecord) -> Memory:
    """The memory of a conversation that is resumed. "Where was I?" goes on from the first clause that was not heard."""
    unheard = record.pending.clauses[record.pending.first_unheard :] if record.pending else ()
    return Memory(
        history=list(record.history),
        unheard=list(unheard),
        last=record.pending.as_last() if record.pending else None,
        turn=record.turn,
        generation=record.generation,
        settings=SessionSettings.kept(record.settings or {}),
        **_understood(record.profile),
    )


def _understood(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a profile that this program knows: in a rolling update another version may have written it, and the
    conversation goes on without the rest."""
    known = {name: value for name, kind in PROFILE.items() if name in profile for value in _valid(kind, profile[name], name)}
    written = profile.get("timers")
    timers = [_valid(TIMER, timer, "timer") for timer in written] if isinstance(written, list | tuple) else []
    return {**known, "timers": list(chain.from_iterable(timers))}


def _valid(kind: TypeAdapter[Any], value: Any, name: str) -> list[Any]:
    """`value` in a list, which is empty where it is not of this kind."""
    try:
        return [kind.validate_python(value)]
    except ValidationError:
        log.warning("a conversation goes on without its %s, which another version has written", name)
        return []
