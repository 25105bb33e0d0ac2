"""The conversation as turn taking sees it."""

from typing import Protocol

from app.core.latency import Spans
from app.protocol.events import Happening
from app.settings import Eagerness
from app.turn_taking.signals import Agent


class Listener(Protocol):
    """What turn taking asks and tells a conversation. None of the methods waits."""

    def agent(self) -> tuple[Agent, float]:
        """What the agent is doing, and for how many ms it has been audible in this reply."""

    def saying(self) -> str:
        """The text of the reply that is being spoken."""

    def dispatch(self, event: Happening) -> None:
        """Takes an event of the user's."""

    def failed(self, service: str) -> None:
        """Is told that a service without which nothing can be heard has begun to fail."""

    def drop(self) -> None:
        """Drops what was prepared: the user goes on."""

    def asked(self) -> str:
        """What the agent said last, as far as it was heard."""

    def eagerness(self) -> Eagerness:
        """How soon a pause is taken for the end of a turn in this conversation."""

    def half_duplex(self) -> bool:
        """Whether the microphone is ignored while the agent speaks."""

    def text_waits(self) -> bool:
        """Whether a typed text waits for the spoken turn under way."""

    def interim(self, text: str, final: bool, turn: int, revision: int) -> None:
        """Is told the words of the turn so far."""

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        """Prepares a reply to `text`, which the user has said so far before a pause, in case the turn has ended."""
