"""What the session does for each effect of `machine`. Each takes the session and the event that caused it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.conversation.idle import GOODBYE
from app.conversation.state_machine import Effect
from app.core.latency import Spans
from app.protocol.messages import (
    MAX_TEXT,
    AgentHeard,
    Error,
    Faulted,
    Happening,
    Latency,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStopped,
    Prompted,
    SessionStarted,
    SpeechOnset,
    Stop,
    Text,
    TranscriptUpdate,
    TurnEnded,
    TurnUnrecognised,
)
from app.reply.answer import Request
from services.base import Exchange

if TYPE_CHECKING:
    from app.conversation.session import Session

log = logging.getLogger(__name__)

HISTORY = 50  # exchanges remembered
WAITING = 8  # typed turns that wait for silence at once
# What goes wrong in one of these costs nothing but the effect itself.
MINOR = frozenset({Effect.DUCK, Effect.HOLD, Effect.UNDUCK, Effect.NOTE_PROGRESS})


def greet(session: "Session", event: Happening) -> None:
    if isinstance(event, SessionStarted) and event.greeting:
        _prompt(session, "welcome_back" if event.resumed else "greeting")


def prompt(session: "Session", event: Happening) -> None:
    if isinstance(event, Prompted):
        _prompt(session, event.line, event.values)


def apologise(session: "Session", event: Happening) -> None:
    """A turn was lost: the user is told, and may say it again."""
    if isinstance(event, Faulted):
        session.tell(Error(code="internal", message="An unexpected error: this turn was lost."))
        _prompt(session, "apology_fault")
    elif isinstance(event, TurnUnrecognised):
        if event.unclear:
            session.tell(TranscriptUpdate(text="", final=True, turn=event.turn, revision=0, understood=False))
        else:
            session.tell(Error(code="stt_failed", message="What you said could not be recognised: this turn was lost."))
        if event.line:
            _prompt(session, event.line)


def _prompt(session: "Session", line: str, values: Mapping[str, str] = MappingProxyType({})) -> None:
    session.speaking.commit(Request(turn=0, line=line, values=values), Spans(zero=session.clock.ms()))


def start_reply(session: "Session", event: Happening) -> None:
    if isinstance(event, TurnEnded):
        text, turn, revision = session.joined(event.text), event.turn, event.revision
        spans = session.spans.get((turn, revision)) or Spans(zero=session.clock.ms())
    elif isinstance(event, Text):
        text, turn, revision = session.joined(event.text), session.hearing.typed_turn(), 0
        spans = Spans(zero=session.clock.ms())
    else:
        raise TypeError(f"{event.type} starts no reply")
    _answer(session, Request(turn, revision, text, typed=isinstance(event, Text)), spans)


def _answer(session: "Session", request: Request, spans: Spans) -> None:
    session.prefix = ""
    session.memory.turn = request.turn
    session.tell(TranscriptUpdate(text=request.text, final=True, turn=request.turn, revision=request.revision))
    session.speaking.commit(request, spans)


def duck(session: "Session", event: Happening) -> None:
    ago = session.hearing.ago(event.at_ms) if isinstance(event, SpeechOnset) else 0.0
    session.onset = Spans(zero=session.clock.ms() - ago)
    session.speaking.duck()
    session.onset.mark("duck", session.clock.ms())


def hold(session: "Session", event: Happening) -> None:
    session.speaking.hold()


def unduck(session: "Session", event: Happening) -> None:
    session.onset = None
    session.speaking.unduck()


def stop_playback(session: "Session", event: Happening) -> None:
    now = session.clock.ms()
    session.onset = session.onset or Spans(zero=now)
    session.onset.mark("confirmed", now)
    session.speaking.stop()
    session.onset.mark("flushed", session.clock.ms())


def reopen(session: "Session", event: Happening) -> None:
    """The audio of a spoken turn is still on the tape and is transcribed again; a typed turn's text is kept here."""
    reply = session.speaking.reply
    if reply is None:
        return
    reply.withdrawn = True
    if reply.request.typed:
        session.prefix = reply.request.text


def keep_text(session: "Session", event: Happening) -> None:
    if not isinstance(event, Text):
        return
    if len(session.pending) == WAITING:
        session.tell(Error(code="busy", message=f"{WAITING} texts wait for an answer: this one is dropped.", field="text"))
        return
    session.pending.append(event)


def join_text(session: "Session", event: Happening) -> None:
    """What is typed before the answer begins goes on with the turn that waits for it: both are answered together. Where that makes
    a turn too long, the earlier one is written down without an answer."""
    reply = session.speaking.reply
    if reply is None or not isinstance(event, Text):
        return start_reply(session, event)
    asked = reply.request
    session.speaking.withdraw()
    if len(asked.text) + len(event.text) >= MAX_TEXT:
        record(session, event)
        return start_reply(session, event)
    text, turn = f"{asked.text} {event.text}".strip(), session.hearing.typed_turn(continues=bool(asked.turn))
    return _answer(session, Request(turn, asked.revision + 1, text, typed=True), Spans(zero=session.clock.ms()))


def note_progress(session: "Session", event: Happening) -> None:
    if isinstance(event, PlaybackProgress | PlaybackDone | PlaybackStopped):
        session.speaking.note(event)
        if isinstance(event, PlaybackStopped) and session.onset is not None:
            session.onset.mark("silent", session.clock.ms())


def record(session: "Session", event: Happening) -> None:
    """The turn is over: the history gets what was heard of it."""
    reply, ledger = session.speaking.reply, session.speaking.ledger
    if reply is None or ledger is None:
        return
    acknowledged = isinstance(event, PlaybackDone | PlaybackStopped)
    if ledger.sent_ms and not acknowledged:
        ledger.estimate(session.clock.ms(), 0.0)
    heard, turn = ledger.heard_text(), reply.request.turn
    unheard = reply.clauses[ledger.heard_clauses() :]
    if unheard or not reply.request.line:  # a prompt that was heard takes nothing away from the reply before it
        session.memory.unheard = unheard
    if not reply.withdrawn and (heard or reply.request.text):
        done, session.memory.done = tuple(session.memory.done), []
        session.memory.history = [*session.memory.history[-HISTORY + 1 :], Exchange(reply.request.text, heard, done)]
    if ledger.sent_ms:
        session.tell(AgentHeard(text=heard, turn=turn, estimated=ledger.estimated))
    spans = reply.spans.marks | (session.onset.marks if session.onset is not None else {})
    session.tell(Latency(turn=turn, spans=spans))
    stop = session.onset if session.onset is not None and "confirmed" in session.onset.marks else None
    session.measured(turn, reply.spans if reply.request.text else None, stop)
    session.onset = None
    session.speaking.forget()
    farewell = reply.answer.intent == "goodbye" or reply.request.line == GOODBYE
    if farewell and isinstance(event, PlaybackDone):
        asyncio.get_running_loop().call_soon(session.receive, Stop())


def end(session: "Session", event: Happening) -> None:
    """Stopped on purpose there is nothing to resume; a lost listener may come back."""
    if isinstance(event, Stop):
        session.ended.set()


def withdraw(session: "Session", event: Happening) -> None:
    session.speaking.withdraw()


def release(session: "Session", event: Happening) -> None:
    session.speaking.release()


EFFECTS: dict[Effect, Callable[["Session", Happening], None]] = {
    Effect.GREET: greet,
    Effect.MARK_TURN: withdraw,
    Effect.START_REPLY: start_reply,
    Effect.PROMPT: prompt,
    Effect.APOLOGISE: apologise,
    Effect.RELEASE: release,
    Effect.DUCK: duck,
    Effect.HOLD: hold,
    Effect.UNDUCK: unduck,
    Effect.STOP_PLAYBACK: stop_playback,
    Effect.WITHDRAW: withdraw,
    Effect.REOPEN: reopen,
    Effect.KEEP_TEXT: keep_text,
    Effect.JOIN_TEXT: join_text,
    Effect.NOTE_PROGRESS: note_progress,
    Effect.RECORD: record,
    Effect.END: end,
}
