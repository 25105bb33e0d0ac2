"""What the conversation needs from the outside world: one Protocol a capability, and the values they exchange.

`app` knows these names only. What is embedded lives in `services/<capability>/`, a vendor's in `vendors/` or in another package.

Errors: to a caller in `app` only `ServiceError` is raised. Ours raise it themselves; whatever a vendor of another package raises,
its guard (`services.guard`) makes one of it.
    ServiceError
    +-- ServiceTimeout      the peer or the model took too long
    +-- ServiceUnavailable  not reachable, not configured, over its limit
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from services.health import Health

HEARING_RATE = 16_000  # Hz: what the models listen to
SPEAKING_RATE: Final = 48_000  # Hz: what leaves for the listener
VAD_WINDOW = 512  # samples at HEARING_RATE: 32 ms, Silero's window

Pcm = NDArray[np.int16]  # mono, shape (samples,)
Audio = NDArray[np.float32]  # mono, shape (samples,), -1..1
SpeakerEmbedding = NDArray[np.float32]  # of a speaker: shape (values,), of length 1


T = TypeVar("T")


def closing(source: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncIterator[T]]:
    """Closes a generator when whoever reads it leaves off, at once and not when it is collected: a server behind it is to stop."""
    return cast(AbstractAsyncContextManager[AsyncIterator[T]], aclosing(cast(Any, source)))


class ServiceError(Exception):
    """A capability failed; `service` names it ("stt", "tts", ...) for the log and for the apology."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(f"{service}: {message}")
        self.service = service


class ServiceTimeout(ServiceError):
    """The service took longer than its limit."""


class ServiceUnavailable(ServiceError):
    """The service cannot be reached, is not configured or refuses work."""


UNKNOWN_END = 0.85  # `Transcript.sentence_end` of a service that does not tell it: between what it is at ends and in pauses


@dataclass(frozen=True, slots=True)
class Transcript:
    """Recognised speech. `no_speech` is the model's belief (0..1) that nothing was said, `sentence_end` that the sentence ends
    where the text does, `ending` that the speaker stops there for good, by the sound of it (None: not told); `doubtful`: it
    would rather look again. `written` is all that was made of the sound, where not all of it is believed."""

    text: str
    no_speech: float = 0.0
    sentence_end: float = UNKNOWN_END
    doubtful: bool = False
    ending: float | None = None
    written: str = ""


@dataclass(frozen=True, slots=True)
class EarlyClass:
    """The first impression of a sound: the probability (0..1) that somebody speaks, and the words so far ("" for no speech)."""

    speech: float
    text: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What the user wants: a name from `intents.yaml` of the language, or `out_of_scope`. `confidence` is 0..1."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of knowledge. `score` tells how well it fits the query: about -1..1.2, see the retriever. `sentences` are those of
    `text` in order, each with its cosine similarity to the query; empty where the retriever does not know. `holds` is the belief
    (0..1) that it answers the query, 1 where the retriever does not judge."""

    id: str
    title: str
    text: str
    score: float = 0.0
    sentences: Sequence[tuple[str, float]] = ()
    holds: float = 1.0


class Deed(NamedTuple):
    """What a tool has done: its arguments as JSON, and what came of it, as a language model was told."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One finished turn as the listener knows it: `heard` holds only the words of the reply that were really heard. `done` is what
    tools have changed in it, whether or not anybody heard of it. A `private` one is remembered while the conversation lasts and is
    never written down."""

    user: str
    heard: str
    done: tuple[Deed, ...] = ()
    private: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a language model may do while it answers. `parameters` is the JSON Schema of the arguments; `run` takes them
    as JSON text and returns what to tell the model, also when it fails: it raises nothing."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer is made from. A language model is told who it is by `instructions`, and may use `tools`. `done` is what tools
    have already changed for this turn: an answer to its beginning was given up."""

    text: str
    intent: Intent
    passages: Sequence[Passage]
    history: Sequence[Exchange] = field(default=())
    instructions: str = ""
    tools: Sequence[Tool] = field(default=())
    done: Sequence[Deed] = field(default=())


class Word(NamedTuple):
    """A spoken word: the ms at which its own sound begins and ends, pauses around it left out."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of synthesised speech: int16 mono at SPEAKING_RATE. `words` has their times from the start of this piece, where the
    voice knows them; empty where it does not (the ledger then spreads words by their length)."""

    samples: Pcm
    words: Sequence[Word] = ()


class Service(Protocol):
    """Common to all: `warm` loads weights and runs once (called at start, in parallel); `close` frees what it holds."""

    async def warm(self) -> None:
        """Loads what is needed, so that the first use takes no longer than others. Raises ServiceError."""

    async def close(self) -> None:
        """Frees what is held."""


class EchoCanceller(Protocol):
    """The state of echo cancellation for one conversation."""

    present: bool  # the agent's own voice comes back through the microphone
    suspected: bool  # it may, or somebody hums on its pitch: soon it is known

    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        """`heard` without what of `played` comes back in it: int16 mono at HEARING_RATE, all of one length. Takes time: for the
        thread of voice detection (`VoiceDetector.probability`), not for the event loop."""


class EchoCancellation(Service, Protocol):
    """Takes the agent's own voice out of what is heard."""

    def canceller(self) -> EchoCanceller:
        """One for each conversation."""


class VoiceDetector(Protocol):
    """The state of voice detection for one conversation; windows are fed in order."""

    async def probability(self, window: Audio | Callable[[], Audio]) -> float:
        """Probability (0..1) that this window of VAD_WINDOW samples holds speech. A function is called for the window on the thread
        that looks at it."""

    def reset(self) -> None:
        """What was heard so far is forgotten."""


class VoiceActivityDetection(Service, Protocol):
    """Tells voice from other sound."""

    def detector(self) -> VoiceDetector:
        """A fresh streaming detector."""


class EndOfTurn(Service, Protocol):
    """Does the sentence sound finished?"""

    async def complete(self, audio: Audio) -> float:
        """Probability (0..1) that the speaker has finished the turn; `audio` is the turn so far (the last 8 s are used)."""


class SpeakerEncoder(Service, Protocol):
    """Whose voice is it?"""

    async def voice(self, audio: Audio) -> SpeakerEmbedding:
        """The vector of the voice in `audio` (speech alone): of length 1, so that the product of two is how alike they are (-1..1).
        Raises ServiceError for less than a fifth of a second."""


class BurstJudge(Service, Protocol):
    """What is a burst of sound over the agent?"""

    async def classify(self, audio: Audio) -> EarlyClass:
        """What the beginning of a sound over the agent is: `audio` is some 200 ms from before it and 200 ms or more of it."""

    async def words(self, audio: Audio) -> str:
        """What was said in a whole burst, "" where nothing was."""


class SpeechToText(Service, Protocol):
    """Speech to text."""

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        """Text of `audio`. `final=False` is a partial: it yields to finals and may be skipped under load, raising
        ServiceUnavailable. `prompt` names words to expect, `draft` is what is probably said, or the beginning of it: what
        is right of it may cost the service less work, what is wrong changes nothing. `thorough`: it may take its time, and
        what is not plainly noise has words; a service that has one way to listen does so."""


class IntentClassifier(Service, Protocol):
    """What does the user want?"""

    async def classify(self, text: str) -> Intent:
        """The likeliest intent of a turn. Raises ServiceError."""


class Retriever(Service, Protocol):
    """Passages of the knowledge."""

    async def search(self, text: str, limit: int = 3, history: Sequence[Exchange] = ()) -> list[Passage]:
        """The `limit` best passages, best first, with their scores. A follow-up ("why?", "tell me more") is resolved from
        `history` first."""

    def vocabulary(self) -> str:
        """Names and rare words of the knowledge, as a prompt for speech-to-text."""

    def topics(self) -> list[str]:
        """Titles to offer when an answer is not known."""


class Answerer(Service, Protocol):
    """Makes the text of an answer."""

    def answer(self, question: Question) -> AsyncIterator[str]:
        """The reply's text, piece by piece as it is made (any size). Nothing at all means: not known."""


class TextToSpeech(Service, Protocol):
    """Text to speech. `voices` are the names of those that may be chosen; none where there is only one."""

    @property
    def voices(self) -> Sequence[str]:
        """Names of voices."""

    def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        """Speech for one clause, in pieces as they are made. Text with nothing to say yields nothing. `voice` is one of `voices`,
        or "" for the usual one."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a conversation talks to; made once at start and shared by all sessions. `model` is a language model, where one is
    configured; `llm` answers without one, and where it fails. `remote` names the capabilities that leave this process: nothing
    that the user may still take back is given to them. `waited_s` says for how long work for the embedded models has waited.
    `others` are those of the other languages that a conversation may be held in, by their codes."""

    echo: EchoCancellation
    vad: VoiceActivityDetection
    turn: EndOfTurn
    barge_in: BurstJudge
    speaker: SpeakerEncoder
    stt: SpeechToText
    intent: IntentClassifier
    retrieval: Retriever
    llm: Answerer
    tts: TextToSpeech
    model: Answerer | None = None
    remote: frozenset[str] = frozenset()
    health: Health = field(default_factory=Health)
    waited_s: Callable[[], float] = lambda: 0.0
    others: Mapping[str, "Services"] = field(default_factory=dict)

    def all(self) -> dict[str, Service]:
        """The services by name, in the order of this class, then those that another language has of its own, as "stt de"."""
        kinds = ("remote", "health", "waited_s", "others")
        found = {name: service for name in self.__slots__ if name not in kinds and (service := getattr(self, name)) is not None}
        for code, other in self.others.items():
            own = {name: service for name, service in other.all().items() if service is not found.get(name)}
            found |= {f"{name} {code}": service for name, service in own.items()}
        return found
