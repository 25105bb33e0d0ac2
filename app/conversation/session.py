"""One conversation. Events come in, the state machine says what follows, and the effects are carried out in order; there is no
transport inside. Transports, the page and the tests call `hear` and `receive` to bring sound and messages in, `speak` for the
agent's sound, and `attach` for its messages."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from app.conversation.context import ConversationContext, Recorder
from app.conversation.effects import EFFECTS, MINOR
from app.conversation.idle import InactivityPrompt, TimerAnnouncer
from app.conversation.state_machine import Effect, IllegalTransition, guard, transition
from app.conversation.turn_listener import TurnListener
from app.conversation.waiting_turns import WaitingTurns
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.protocol.events import Disconnected, Faulted, Happening, SessionStarted
from app.protocol.messages import (
    Acknowledgement,
    AudioChunk,
    ClientMessage,
    Configure,
    Interrupt,
    Ping,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStopped,
    ServerMessage,
    Start,
    State,
    StateChanged,
)
from app.reply.player import Player
from app.reply.playout import IDLE_FRAME, Frame
from app.turn_taking.jobs import is_ours
from services.base import Pcm

log = logging.getLogger(__name__)

HEARS_AGAIN_S = 1.0  # after a fault that ended the hearing: one that lasts is not to take a processor


def _told(message: Acknowledgement, player: Player) -> Acknowledgement | None:
    """The acknowledgement of a client, reduced to what a client may say; None where it is about another reply than the one that
    is played."""
    ledger = player.ledger
    if ledger is None or player.reply is None or message.generation != ledger.generation:
        return None
    if isinstance(message, PlaybackDone) and not ledger.ended:
        return PlaybackProgress(generation=message.generation, played_ms=message.played_ms)
    if isinstance(message, PlaybackProgress):
        return message
    return message.model_copy(update={"estimated": False})  # only the server estimates


async def _listen(context: ConversationContext) -> None:
    """Hears until cancelled. What ends the hearing, by a fault of ours, costs the turn under way: it is begun again."""
    while True:
        try:
            await context.hearing.run()
        except (Exception, asyncio.CancelledError) as error:
            if is_ours(error):
                raise
            with context.contained("the hearing"):
                context.hearing.failed(error)
        await asyncio.sleep(HEARS_AGAIN_S)


class Session:
    """One conversation, whatever transport carries it. `recorder` writes it down; without a recorder nothing is kept."""

    def __init__(self, session_id: str, agent: AgentContext, recorder: Recorder | None = None) -> None:
        self.id = session_id
        self.context = ConversationContext(session_id, agent, recorder, self.dispatch, TurnListener)
        self.clock = agent.clock
        self.settings = agent.settings
        self.hearing = self.context.hearing
        self.player = self.context.player
        self.ended = self.context.ended
        self._began = self.clock.ms()
        self._events: deque[Happening] = deque()  # the first is being carried out
        self._waiting = WaitingTurns(self.context)
        self._timers = TimerAnnouncer(self.context)
        self._inactivity = InactivityPrompt(self.context)

    @property
    def state(self) -> State:
        """The state of the conversation (`app/conversation/state_machine.py`)."""
        return self.context.state

    @property
    def memory(self) -> Memory:
        """What the conversation remembers."""
        return self.context.memory

    # --- the way in and out -------------------------------------------------------------------------------------------

    def attach(self, send: Callable[[ServerMessage], None]) -> None:
        """Sends outgoing messages to `send` from now on, in place of the earlier receiver."""
        self.context.deliver = send

    def start(self, greeting: bool, resumed: bool) -> None:
        """Begins the conversation, or goes on with it: a listener is there."""
        wanted = bool(self.context.agent.session_settings.greeting)
        self.dispatch(SessionStarted(greeting=greeting and wanted, resumed=resumed))

    def disconnect(self, reason: str) -> None:
        """Ends what is being said, as the listener is gone; the conversation can be resumed."""
        if self.state != "IDLE":
            self.dispatch(Disconnected(reason=reason))
        self.attach(lambda message: None)

    def hear(self, samples: Pcm) -> None:
        """Takes sound of the user: int16 mono at 16 kHz, any length. Never blocks."""
        if self.state != "IDLE":
            with self.context.contained("a piece of sound"):
                self.hearing.hear(samples)

    def speak(self) -> Frame:
        """The next 20 ms of audio, silence where there is nothing to say; to be called once per 20 ms played. A fault in our
        code costs the reply, never the connection that asks."""
        with self.context.contained("a frame of the voice"):
            frame = self.player.frame()
            if frame.generation:
                with self.context.contained("the agent's own voice"):
                    self.hearing.played(frame.samples)
            return frame
        said = self.player.reply
        # An apology that cannot be said either is not followed by another.
        self.dispatch(Interrupt() if said is not None and said.request.line == "apology_fault" else Faulted(event="frame"))
        return IDLE_FRAME

    def receive(self, message: ClientMessage) -> None:
        """Takes a message of the client. An acknowledgement of a reply that is over is dropped, except for the last reply: what
        was heard of that one was only estimated, and is corrected now. Raises BadMessage for a message that cannot be obeyed."""
        match message:
            case Start() | AudioChunk() | Ping():
                raise TypeError(f"{message.type} belongs to the transport")
            case Configure():
                self.context.configure(message.settings)
            case PlaybackProgress() | PlaybackDone() | PlaybackStopped():
                if (told := _told(message, self.player)) is not None:
                    self.dispatch(told)
                elif (
                    self.state != "IDLE" and self.memory.last is not None and message.generation == self.memory.last.generation
                ):
                    self.memory.played(message.generation, message.played_ms)
                    self.context.changed()
            case _:
                self.dispatch(message)

    async def run(self) -> None:
        """Listens until the conversation has ended (goodbye or stop) or the task is cancelled."""
        hearing = asyncio.create_task(_listen(self.context))
        over = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait((hearing, over), return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                hearing.result()
        finally:
            hearing.cancel()
            over.cancel()
            self.disconnect("closed")
            self.context.speaker.forget()
            self._waiting.stop()
            self._timers.stop()
            self._inactivity.stop()

    def snapshot(self) -> dict[str, Any]:
        """State and history, as `GET /sessions/{id}` shows them."""
        history = [{"user": exchange.user, "heard": exchange.heard} for exchange in self.memory.history]
        return {"session_id": self.id, "state": self.state, "history": history, "unheard": list(self.memory.unheard)}

    # --- what happens -------------------------------------------------------------------------------------------------

    def dispatch(self, event: Happening) -> None:
        """Changes the conversation, and nothing else does: the event moves the state machine, and its effects are carried out
        in order. Events that an effect causes wait until all effects are done. A fault in our code costs the turn under way,
        never the conversation."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            event = self._events[0]
            with self.context.contained(event.type):
                self._apply(event)
            self._events.popleft()

    def _carry_out(self, effect: Effect, event: Happening) -> bool:
        """Whether the effect was carried out, or matters little."""
        with self.context.contained(effect):
            EFFECTS[effect](self.context, event)
            return True
        return effect in MINOR

    def _apply(self, event: Happening) -> None:
        before = self.state
        if before == "IDLE" and not isinstance(event, SessionStarted):
            return  # the conversation is over: what the hearing and the client still say comes too late
        fact = guard(before, event, self.context.holds)
        try:
            self.context.state, effects = transition(before, event, fact)
        except IllegalTransition as error:
            log.warning("session %s: %s", self.id, error)
            self.context.audit({"kind": "illegal", "state": before, "event": event.model_dump()})
            return
        guarded = {} if fact is None else {"fact": fact}
        self.context.audit({"kind": "event", "state": before, "next": self.state, "event": event.model_dump(), **guarded})
        if self.state != before:
            at = round(self.clock.ms() - self._began, 1)
            self.context.send(StateChanged(state=self.state, previous=before, reason=event.type, at_ms=at))
        done = [self._carry_out(effect, event) for effect in effects]
        if not all(done) and not isinstance(event, Faulted):
            self.dispatch(Faulted(event=event.type))
        self.context.changed()
        self._follow_up(event)

    def _follow_up(self, event: Happening) -> None:
        """Starts what waited for this event: turns that wait, and what is said in a silence."""
        for watcher in (self._waiting, self._timers, self._inactivity):
            with self.context.contained("what is said in a silence"):
                watcher.follow(event)
