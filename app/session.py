"""One conversation. It owns the ears and the mouth, feeds what happens to `machine` and carries out the effects; there is no
transport inside. Both transports, the page and the tests come in through `hear`, `receive` and out through `speak` and `attach`."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.answering import Request
from app.clock import Clock, LoopClock
from app.dialogue import Dialogue, Memory
from app.effects import EFFECTS
from app.events import (
    AudioChunk,
    Disconnected,
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
from app.hearing import Hearing
from app.latency import Spans
from app.lulls import Alarm, Silence
from app.machine import IllegalTransition, transition
from app.playout import Frame
from app.settings import Settings
from app.signals import Agent
from app.speaking import Speaking
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
        self._events: deque[Happening] = deque()  # the first is being carried out
        self.pending: Text | None = None  # a typed turn that waits for silence
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
        happen waits until all of them are done."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            self._happen(self._events[0])
            self._events.popleft()

    def _happen(self, event: Happening) -> None:
        if isinstance(event, FirstAudioReady) and self.state == "THINKING" and self.hearing.undecided:
            return  # somebody makes a sound: the reply waits until it is clear what it is
        before = self.state
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
        for effect in effects:
            EFFECTS[effect](self, event)
        if self.journal is not None:
            self.journal.changed(self)
        reply = self.speaking.reply
        if isinstance(event, OnsetDismissed) and self.state == "THINKING" and reply is not None and reply.first_sound.is_set():
            self.happened(FirstAudioReady(generation=reply.generation))
        elif self.state == "LISTENING" and self.pending is not None:
            self.happened(self.pending)
            self.pending = None
        self._alarm.follow(event)
        self._silence.follow(event)

    def tell(self, message: ServerMessage) -> None:
        self._send(message)
        if message.type in LOGGED:
            self.note({"kind": message.type, **message.model_dump(exclude={"type"})})

    def note(self, entry: Mapping[str, Any]) -> None:
        if self.journal is not None:
            self.journal.log(self.id, entry)

    # --- what the ears need -------------------------------------------------------------------------------------------

    def agent(self) -> tuple[Agent, float]:
        if self.state == "SPEAKING":
            return "speaking", self.speaking.audible_ms
        return ("thinking" if self.state == "THINKING" else "silent"), 0.0

    def saying(self) -> str:
        return self.speaking.reply.text if self.state == "SPEAKING" and self.speaking.reply else ""

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
