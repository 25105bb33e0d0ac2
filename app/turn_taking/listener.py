"""What turn taking needs of the conversation that it listens for."""

from typing import Protocol

from app.core.latency import Spans
from app.protocol.events import Happening
from app.settings import Eagerness
from app.turn_taking.signals import Agent


class Listener(Protocol):
    """Nothing here waits."""

    def agent(self) -> tuple[Agent, float]:
        """What the agent is doing, and for how many ms it has been audible in this reply."""

    def saying(self) -> str:
        """The text of the reply that is being spoken."""

    def dispatch(self, event: Happening) -> None:
        """What the user does."""

    def failed(self, service: str) -> None:
        """A service without which nothing can be heard has begun to fail."""

    def drop(self) -> None:
        """The user goes on: what was prepared is void."""

    def asked(self) -> str:
        """What the agent said last, as far as it was heard."""

    def eagerness(self) -> Eagerness:
        """How soon a pause is taken for the end of a turn in this conversation."""

    def half_duplex(self) -> bool:
        """The microphone is not heard while the agent speaks."""

    def interim(self, text: str, final: bool, turn: int, revision: int) -> None:
        """The words of the turn so far."""

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        """The user paused and said `text` so far: have a reply ready in case the turn has ended."""
