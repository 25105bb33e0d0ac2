"""One conversation. It owns the ears and the mouth, feeds what happens to `machine` and carries out the effects; there is no
transport inside. Both transports, the page and the tests come in through `hear`, `receive` and out through `speak` and `attach`."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from app.conversation.effects import EFFECTS, MINOR
from app.conversation.idle import Alarm, Silence
from app.conversation.state_machine import Effect, IllegalTransition, transition
from app.core.clock import Clock, LoopClock
from app.core.latency import Spans
from app.dialogue.phrasebook import Dialogue, Memory
from app.protocol.messages import (
    MAX_TEXT,
    AudioChunk,
    Disconnected,
    Error,
    Faulted,
    FirstAudioReady,
    Happening,
    Interrupt,
    OnsetDismissed,
    Ping,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStopped,
    ServerMessage,
    SessionStarted,
    Start,
    State,
    StateChanged,
    Stop,
    Text,
    TranscriptUpdate,
)
from app.reply.answer import Request
from app.reply.playout import Frame
from app.reply.speaker import Speaking
from app.settings import Eagerness, Settings
from app.turn_taking.pipeline import Hearing
from app.turn_taking.signals import Agent
from services.base import Pcm, Services

log = logging.getLogger(__name__)

LOGGED = frozenset({"transcript", "intent", "sources", "agent_response", "agent_heard", "error", "latency"})

ControlMessage = Interrupt | PlaybackProgress | PlaybackDone | PlaybackStopped | Text | Stop


class Journal(Protocol):
    """Where a conversation is written down. None of it waits."""

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None: ...

    def changed(self, session: "Session") -> None:
        """An event was carried out: what is remembered of the conversation may be another than before."""
        ...

    def measured(self, session: "Session", turn: int, reply: Spans | None, stop: Spans | None) -> None:
        """A turn is over: the times of its reply, and of the interruption that ended it."""
        ...


class Session:
    def __init__(
        self,
        session_id: str,
        services: Services,
        settings: Settings,
        dialogue: Dialogue,
        memory: Memory | None = None,
        journal: Journal | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.id = session_id
        self.state: State = "IDLE"
        self.memory = memory or Memory()
        self.ended = asyncio.Event()  # said goodbye or was stopped: there is nothing to resume
        self.settings = settings
        self.journal = journal
        self.clock = clock or LoopClock()
        self._send: Callable[[ServerMessage], None] = lambda message: None
        self._began = self.clock.ms()
        self.faults: set[str] = set()  # what has failed so far: a fault that repeats is told whole once
        self._events: deque[Happening] = deque()  # the first is being carried out
        self.pending: deque[Text] = deque()  # typed turns that wait for silence
        self.prefix = ""  # text of a turn that was reopened, where its audio is not kept
        self.spans: dict[tuple[int, int], Spans] = {}  # of the turn that may have ended, by turn and revision
        self.onset: Spans | None = None  # of an interruption under way
        self._vocabulary = services.retrieval.vocabulary
        self.hearing = Hearing(services, settings, self.clock, self, self._expected, self.memory.turn)
        self.speaking: Speaking = Speaking(services, settings, self.clock, dialogue, self.memory, self.tell, self.happened)
        self._alarm = Alarm(self)
        self._silence = Silence(self, settings)

    # --- the way in and out -------------------------------------------------------------------------------------------

    def attach(self, send: Callable[[ServerMessage], None]) -> None:
        """Where outgoing messages go from now on; replaces the earlier place."""
        self._send = send

    def start(self, greeting: bool, resumed: bool) -> None:
        """A listener is there."""
        self.happened(SessionStarted(greeting=greeting and self.settings.greeting, resumed=resumed))

    def disconnect(self, reason: str) -> None:
        """The listener is gone; the conversation can be resumed."""
        if self.state != "IDLE":
            self.happened(Disconnected(reason=reason))
        self.attach(lambda message: None)

    def hear(self, samples: Pcm) -> None:
        """int16 mono at 16 kHz, any length; never blocks."""
        if self.state != "IDLE":
            self.hearing.hear(samples)

    def speak(self) -> Frame:
        """The next 20 ms of audio, silence where there is nothing to say; to be called once per 20 ms played."""
        frame = self.speaking.frame()
        if frame.generation:
            self.hearing.played(frame.samples)
        return frame

    def receive(self, message: ControlMessage | Start | AudioChunk | Ping) -> None:
        """A control message of the client. Those about a reply that is over are dropped."""
        if isinstance(message, Start | AudioChunk | Ping):
            raise TypeError(f"{message.type} belongs to the transport")
        ledger = self.speaking.ledger
        if isinstance(message, PlaybackProgress | PlaybackDone | PlaybackStopped):
            if ledger is None or self.speaking.reply is None or message.generation != ledger.generation:
                return
            if isinstance(message, PlaybackDone) and not ledger.ended:
                message = PlaybackProgress(generation=message.generation, played_ms=message.played_ms)
            elif isinstance(message, PlaybackDone | PlaybackStopped):
                message = message.model_copy(update={"estimated": False})  # only the server estimates
        self.happened(message)

    async def run(self) -> None:
        """Listens until the conversation has ended (goodbye or stop) or the task is cancelled."""
        ears = asyncio.create_task(self.hearing.run())
        over = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait((ears, over), return_when=asyncio.FIRST_COMPLETED)
            if ears.done():
                ears.result()
        finally:
            ears.cancel()
            over.cancel()
            self.disconnect("closed")
            self.speaking.forget()
            self._alarm.stop()
            self._silence.stop()

    def snapshot(self) -> dict[str, Any]:
        """State and history, as `GET /sessions/{id}` shows them."""
        history = [{"user": exchange.user, "heard": exchange.heard} for exchange in self.memory.history]
        return {"session_id": self.id, "state": self.state, "history": history, "unheard": list(self.memory.unheard)}

    # --- what happens -------------------------------------------------------------------------------------------------

    def happened(self, event: Happening) -> None:
        """The one way anything changes: the event moves the machine, its effects are carried out in order. What an effect makes
        happen waits until all of them are done. A fault of ours costs the turn under way, never the conversation."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            event = self._events[0]
            with self._guard(event.type):
                self._happen(event)
            self._events.popleft()

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        """Keeps a fault in `what` from whatever comes after it."""
        try:
            yield
        except Exception as error:
            log.error("session %s: %s failed: %r", self.id, what, error, exc_info=what not in self.faults)
            self.faults.add(what)

    def _carry_out(self, effect: Effect, event: Happening) -> bool:
        """Whether it went well, or matters little."""
        with self._guard(effect):
            EFFECTS[effect](self, event)
            return True
        return effect in MINOR

    def _happen(self, event: Happening) -> None:
        if isinstance(event, FirstAudioReady) and self._user_speaks():
            return  # somebody makes a sound: the reply waits until it is clear what it is
        before = self.state
        if before == "IDLE" and not isinstance(event, SessionStarted):
            return  # the conversation is over: what the ears and the client still say comes too late
        try:
            self.state, effects = transition(before, event)
        except IllegalTransition as error:
            log.warning("session %s: %s", self.id, error)
            self.note({"kind": "illegal", "state": before, "event": event.model_dump()})
            return
        self.note({"kind": "event", "state": before, "next": self.state, "event": event.model_dump()})
        if self.state != before:
            at = round(self.clock.ms() - self._began, 1)
            self.tell(StateChanged(state=self.state, previous=before, reason=event.type, at_ms=at))
        done = [self._carry_out(effect, event) for effect in effects]
        if not all(done) and not isinstance(event, Faulted):
            self.happened(Faulted(event=event.type))
        if self.journal is not None:
            with self._guard("the record"):
                self.journal.changed(self)
        reply = self.speaking.reply
        waits = reply is not None and reply.committed and reply.first_sound.is_set() and not reply.cancelled
        if isinstance(event, OnsetDismissed) and self.state in ("THINKING", "LISTENING") and reply is not None and waits:
            self.happened(FirstAudioReady(generation=reply.generation))
        elif self.state == "LISTENING" and self.pending:
            self.happened(self._next_text())
        for lull in (self._alarm, self._silence):
            with self._guard("what is said in a silence"):
                lull.follow(event)

    def _user_speaks(self) -> bool:
        """... or may be speaking, where the agent is about to begin."""
        return (self.state == "THINKING" and self.hearing.undecided) or (self.state == "LISTENING" and self.hearing.taking_turn)

    def _next_text(self) -> Text:
        """What was typed while the agent spoke, as one turn: as many texts of those that wait as one turn may hold."""
        text = self.pending.popleft().text
        while self.pending and len(text) + len(self.pending[0].text) < MAX_TEXT:
            text = f"{text} {self.pending.popleft().text}"
        return Text(text=text)

    def tell(self, message: ServerMessage) -> None:
        with self._guard("a message to the listener"):
            self._send(message)
        if message.type in LOGGED:
            self.note({"kind": message.type, **message.model_dump(exclude={"type"})})

    def note(self, entry: Mapping[str, Any]) -> None:
        if self.journal is not None:
            with self._guard("the log"):
                self.journal.log(self.id, entry)

    def measured(self, turn: int, reply: Spans | None, stop: Spans | None) -> None:
        if self.journal is not None:
            with self._guard("the figures"):
                self.journal.measured(self, turn, reply, stop)

    # --- what the ears need -------------------------------------------------------------------------------------------

    def agent(self) -> tuple[Agent, float]:
        if self.state == "SPEAKING":
            return "speaking", self.speaking.audible_ms
        return ("thinking" if self.state == "THINKING" else "silent"), 0.0

    def saying(self) -> str:
        return self.speaking.reply.text if self.state == "SPEAKING" and self.speaking.reply else ""

    def failed(self, service: str) -> None:
        self.tell(Error(code=f"{service}_failed", message=f"The {service} service failed: the agent may not hear you."))

    def asked(self) -> str:
        return self.memory.last_heard

    def eagerness(self) -> Eagerness:
        return self.memory.eagerness or self.settings.eagerness

    def caption(self, text: str, final: bool, turn: int, revision: int) -> None:
        self.tell(TranscriptUpdate(text=self.joined(text), final=final, turn=turn, revision=revision))

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        self.spans = {(turn, revision): spans}
        if self.state == "LISTENING":
            self.speaking.draft(Request(turn, revision, self.joined(text)), spans)

    def drop(self) -> None:
        self.speaking.drop_draft()

    def _expected(self) -> str:
        """Words to listen for: names of this conversation, then those of the knowledge."""
        return ", ".join(filter(None, [*self.memory.names(), self._vocabulary()]))

    def joined(self, text: str) -> str:
        return f"{self.prefix} {text}".strip()
