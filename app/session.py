"""One conversation. It owns the ears and the mouth, feeds what happens to `machine` and carries out the effects; there is no
transport inside. Both transports, the page and the tests come in through `hear`, `receive` and out through `speak` and `attach`."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.clock import Clock, LoopClock
from app.dialogue import Dialogue, Memory
from app.events import (
    AgentHeard,
    AudioChunk,
    Disconnected,
    FirstAudioReady,
    Happening,
    Interrupt,
    Latency,
    OnsetDismissed,
    Ping,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStopped,
    Prompted,
    ServerMessage,
    SessionStarted,
    Start,
    State,
    StateChanged,
    Stop,
    Text,
    TranscriptUpdate,
    TurnEnded,
    TurnReopened,
)
from app.hearing import Hearing
from app.latency import Spans
from app.machine import Effect, IllegalTransition, transition
from app.reply import Request
from app.settings import Settings
from app.speaking import Frame, Speaking
from app.turns import Agent
from services.base import Exchange, Pcm, Services

log = logging.getLogger(__name__)

HISTORY = 50  # exchanges remembered

ControlMessage = Interrupt | PlaybackProgress | PlaybackDone | PlaybackStopped | Text | Stop


class Journal(Protocol):
    """Where a conversation is written down. None of it waits."""

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None: ...

    def latency(self, entry: Mapping[str, Any]) -> None: ...

    def changed(self, session: "Session") -> None:
        """The conversation's state changed and may be saved."""
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
        self._settings = settings
        self._services = services
        self._journal = journal
        self._clock = clock or LoopClock()
        self._send: Callable[[ServerMessage], None] = lambda message: None
        self._began = self._clock.ms()
        self._typed = 0  # typed turns, which have numbers of their own after the spoken ones
        self._pending: list[Text] = []
        self._prefix = ""  # text of a turn that was reopened, where its audio is not kept
        self._spans: dict[tuple[int, int], Spans] = {}
        self._onset: Spans | None = None  # of an interruption under way
        self.hearing = Hearing(services, settings, self._clock, self)
        self.speaking = Speaking(services, settings, self._clock, dialogue, self.memory, self._tell, self.happened)

    # --- the way in and out -------------------------------------------------------------------------------------------

    def attach(self, send: Callable[[ServerMessage], None]) -> None:
        """Where outgoing messages go from now on; replaces the earlier place."""
        self._send = send

    def start(self, greeting: bool, resumed: bool) -> None:
        """A listener is there."""
        self.happened(SessionStarted(greeting=greeting and self._settings.greeting, resumed=resumed))

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
        return self.speaking.frame()

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

    def snapshot(self) -> dict[str, Any]:
        """State and history, as `GET /sessions/{id}` shows them."""
        history = [{"user": exchange.user, "heard": exchange.heard} for exchange in self.memory.history]
        return {"session_id": self.id, "state": self.state, "history": history, "unheard": list(self.memory.unheard)}

    # --- what happens -------------------------------------------------------------------------------------------------

    def happened(self, event: Happening) -> None:
        """The one way anything changes: the event moves the machine, its effects are carried out in order."""
        before = self.state
        try:
            after, effects = transition(before, event)
        except IllegalTransition as error:
            log.warning("session %s: %s", self.id, error)
            self._note({"kind": "illegal", "state": before, "event": event.model_dump()})
            return
        if isinstance(event, FirstAudioReady) and self.hearing.undecided and before == "THINKING":
            return  # somebody is making a sound: the reply waits until it is clear what it is (see _onset_dismissed)
        self.state = after
        self._note({"kind": "event", "state": before, "next": after, "event": event.model_dump()})
        for effect in effects:
            getattr(self, f"_do_{effect.value}")(event)
        if after != before:
            at = round(self._clock.ms() - self._began, 1)
            self._tell(StateChanged(state=after, previous=before, reason=event.type, at_ms=at))
            if self._journal is not None:
                self._journal.changed(self)
        self._follow_up(event)

    def _follow_up(self, event: Happening) -> None:
        """What an event leads to once its transition is complete."""
        reply = self.speaking.reply
        if isinstance(event, OnsetDismissed) and self.state == "THINKING" and reply is not None and reply.first_sound.is_set():
            self.happened(FirstAudioReady(generation=reply.generation))
        elif self.state == "LISTENING" and self._pending:
            self.happened(self._pending.pop(0))

    def _tell(self, message: ServerMessage) -> None:
        self._send(message)
        if message.type in ("intent", "sources", "agent_response", "agent_heard", "error", "latency"):
            self._note({"kind": message.type, **message.model_dump(exclude={"type"})})

    def _note(self, entry: Mapping[str, Any]) -> None:
        if self._journal is not None:
            self._journal.log(self.id, entry)

    # --- what the ears need -------------------------------------------------------------------------------------------

    def agent(self) -> tuple[Agent, float]:
        if self.state == "SPEAKING":
            return "speaking", self.speaking.audible_ms
        return ("thinking" if self.state == "THINKING" else "silent"), 0.0

    def caption(self, text: str, final: bool, turn: int, revision: int) -> None:
        self._tell(TranscriptUpdate(text=self._joined(text), final=final, turn=turn, revision=revision))

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        self._spans = {(turn, revision): spans}
        if self.state == "LISTENING":
            self.speaking.draft(Request(turn, revision, self._joined(text)), spans)

    def drop(self) -> None:
        self.speaking.drop_draft()

    def hint(self) -> str:
        return self._services.retrieval.vocabulary()

    def _joined(self, text: str) -> str:
        return f"{self._prefix} {text}".strip()

    # --- effects ------------------------------------------------------------------------------------------------------

    def _do_greet(self, event: Happening) -> None:
        if isinstance(event, SessionStarted) and event.greeting:
            self._prompt("welcome_back" if event.resumed else "greeting")

    def _do_prompt(self, event: Happening) -> None:
        if isinstance(event, Prompted):
            self._prompt(event.line)

    def _prompt(self, line: str) -> None:
        self.speaking.commit(Request(turn=0, line=line), Spans(zero=self._clock.ms()))

    def _do_mark_turn(self, event: Happening) -> None:
        self.speaking.withdraw()

    def _do_start_reply(self, event: Happening) -> None:
        if isinstance(event, TurnEnded):
            text, turn, revision = self._joined(event.text), event.turn, event.revision
            spans = self._spans.get((turn, revision)) or Spans(zero=self._clock.ms())
        elif isinstance(event, Text):
            self._typed += 1
            text, turn, revision = self._joined(event.text), self._typed, 0
            spans = Spans(zero=self._clock.ms())
        else:
            raise TypeError(f"{event.type} starts no reply")
        self._prefix = ""
        final = TranscriptUpdate(text=text, final=True, turn=turn, revision=revision)
        self._tell(final)
        self._note({"kind": "transcript", **final.model_dump(exclude={"type"})})
        self.speaking.commit(Request(turn, revision, text), spans)

    def _do_release(self, event: Happening) -> None:
        self.speaking.release()

    def _do_duck(self, event: Happening) -> None:
        self._onset = Spans(zero=self._clock.ms())
        self.speaking.duck()
        self._onset.mark("duck", self._clock.ms())

    def _do_unduck(self, event: Happening) -> None:
        self._onset = None
        self.speaking.unduck()

    def _do_stop_playback(self, event: Happening) -> None:
        now = self._clock.ms()
        if self._onset is None:
            self._onset = Spans(zero=now)
        self._onset.mark("confirmed", now)
        self.speaking.stop()
        self._onset.mark("flushed", self._clock.ms())

    def _do_withdraw(self, event: Happening) -> None:
        self.speaking.withdraw()

    def _do_reopen(self, event: Happening) -> None:
        """The audio of a spoken turn is still on the tape and is transcribed again; a typed turn's text is kept here."""
        reply = self.speaking.reply
        if isinstance(event, TurnReopened) and reply is not None and reply.request.revision == 0 and not reply.request.line:
            self._prefix = reply.request.text

    def _do_keep_text(self, event: Happening) -> None:
        if isinstance(event, Text):
            self._pending = [event]

    def _do_note_progress(self, event: Happening) -> None:
        if isinstance(event, PlaybackProgress | PlaybackDone | PlaybackStopped):
            self.speaking.note(event)
            if isinstance(event, PlaybackStopped) and self._onset is not None:
                self._onset.mark("silent", self._clock.ms())

    def _do_record(self, event: Happening) -> None:
        """The turn is over: the history gets what was heard of it."""
        reply, ledger = self.speaking.reply, self.speaking.ledger
        if reply is None or ledger is None:
            return
        if not isinstance(event, PlaybackDone | PlaybackStopped) and ledger.sent_ms:
            ledger.estimate(self._clock.ms(), 0.0)
        heard = ledger.heard_text()
        self.memory.unheard = reply.clauses[ledger.heard_clauses() :]
        if heard or reply.request.text:
            self.memory.history = [*self.memory.history[-HISTORY + 1 :], Exchange(reply.request.text, heard)]
        turn = reply.request.turn
        if ledger.sent_ms:
            self._tell(AgentHeard(text=heard, turn=turn, estimated=ledger.estimated))
        spans = reply.spans.marks | (self._onset.marks if self._onset is not None else {})
        self._tell(Latency(turn=turn, spans=spans))
        if self._journal is not None and not reply.request.line:
            self._journal.latency({"session_id": self.id, "turn": turn, **spans})
        self._onset = None
        farewell = reply.intent == "goodbye" and isinstance(event, PlaybackDone)
        self.speaking.forget()
        if farewell:
            asyncio.get_running_loop().call_soon(self.receive, Stop())

    def _do_end(self, event: Happening) -> None:
        if isinstance(event, Stop):
            self.ended.set()
