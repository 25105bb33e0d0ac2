"""The parts of one conversation while it lasts: its state, its hearing and its speaker, the turn under way, and where messages
and log entries go. Effects and idle watchers work with them; `Session` feeds them with events."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from app.conversation.state_machine import Fact
from app.conversation.unsupported_settings import impossible
from app.core.latency import Spans
from app.core.session_settings import SessionSettings
from app.dialogue.agent_context import AgentContext
from app.protocol.codec import BadMessage
from app.protocol.events import Happening, TurnEnded
from app.protocol.messages import MAX_TEXT, Configured, ServerMessage, State, Text
from app.reply.player import Player
from app.reply.speaker import Speaker
from app.turn_taking.listener import Listener
from app.turn_taking.pipeline import HearingPipeline
from configuration.redaction import withhold
from services.base import Exchange

log = logging.getLogger(__name__)

HISTORY = 50  # exchanges remembered
LOGGED = frozenset({"transcript", "intent", "sources", "agent_response", "agent_heard", "error", "latency", "configured"})


class Recorder(Protocol):
    """Writes a conversation down. None of the methods waits."""

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        """Appends `entry` to the audit log."""

    def changed(self, context: "ConversationContext") -> None:
        """Is called after each event: the record of the conversation may have changed."""

    def measured(self, context: "ConversationContext", turn: int, reply: Spans | None, stop: Spans | None) -> None:
        """Is called when a turn is over, with the times of its reply and of the interruption that ended it (None: there was
        none)."""


def waiting_texts(pending: deque[Text | TurnEnded], beside: int = 0) -> str:
    """The typed texts at the head of `pending`, taken out of it as one: as many as fit into MAX_TEXT behind a text of `beside`
    characters. The first one is always taken where there is none beside it."""
    texts: list[str] = []
    while pending and isinstance(first := pending[0], Text):
        if (beside or texts) and beside + sum(map(len, texts)) + len(texts) + len(first.text) >= MAX_TEXT:
            break
        texts.append(first.text)
        pending.popleft()
    return " ".join(texts)


class ConversationContext:
    """The state and the parts of one conversation. `dispatch` takes an event of this conversation (`Session.dispatch`), and
    `listener` makes the object to which turn taking reports."""

    def __init__(
        self,
        session_id: str,
        agent: AgentContext,
        recorder: Recorder | None,
        dispatch: Callable[[Happening], None],
        listener: Callable[["ConversationContext"], Listener],
    ) -> None:
        self.id = session_id
        self.agent = agent
        self.clock = agent.clock
        self.memory = agent.memory
        self.settings = agent.settings
        self.recorder = recorder
        self.dispatch = dispatch
        self.state: State = "IDLE"
        self.ended = asyncio.Event()  # said goodbye or was stopped: there is nothing to resume
        self.faults: set[str] = set()  # what has failed so far: a fault that repeats is told whole once
        self.pending: deque[Text | TurnEnded] = deque()  # turns that wait for silence
        self.prefix = ""  # text of a turn that was reopened, where its audio is not kept
        self.spans: dict[tuple[int, int], Spans] = {}  # of the turn that may have ended, by turn and revision
        self.onset: Spans | None = None  # of an interruption under way
        self.deliver: Callable[[ServerMessage], None] = lambda message: None  # to the listener, who may be gone
        self.hearing = HearingPipeline(
            agent.services, agent.settings, agent.language, self.clock, listener(self), self.expected_words, self.memory.turn
        )
        self.player = Player(agent.settings, self.clock, self.send, dispatch)
        self.speaker = Speaker(agent, self.player, self.send, dispatch)

    @contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Logs a fault in `what` and keeps it from whatever comes after it."""
        try:
            yield
        except Exception as error:
            log.error("session %s: %s failed: %r", self.id, what, error, exc_info=what not in self.faults)
            self.faults.add(what)

    def send(self, message: ServerMessage) -> None:
        """Sends `message` to the listener, and logs a message whose type is in LOGGED."""
        with self.contained("a message to the listener"):
            self.deliver(message)
        if message.type in LOGGED:
            self.audit({"kind": message.type, **message.model_dump(exclude={"type"})})

    def audit(self, entry: Mapping[str, Any]) -> None:
        """Writes `entry` into the audit log, without its texts while the conversation is not to be recorded."""
        if self.recorder is not None:
            with self.contained("the log"):
                self.recorder.log(self.id, withhold(entry) if self.memory.is_private else entry)

    def measured(self, turn: int, reply: Spans | None, stop: Spans | None) -> None:
        """Hands the times of a turn that is over to the recorder."""
        if self.recorder is not None:
            with self.contained("the figures"):
                self.recorder.measured(self, turn, reply, stop)

    def changed(self) -> None:
        """Has the recorder renew the record of the conversation, after an event was carried out."""
        if self.recorder is not None:
            with self.contained("the record"):
                self.recorder.changed(self)

    @property
    def text_waits(self) -> bool:
        """Whether the next turn that waits was typed."""
        return bool(self.pending) and isinstance(self.pending[0], Text)

    def joined(self, text: str) -> str:
        """`text` behind the text of the reopened turn that it continues, if there is one."""
        return f"{self.prefix} {text}".strip()

    def configure(self, chosen: SessionSettings) -> None:
        """Changes the settings that `chosen` names. Raises BadMessage for a setting that is not possible here; then none is
        changed."""
        faults = impossible(chosen.without("language"), self.settings, self.agent.services)
        if "language" in chosen.model_fields_set and (chosen.language or self.settings.language) != self.agent.language.code:
            faults["language"] = f"{self.agent.language.code} is spoken here"
        for name, why in faults.items():
            raise BadMessage("not_possible", f"{name}: {why}", name)
        was_private = self.memory.settings.recording is False
        self.memory.settings = self.memory.settings.changed_by(chosen)
        if was_private and self.memory.settings.recording is not False:
            self.memory.private = self._exchanges_begun()
        self.send(Configured(settings=self.agent.session_settings.without("instructions")))
        self.changed()

    def _exchanges_begun(self) -> int:
        """How many exchanges have begun and are not in the history yet: the one of the reply under way, the one of the user's
        turn, and the ones that wait for silence."""
        spoken = self.hearing.taking_turn or self.hearing.overlap_pending or bool(self.prefix)
        return max((self.player.reply is not None) + spoken + len(self.pending), self.memory.private, bool(self.memory.done))

    def remember(self, exchange: Exchange) -> None:
        """Appends `exchange` to the history, with what tools have changed in it. An exchange that began while nothing was to be
        written down is private."""
        memory = self.memory
        whole = replace(exchange, done=tuple(memory.done), private=memory.is_private)
        if exchange.user:
            memory.turn_over()
        memory.done, memory.done_before, memory.before = [], 0, None
        memory.history = [*memory.history[-HISTORY + 1 :], whole]

    def exchange_over(self, event: Happening) -> None:
        """The reply under way is over with `event`: one private exchange fewer is still to come, and none where nothing else
        has begun."""
        begun = isinstance(event, TurnEnded) or self.pending or self.prefix or self.hearing.taking_turn or self.memory.done
        self.memory.private = max(0, self.memory.private - 1) if begun else 0

    def expected_words(self) -> str:
        """Words that the recogniser is to expect: names of this conversation, then the vocabulary of the knowledge."""
        return ", ".join(
            filter(None, [*self.memory.names(self.agent.language.wording), self.agent.services.retrieval.vocabulary()])
        )

    def holds(self, fact: Fact) -> bool:
        """Whether a fact that the state machine asks for is true now. The user may be speaking where a turn is under way, or a
        sound that may become one. A reply waits where its sound is ready and was not let out. Speech waits where it is not to
        interrupt the agent."""
        if fact == "speech_waits":
            return self.agent.session_settings.interruption == "button"
        if fact == "user_may_be_speaking":
            return self.hearing.overlap_pending or (self.state != "THINKING" and self.hearing.taking_turn)
        reply = self.player.reply
        return reply is not None and reply.committed and reply.first_sound.is_set() and not reply.cancelled
