"""The functions that carry out the effects of the state machine. Each takes the conversation and the event that caused the
effect."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.conversation.context import ConversationContext, waiting_texts
from app.conversation.idle import GOODBYE
from app.conversation.state_machine import Effect
from app.core.latency import Spans
from app.dialogue.last_reply import LastReply
from app.protocol.events import (
    Faulted,
    FirstAudioReady,
    Happening,
    Prompted,
    SessionStarted,
    SpeechOnset,
    TextDue,
    TurnEnded,
    TurnReopened,
    TurnUnrecognised,
)
from app.protocol.messages import (
    MAX_TEXT,
    Acknowledgement,
    AgentHeard,
    Error,
    Latency,
    PlaybackDone,
    PlaybackStopped,
    Stop,
    Text,
    TranscriptUpdate,
)
from app.reply.answer import Request
from services.base import Exchange

log = logging.getLogger(__name__)

WAITING = 8  # turns that wait for silence at once
# What goes wrong in one of these costs nothing but the effect itself.
MINOR = frozenset({Effect.DUCK, Effect.HOLD, Effect.UNDUCK, Effect.NOTE_PROGRESS})


def greet(context: ConversationContext, event: Happening) -> None:
    """Prepares the greeting, or a welcome where the conversation is resumed."""
    if isinstance(event, SessionStarted) and event.greeting:
        _prompt(context, "welcome_back" if event.resumed else "greeting")


def prompt(context: ConversationContext, event: Happening) -> None:
    """Prepares a line of the agent's own."""
    if isinstance(event, Prompted):
        _prompt(context, event.line, event.values)


def apologise(context: ConversationContext, event: Happening) -> None:
    """Tells the user that a turn was lost, so that they can say it again."""
    if isinstance(event, Faulted):
        context.send(Error(code="internal", message="An unexpected error: this turn was lost."))
        _prompt(context, "apology_fault")
    elif isinstance(event, TurnUnrecognised):
        if event.unclear:
            context.send(TranscriptUpdate(text="", final=True, turn=event.turn, revision=0, understood=False))
        else:
            context.send(Error(code="stt_failed", message="What you said could not be recognised: this turn was lost."))
        if event.line:
            _prompt(context, event.line)


def _prompt(context: ConversationContext, line: str, values: Mapping[str, str] = MappingProxyType({})) -> None:
    context.speaker.commit(Request(turn=0, line=line, values=values), Spans(zero=context.clock.ms()))


def start_reply(context: ConversationContext, event: Happening) -> None:
    """Commits the reply that was prepared for this turn, or starts one."""
    if isinstance(event, TurnEnded):
        text, turn, revision = context.joined(event.text), event.turn, event.revision
        spans = context.spans.get((turn, revision)) or Spans(zero=context.clock.ms())
        beside = "" if context.hearing.taking_turn else waiting_texts(context.pending, len(text))
        if beside:  # the words are kept as those of a typed turn are, and not read again where the user speaks on
            text, turn = f"{text} {beside}", context.hearing.typed_turn(continues=True)
    elif isinstance(event, Text | TextDue):
        beside = event.text if isinstance(event, Text) else waiting_texts(context.pending)
        said = f"{context.hearing.said_so_far} {beside}".strip()  # a spoken turn that the typed one takes the place of
        text, turn, revision = context.joined(said), context.hearing.typed_turn(), 0
        spans = Spans(zero=context.clock.ms())
    else:
        raise TypeError(f"{event.type} starts no reply")
    _answer(context, Request(turn, revision, text, typed=bool(beside)), spans)


def _answer(context: ConversationContext, request: Request, spans: Spans) -> None:
    context.prefix = ""
    context.memory.turn = request.turn
    context.send(TranscriptUpdate(text=request.text, final=True, turn=request.turn, revision=request.revision))
    context.speaker.commit(request, spans)


def duck(context: ConversationContext, event: Happening) -> None:
    """Turns the agent down while somebody makes a sound over it."""
    ago = context.hearing.ago(event.at_ms) if isinstance(event, SpeechOnset) else 0.0
    context.onset = Spans(zero=context.clock.ms() - ago)
    context.player.duck()
    context.onset.mark("duck", context.clock.ms())


def hold(context: ConversationContext, event: Happening) -> None:
    """Pauses the agent for a moment, as the sound over it goes on."""
    context.player.hold()


def unduck(context: ConversationContext, event: Happening) -> None:
    """Lets the agent go on as before: the sound does not concern it."""
    context.onset = None
    context.player.unduck()


def stop_playback(context: ConversationContext, event: Happening) -> None:
    """Makes the agent fall silent at once."""
    now = context.clock.ms()
    context.onset = context.onset or Spans(zero=now)
    context.onset.mark("confirmed", now)
    context.speaker.stop()
    context.onset.mark("flushed", context.clock.ms())


def reopen(context: ConversationContext, event: Happening) -> None:
    """Withdraws the reply of a turn that goes on. The audio of a spoken turn is still in the ring buffer and is transcribed
    again; the text of a typed turn is kept here. A turn that is full is written down without an answer."""
    reply = context.player.reply
    if reply is None:
        return
    if isinstance(event, TurnReopened) and event.full:
        if context.state == "LISTENING":  # what was heard of the reply is told soon, where there was any
            record(context, event)
        return
    reply.withdrawn = True
    context.memory.go_on()
    if reply.request.typed:
        context.prefix = reply.request.text


def keep_text(context: ConversationContext, event: Happening) -> None:
    """Has a turn wait: a typed one until the agent has fallen silent or the spoken turn beside it is over, a spoken one until
    the agent has fallen silent where speech is not to interrupt it."""
    if not isinstance(event, Text | TurnEnded):
        return
    if len(context.pending) == WAITING:
        context.send(Error(code="busy", message=f"{WAITING} turns wait for an answer: this one is dropped.", field="text"))
        return
    context.spans.clear()  # the answer to a spoken turn is measured from when it can begin
    context.pending.append(event)


def join_text(context: ConversationContext, event: Happening) -> None:
    """Joins a text that was typed before the answer begins with the turn that waits for that answer: both are answered
    together. Where both make too long a turn, the earlier one is written down without an answer. Where the words of the earlier
    one have already run a tool, that turn is answered by itself and the typed text waits, so that no order is carried out
    twice."""
    reply = context.player.reply
    if reply is None or not isinstance(event, Text):
        return start_reply(context, event)
    if reply.answer.acted:
        return keep_text(context, event)
    asked = reply.request
    context.speaker.withdraw()
    context.memory.go_on()
    if len(asked.text) + len(event.text) >= MAX_TEXT:
        record(context, event)
        return start_reply(context, event)
    text, turn = f"{asked.text} {event.text}".strip(), context.hearing.typed_turn(continues=bool(asked.turn))
    return _answer(context, Request(turn, asked.revision + 1, text, typed=True), Spans(zero=context.clock.ms()))


def note_progress(context: ConversationContext, event: Happening) -> None:
    """Writes into the ledger what the listener says was played."""
    if isinstance(event, Acknowledgement):
        context.player.acknowledge(event)
        if isinstance(event, PlaybackStopped) and context.onset is not None:
            context.onset.mark("silent", context.clock.ms())


def record(context: ConversationContext, event: Happening) -> None:
    """Ends the exchange of the reply under way: the history gets what was heard of it."""
    reply, ledger = context.player.reply, context.player.ledger
    if reply is None or ledger is None:
        return
    acknowledged = isinstance(event, PlaybackDone | PlaybackStopped)
    if ledger.sent_ms and not acknowledged:
        ledger.estimate(context.clock.ms(), 0.0)
    heard, turn = ledger.heard_text(), reply.request.turn
    unheard = reply.clauses[ledger.heard_clauses() :]
    if unheard or not reply.request.line:  # a prompt that was heard takes nothing away from the reply before it
        context.memory.unheard = unheard
    kept = not reply.withdrawn and bool(heard or reply.request.text)
    if kept:
        context.remember(Exchange(reply.request.text, heard))
    context.memory.last = None if reply.withdrawn else LastReply(reply.generation, tuple(reply.clauses), ledger.word_ms(), kept)
    if ledger.sent_ms:
        context.send(AgentHeard(text=heard, turn=turn, estimated=ledger.estimated))
    spans = reply.spans.marks | (context.onset.marks if context.onset is not None else {})
    context.send(Latency(turn=turn, spans=spans))
    stop = context.onset if context.onset is not None and "confirmed" in context.onset.marks else None
    context.measured(turn, reply.spans if reply.request.text else None, stop)
    context.onset = None
    context.speaker.forget()
    if not reply.withdrawn:
        context.exchange_over(event)
    farewell = reply.answer.intent == "goodbye" or reply.request.line == GOODBYE
    if farewell and isinstance(event, PlaybackDone):
        asyncio.get_running_loop().call_soon(context.dispatch, Stop())


def end(context: ConversationContext, event: Happening) -> None:
    """Ends the conversation after `stop`, which leaves nothing to resume; a listener whose connection was lost may come back."""
    if isinstance(event, Stop):
        context.ended.set()


def withdraw(context: ConversationContext, event: Happening) -> None:
    """Gives up a reply of which nothing was heard."""
    context.speaker.withdraw()


def release(context: ConversationContext, event: Happening) -> None:
    """Lets the prepared reply out."""
    context.player.release()


def release_waiting(context: ConversationContext, event: Happening) -> None:
    """Lets out the reply that waited because somebody might have been speaking."""
    if context.player.reply is not None:
        context.dispatch(FirstAudioReady(generation=context.player.reply.generation))


EFFECTS: dict[Effect, Callable[[ConversationContext, Happening], None]] = {
    Effect.GREET: greet,
    Effect.MARK_TURN: withdraw,
    Effect.START_REPLY: start_reply,
    Effect.PROMPT: prompt,
    Effect.APOLOGISE: apologise,
    Effect.RELEASE: release,
    Effect.RELEASE_WAITING: release_waiting,
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
