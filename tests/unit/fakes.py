"""Services without models, for the conversation's logic. Sound is scripted: a sample of value 1000 is voice, 0 is silence."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.conversation.context import ConversationContext
from app.conversation.session import Session
from app.core.clock import LoopClock
from app.core.latency import Spans
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import PlaybackDone, PlaybackStopped, ServerMessage, StateChanged
from app.reply.playout import FRAME_MS, Frame
from app.settings import Settings
from languages import find
from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    Audio,
    EarlyClass,
    Exchange,
    Intent,
    Passage,
    Pcm,
    Question,
    ServiceError,
    Services,
    SpeakerEmbedding,
    Speech,
    Transcript,
    Word,
)

VOICE = 1000
MS_PER_WORD = 250.0


class Fake:
    async def warm(self) -> None: ...

    async def close(self) -> None: ...


class FakeEcho(Fake):
    present = suspected = False

    def canceller(self) -> "FakeEcho":
        return self

    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        return heard


@dataclass
class FakeVad(Fake):
    voice: float = 0.95  # probability where there is sound

    def detector(self) -> "FakeVad":
        return self

    async def probability(self, window: Audio | Callable[[], Audio]) -> float:
        sound = window() if callable(window) else window
        return self.voice if float(np.abs(sound).mean()) * 32768 > VOICE / 2 else 0.02

    def reset(self) -> None: ...


@dataclass
class FakeTurn(Fake):
    complete_: float = 0.98
    asked: int = 0

    async def complete(self, audio: Audio) -> float:
        self.asked += 1
        await asyncio.sleep(0.06)
        return self.complete_


@dataclass
class FakeSpeaker(Fake):
    """Everybody has the voice `who`, a place among ten."""

    who: int = 0

    async def voice(self, audio: Audio) -> SpeakerEmbedding:
        await asyncio.sleep(0.02)
        return np.asarray(np.eye(10, dtype=np.float32)[self.who], np.float32)


@dataclass
class FakeJudge(Fake):
    """Takes every sound for speech that begins with `text`."""

    stt: "FakeStt"
    speech: float = 0.9
    text: str = "how does"

    async def classify(self, audio: Audio) -> EarlyClass:
        await asyncio.sleep(0.08)
        return EarlyClass(self.speech, self.text)

    async def words(self, audio: Audio) -> str:
        return (await self.stt.transcribe(audio, final=True)).text


@dataclass
class FakeStt(Fake):
    """Says `text` whatever it hears, and `closer`, if that is set, where it may take its time. Each call takes `delay_s`, and a
    closer look `closer_s`."""

    text: str = "how does it work"
    sentence_end: float = 0.95
    delay_s: float = 0.15
    error: ServiceError | None = None
    heard_s: list[float] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)
    closer: str | None = None
    closer_s: float = 0.4
    doubtful: bool = False
    no_speech: float = 0.0
    written: str = ""
    looks: int = 0  # that were close

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        if thorough:
            self.looks += 1
            await asyncio.sleep(self.closer_s)
            text = self.text if self.closer is None else self.closer
            return Transcript(text, self.no_speech, self.sentence_end, written=self.written)
        self.heard_s.append(len(audio) / HEARING_RATE)
        self.guesses.append(draft)
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return Transcript(self.text, self.no_speech, self.sentence_end, self.doubtful, written=self.written)


@dataclass
class FakeIntent(Fake):
    name: str = "question"
    delay_s: float = 0.01
    error: ServiceError | None = None

    async def classify(self, text: str) -> Intent:
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return Intent(self.name, 0.9)


@dataclass
class FakeRetrieval(Fake):
    delay_s: float = 0.01
    error: ServiceError | None = None

    async def search(self, text: str, limit: int = 3, history: Sequence[Exchange] = ()) -> list[Passage]:
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return [Passage("turns#one", "One", "The first passage.", 0.8)]

    def vocabulary(self) -> str:
        return "Parley"

    def topics(self) -> list[str]:
        return ["turn taking", "latency", "barge-in"]


@dataclass
class FakeLlm(Fake):
    pieces: Sequence[str] = ("The first sentence is here. ", "The second one follows now. ", "And this is the third of them.")
    delay_s: float = 0.02
    error: ServiceError | None = None
    fail_after: int = 0
    asked: list[Question] = field(default_factory=list)
    finished: int = 0

    async def answer(self, question: Question) -> AsyncIterator[str]:
        self.asked.append(question)
        for index, piece in enumerate(self.pieces):
            await asyncio.sleep(self.delay_s)
            if self.error is not None and index >= self.fail_after:
                raise self.error
            yield piece
        self.finished += 1


@dataclass
class FakeTts(Fake):
    """A constant tone for each clause, MS_PER_WORD a word; word times are told exactly."""

    delay_s: float = 0.02
    error: ServiceError | None = None
    spoken: list[str] = field(default_factory=list)
    asked: list[tuple[str, float]] = field(default_factory=list)  # for which voice and pace
    voices: Sequence[str] = ("coral", "sage")
    tail_ms: int = 0  # silence after each clause

    async def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        await asyncio.sleep(self.delay_s)
        self.asked.append((voice, speed))
        if self.error is not None:
            raise self.error
        self.spoken.append(clause)
        words = clause.split()
        samples = np.full(int(len(words) * MS_PER_WORD * SPEAKING_RATE / 1000), 500, np.int16)
        samples = np.pad(samples, (0, self.tail_ms * SPEAKING_RATE // 1000))
        yield Speech(samples, [Word(word, i * MS_PER_WORD, (i + 1) * MS_PER_WORD) for i, word in enumerate(words)])


def fake_services() -> Services:
    stt = FakeStt()
    return Services(
        FakeEcho(),
        FakeVad(),
        FakeTurn(),
        FakeJudge(stt),
        FakeSpeaker(),
        stt,
        FakeIntent(),
        FakeRetrieval(),
        FakeLlm(),
        FakeTts(),
    )


@dataclass
class Recorder:
    entries: list[Mapping[str, Any]] = field(default_factory=list)

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        self.entries.append(entry)

    def changed(self, context: ConversationContext) -> None: ...

    def measured(self, context: ConversationContext, turn: int, reply: Spans | None, stop: Spans | None) -> None: ...


class VirtualClock(LoopClock):
    """Wall-clock time goes with the loop's."""

    def epoch_ms(self) -> float:
        return 1_700_000_000_000 + self.ms()


class Caller:
    """Somebody on the line, in virtual time: sends sound in 20 ms frames, plays what comes back, and acknowledges it."""

    def __init__(
        self, services: Services | None = None, acknowledges: bool = True, memory: Memory | None = None, **settings: object
    ) -> None:
        self.services = services or fake_services()
        self.settings = Settings(**{"greeting": False, "_env_file": None, **settings})  # type: ignore[arg-type]
        self.recorder = Recorder()
        dialogue = Dialogue(Phrasebook(find(self.settings.language)), self.services.retrieval.topics())
        self.clock = VirtualClock()
        agent = AgentContext(self.services, dialogue, memory or Memory(), self.settings, self.clock)
        self.session = Session("test", agent, self.recorder)
        self.session.attach(self.on_message)
        self.messages: list[tuple[float, ServerMessage]] = []
        self.frames: list[tuple[float, Frame]] = []
        self.acknowledges = acknowledges
        self.speaking = False
        self.faults: set[str] = set()  # of ours, that the scene is about
        self.seen = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Caller":
        self._tasks = [asyncio.create_task(self.session.run()), asyncio.create_task(self._line())]
        self.session.start(greeting=True, resumed=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.session.attach(lambda message: None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.session.context.faults == self.faults, "something failed in the conversation: see its log"

    async def _line(self) -> None:
        """20 ms of sound each way, 50 times a second."""
        due = self.clock.ms()
        while True:
            self.session.hear(np.full(HEARING_RATE // 50, VOICE if self.speaking else 0, np.int16))
            frame = self.session.speak()
            self.frames.append((self.clock.ms(), frame))
            due += FRAME_MS
            await asyncio.sleep((due - self.clock.ms()) / 1000)

    def on_message(self, message: ServerMessage) -> None:
        self.messages.append((self.clock.ms(), message))
        if not self.acknowledges:
            return
        loop = asyncio.get_running_loop()
        if message.type == "audio_end":
            done = PlaybackDone(generation=message.generation, played_ms=message.ms)
            loop.call_later(0.04, self.session.receive, done)
        elif message.type == "playback_stop":
            stopped = PlaybackStopped(generation=message.generation, played_ms=self.played(message.generation))
            loop.call_later(0.02, self.session.receive, stopped)

    def played(self, generation: int) -> float:
        return sum(FRAME_MS for _, frame in self.frames if frame.generation == generation)

    async def say(self, seconds: float, then: float = 0.0) -> None:
        """Speaks for `seconds`, then is silent for `then` seconds."""
        self.speaking = True
        await asyncio.sleep(seconds)
        self.speaking = False
        await asyncio.sleep(then)

    async def until(self, state: str, limit: float = 20.0) -> None:
        """Waits until the session enters a state after the one waited for last; fails after `limit` virtual seconds."""
        end = self.clock.ms() + limit * 1000
        while True:
            for index in range(self.seen, len(self.messages)):
                message = self.messages[index][1]
                if isinstance(message, StateChanged) and message.state == state:
                    self.seen = index + 1
                    return
            assert self.clock.ms() < end, f"{state} was not reached: {self.states()}"
            await asyncio.sleep(0.01)

    def of(self, kind: str) -> list[ServerMessage]:
        return [message for _, message in self.messages if message.type == kind]

    def states(self) -> list[str]:
        return [message.state for message in self.of("state") if isinstance(message, StateChanged)]

    def audible(self, generation: int | None = None) -> list[Frame]:
        return [f for _, f in self.frames if f.generation and f.samples.any() and generation in (None, f.generation)]
