"""What the page shows of a conversation, gathered from the messages that the listener gets."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypedDict, TypeVar

import numpy as np

from app.protocol.messages import (
    AgentHeard,
    AgentResponse,
    Latency,
    ServerMessage,
    Sources,
    State,
    StateChanged,
    TranscriptUpdate,
)
from services.base import Exchange

NOT_UNDERSTOOD = "(not understood)"
TURNS = 30  # the newest that the page shows
MEASURED = 200  # turns whose latencies make a spread

T = TypeVar("T")


class ShownPassage(TypedDict):
    """A passage as the page shows it."""

    title: str
    score: float


class Turn(TypedDict):
    """One turn on the page. `heard` is the part of `agent` that was heard, None while that is not known. `latency`: ms by span
    name."""

    user: str
    agent: str
    heard: str | None
    interrupted: bool
    sources: list[ShownPassage]
    latency: dict[str, float]


class Spread(NamedTuple):
    """One span over the last MEASURED turns: how many turns have it, and its median and 95th percentile in ms."""

    turns: int
    p50: float
    p95: float


class View(TypedDict):
    """All that the page shows of a conversation. `spreads` are by span name."""

    state: State
    caption: str
    caption_final: bool
    turns: list[Turn]
    spreads: dict[str, Spread]


class Viewer:
    """Builds the view of one conversation. `changed` tells whether something is new since the last `look`."""

    def __init__(self) -> None:
        self.changed = True
        self._state: State = "IDLE"
        self._caption = ""
        self._final = False
        self._turns: dict[tuple[int, int], Turn] = {}
        self._current: tuple[int, int] = (0, 0)  # turn, generation
        self._measured: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MEASURED))  # ms, by span
        self._spreads: dict[str, Spread] = {}

    def recall(self, history: Sequence[Exchange]) -> None:
        """Takes in what was said before this connection, where the conversation is resumed."""
        for number, exchange in enumerate(history[-TURNS:]):
            self._turns[-1, number] = _empty() | {"user": exchange.user, "agent": exchange.heard, "heard": exchange.heard}

    def look(self) -> View:
        """The view as it is now; `changed` is then false until something changes."""
        self.changed = False
        turns = list(self._turns.values())
        return View(state=self._state, caption=self._caption, caption_final=self._final, turns=turns, spreads=self._spreads)

    def follow(self, message: ServerMessage) -> None:
        """Takes in a message that the listener was sent."""
        match message:
            case StateChanged():
                self._state = message.state
                if message.state == "INTERRUPTED":
                    self._turn()["interrupted"] = True
            case TranscriptUpdate():
                self._caption = message.text if message.understood else NOT_UNDERSTOOD
                self._final = message.final
                if message.final:
                    self._current = (message.turn, 0)
                    self._turn()["user"] = self._caption
            case AgentResponse():
                self._answer(message)
            case AgentHeard():
                self._turn()["heard"] = message.text
            case Sources():
                self._turn()["sources"] = [ShownPassage(title=p.title, score=p.score) for p in message.passages]
            case Latency():
                self._turn()["latency"] = dict(message.spans)
                if self._turn()["user"]:
                    self._measure(message.spans)
            case _:
                return
        self.changed = True

    def _answer(self, message: AgentResponse) -> None:
        turn, generation = self._current
        if message.turn != turn or generation not in (0, message.generation):
            self._current = (message.turn, message.generation)
        elif not generation:
            self._turns[message.turn, message.generation] = self._turns.pop((turn, 0), _empty())
            self._current = (message.turn, message.generation)
        self._turn()["agent"] = f"{self._turn()['agent']} {message.text}".strip()

    def _measure(self, spans: Mapping[str, float]) -> None:
        for name, value in spans.items():
            self._measured[name].append(value)
            median, p95 = np.percentile(self._measured[name], (50, 95))
            self._spreads[name] = Spread(len(self._measured[name]), float(median), float(p95))

    def _turn(self) -> Turn:
        turn = self._turns.setdefault(self._current, _empty())
        if len(self._turns) > TURNS:
            del self._turns[next(iter(self._turns))]
        return turn


def _empty() -> Turn:
    return Turn(user="", agent="", heard=None, interrupted=False, sources=[], latency={})


class Newest(Generic[T]):
    """Hands the newest view of a page to whoever waits for the next one."""

    def __init__(self) -> None:
        self._view: T | None = None
        self._count = 0
        self._changed = asyncio.Event()
        self._over = False

    def put(self, view: T) -> None:
        """Makes `view` the newest, in place of one that nobody has taken yet."""
        self._view = view
        self._count += 1
        self._changed.set()

    def end(self) -> None:
        """Ends `follow`: no more views come."""
        self._over = True
        self._changed.set()

    async def follow(self) -> AsyncIterator[T]:
        """Yields the view that is the newest whenever the reader is ready for one, until the end."""
        seen = 0
        while not self._over:
            if seen == self._count or self._view is None:
                self._changed.clear()
                await self._changed.wait()
            else:
                seen = self._count
                yield self._view
