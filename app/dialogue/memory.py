"""What a conversation remembers from turn to turn, and keeps when it is resumed."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from app.core.session_settings import SessionSettings
from app.dialogue.last_reply import LastReply
from languages.tools import Arguments, Lately
from languages.wording import Wording
from services.base import Deed, Exchange

LATELY = 4  # exchanges whose names are expected to be heard again
NAMES = 6  # of them: the recogniser's prompt is short
WAITS = 5  # that are remembered: what is expected of the next one
LONG_WAIT = 2.5  # times `filler_after_ms`: an expected wait for which a short filler would not do
EARLY = 0.6  # of `filler_after_ms`: when a filler for so long a wait begins
LATE_MS = 400.0  # past the expected wait that an answer is given where it is about to come
MOST_GENERATIONS = 2**31  # a client that names a later one is wrong: half of what a message has room for


OF_KNOWLEDGE = "the knowledge"  # answered last, and not a tool: no tool has such a name


@dataclass(frozen=True, slots=True)
class Timer:
    """`due_ms` is wall-clock time, ms since 1970 (UTC), so that a resumed conversation still knows it. `about` is something to do
    ("check the oven"), `name` what the timer is called ("pasta"); one `at_time` was set for a time of day."""

    due_ms: float
    length_s: float
    about: str = ""
    name: str = ""
    at_time: bool = False

    def among(self, some: "Sequence[Timer]") -> bool:
        """Whether it is one of these very timers: two that were set at once are alike."""
        return any(self is other for other in some)


@dataclass(frozen=True, slots=True)
class Act:
    """An answer to a turn about the conversation itself: the clauses to say, and by what factor to change the pace and the
    volume."""

    clauses: list[str]
    speed: float = 1.0
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Before:
    """The timers as they were before the words of a turn changed them, those that were `spoken` of then, and what tools did to them
    since (`deeds` grows)."""

    timers: Sequence[Timer]
    spoken: Sequence[Timer] = ()
    deeds: list[Deed] = field(default_factory=list)


@dataclass(slots=True)
class TimerTalk:
    """What the last turn leaves of timers to be spoken of in few words: "make it ten", "never mind"."""

    spoken: Sequence[Timer] = ()  # those it spoke of
    rang: Timer | None = None  # one that has rung since
    undo: Sequence[Timer] | None = None  # all as they were before it, where it has changed any
    touched: bool = False  # the turn under way has spoken of some
    undone: bool = False  # it has taken something back, which is not taken back again

    def speak_of(self, timers: Sequence[Timer]) -> None:
        """The turn under way is about these."""
        self.spoken, self.touched = tuple(timers), True

    def turn_over(self, before: Sequence[Timer] | None, timers: Sequence[Timer]) -> None:
        """A turn is over, `before` which the timers were others; None where it has not changed them."""
        self.undo = before if before is not None and list(before) != list(timers) and not self.undone else None
        self.spoken = self.spoken if self.touched else ()
        self.rang, self.touched, self.undone = None, False, False


@dataclass(slots=True)
class Memory:
    """What the conversation remembers. `history` holds heard words only; `unheard` are the clauses that the last reply still
    had to say."""

    history: list[Exchange] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)
    last: LastReply | None = None  # of which a listener that comes back may say how far he came
    speed: float = 1.0
    gain: float = 1.0
    turn: int = 0  # the last one's number
    generation: int = 0  # the last reply's
    timers: list[Timer] = field(default_factory=list)
    talk: TimerTalk = field(default_factory=TimerTalk)
    before: Before | None = None  # the turn that is being answered, where its words have changed the timers
    asked: str = ""  # the tool that has asked for what it must know
    request: str = ""  # the turn that it asked about
    told: tuple[str, Arguments] = ("", {})  # the tool that answered last, and with what: the next turn may lean on it
    done: list[Deed] = field(default_factory=list)  # what tools have changed since the last exchange of `history`
    done_before: int = 0  # how many of them for a turn that went on: for its words they are not done again
    private: int = 0  # exchanges to come of which something was said while nothing was to be written down
    settings: SessionSettings = field(default_factory=SessionSettings)  # of this conversation, where they are not the process's
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=WAITS))  # ms from a turn's end to its answer's first sound

    def go_on(self) -> None:
        """Takes back what the words of the turn being answered have done to the timers: that turn goes on, and all of its words
        will be taken for an order again."""
        if self.before is not None:
            self.timers[:] = self.before.timers
            self.talk.spoken = self.before.spoken
            self.done = [deed for deed in self.done if deed not in self.before.deeds]
            self.before = None
        self.talk.touched = self.talk.undone = False
        self.done_before = len(self.done)

    def turn_over(self) -> None:
        """A turn of the user's has been answered."""
        self.talk.turn_over(self.before.timers if self.before is not None else None, self.timers)

    def lately(self) -> Lately:
        """What is left of the last turn to be spoken of in few words."""
        changed = self.talk.undo is not None or (self.before is not None and list(self.before.timers) != self.timers)
        return Lately([timer for timer in self.talk.spoken if timer.among(self.timers)], self.talk.rang, changed)

    def adjust(self, act: Act) -> None:
        """Changes the pace and the volume as `act` says, within bounds."""
        self.speed = min(2.0, max(0.5, self.speed * act.speed))
        self.gain = min(3.0, max(0.2, self.gain * act.gain))

    def played(self, generation: int, played_ms: float) -> None:
        """Corrects the history by what a listener who is back has played: `played_ms` of `generation`, the last one that they
        heard of. That counts more than what was estimated or known before, and later generations get numbers that the listener
        does not know."""
        last, self.generation = self.last, max(self.generation, generation if generation < MOST_GENERATIONS else 0)
        if last is None or (reached := last.reached(generation, played_ms)) is None:
            return
        unheard, answers = last.unheard(reached), last.remembered and any(exchange.user for exchange in self.history[-1:])
        if unheard or answers:  # a prompt that was heard takes nothing away from the reply before it
            self.unheard = unheard
        self.history = last.history(self.history, reached)

    def names(self, wording: Wording) -> list[str]:
        """Names in the latest exchanges, the newest first: they are likely to be said again."""
        texts = (text for exchange in reversed(self.history[-LATELY:]) for text in (exchange.user, exchange.heard))
        return list(dict.fromkeys(name for text in texts for name in wording.name.findall(text)))[:NAMES]

    def filler(self, after_ms: float) -> tuple[str, float]:
        """Which filler to say, and how long (ms) after the turn's end: the median of the last waits is taken for the next one."""
        expected = median(self.waits) if self.waits else after_ms
        if expected >= LONG_WAIT * after_ms:
            return "filler_long", after_ms * EARLY
        return "filler", max(after_ms, expected + LATE_MS) if expected > after_ms else after_ms

    @property
    def is_private(self) -> bool:
        """Whether nothing that is said now is to be written down."""
        return self.settings.recording is False or self.private > 0

    @property
    def last_heard(self) -> str:
        """The last words of the agent that the user heard; "" where there are none."""
        return next((exchange.heard for exchange in reversed(self.history) if exchange.heard), "")
