"""The answers of a conversation to the questions of turn taking, and what the conversation does with its findings."""

from app.conversation.context import ConversationContext
from app.core.latency import Spans
from app.protocol.events import Happening
from app.protocol.messages import Error, TranscriptUpdate
from app.reply.answer import Request
from app.settings import Eagerness
from app.turn_taking.signals import Agent


class TurnListener:
    """A `Listener` (app/turn_taking/listener.py) for one conversation."""

    def __init__(self, context: ConversationContext) -> None:
        self._context = context

    def dispatch(self, event: Happening) -> None:
        """Hands an event of the user's to the conversation."""
        self._context.dispatch(event)

    def agent(self) -> tuple[Agent, float]:
        """What the agent is doing, and for how many ms it has been audible in this reply."""
        state = self._context.state
        if state == "SPEAKING":
            return "speaking", self._context.player.audible_ms
        return ("thinking" if state == "THINKING" else "silent"), 0.0

    def saying(self) -> str:
        """The text of the reply that is being spoken."""
        reply = self._context.player.reply
        return reply.text if self._context.state == "SPEAKING" and reply else ""

    def failed(self, service: str) -> None:
        """Tells the client that a service without which nothing can be heard has begun to fail."""
        message = f"The {service} service failed: the agent may not hear you."
        self._context.send(Error(code=f"{service}_failed", message=message))

    def asked(self) -> str:
        """What the agent said last, as far as it was heard."""
        return self._context.memory.last_heard

    def eagerness(self) -> Eagerness:
        """How soon a pause is taken for the end of a turn in this conversation."""
        return self._context.agent.session_settings.eagerness or "medium"

    def half_duplex(self) -> bool:
        """Whether the microphone is ignored while the agent speaks."""
        return bool(self._context.agent.session_settings.half_duplex)

    def text_waits(self) -> bool:
        """Whether a typed text waits for the spoken turn under way."""
        return self._context.text_waits

    def interim(self, text: str, final: bool, turn: int, revision: int) -> None:
        """Tells the client the words of the turn so far."""
        update = TranscriptUpdate(text=self._context.joined(text), final=final, turn=turn, revision=revision)
        self._context.send(update)

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        """Drafts a reply to `text`, with which the turn may have ended."""
        self._context.spans = {(turn, revision): spans}
        if self._context.state == "LISTENING":
            self._context.speaker.draft(Request(turn, revision, self._context.joined(text)), spans)

    def drop(self) -> None:
        """Drops what was prepared: the user goes on."""
        self._context.speaker.drop_draft()
