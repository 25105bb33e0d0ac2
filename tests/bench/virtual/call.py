"""A call in virtual time: the real `Session` and a listener that acknowledges what it plays, in one event loop, without a transport
between them. Every 20 ms a frame of the microphone goes in and a frame of the voice comes out."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from app.conversation.context import ConversationContext
from app.conversation.session import Session
from app.core.clock import LoopClock
from app.core.latency import Spans
from app.core.resampler import Resampler
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import ClientMessage, ServerMessage
from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import SPEAKING_RATE, Exchange, Pcm, Services
from tests.bench.client import FRAME_S, Call, Message
from tests.bench.clips import RATE
from tests.bench.virtual.costs import Costs
from tests.bench.virtual.room import in_a_room
from tests.bench.virtual.workers import VirtualWorkers
from tests.unit import virtual_time

ECHO_DB, DELAY_S = -20.0, 0.04  # of a speakerphone
NOON_MS = 1_767_268_800_000.0  # 1 January 2026, 12:00 UTC: when every conversation begins
CLIENT: TypeAdapter[Any] = TypeAdapter(ClientMessage)


class VirtualClock(LoopClock):
    def epoch_ms(self) -> float:
        return NOON_MS + self.ms()


class Room:
    """That of a speakerphone: what the loudspeaker plays comes back to the microphone, ECHO_DB weaker and DELAY_S later."""

    def __init__(self) -> None:
        self._resampler = Resampler(SPEAKING_RATE, RATE)
        self._coming = np.zeros(0)  # at the microphone, from now on

    def play(self, samples: Pcm, gain: float) -> None:
        """The last 20 ms, int16 mono at SPEAKING_RATE."""
        back = in_a_room(self._resampler.feed(samples).astype(np.float32) * gain * 10 ** (ECHO_DB / 20), whole=True)
        end = round((DELAY_S - FRAME_S) * RATE) + len(back)
        self._coming = np.pad(self._coming, (0, max(0, end - len(self._coming))))
        self._coming[end - len(back) : end] += back

    def with_echo(self, heard: Pcm) -> Pcm:
        """What the microphone hears, where it would hear `heard` without the agent."""
        size = len(heard)
        echo, self._coming = np.pad(self._coming[:size], (0, max(0, size - len(self._coming)))), self._coming[size:]
        return np.clip(heard + echo, -32768, 32767).astype(np.int16)


class Notes:
    """What happened inside the session: (loop time in s, name of the event)."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        if entry["kind"] == "event":
            self.events.append((asyncio.get_running_loop().time(), entry["event"]["type"]))

    def changed(self, context: ConversationContext) -> None: ...

    def measured(self, context: ConversationContext, turn: int, reply: Spans | None, stop: Spans | None) -> None: ...


class VirtualCall(Call):
    def __init__(self, session: Session, room: Room | None = None) -> None:
        """In a `room` the microphone hears the agent too."""
        super().__init__(RATE)
        self.speaker.rate = SPEAKING_RATE
        self._session = session
        self._room = room
        self._told: asyncio.Queue[ServerMessage] = asyncio.Queue()
        session.attach(self._told.put_nowait)
        self.spawn(self._listen())
        self.spawn(session.run())
        session.start(greeting=False, resumed=False)
        self.spawn(self._stream())

    async def _stream(self) -> None:
        while True:
            heard = self.frame()
            if self._room is not None:
                heard = self._room.with_echo(heard)
            self._session.hear(heard)
            spoken = self._session.speak()
            if spoken.generation:
                self.heard(spoken.samples, spoken.generation, spoken.ms)
            if self._room is not None:
                self._room.play(spoken.samples, self.speaker.gain(self.now()))
            await self.pace()

    async def _listen(self) -> None:
        while True:
            await self.handle((await self._told.get()).model_dump(exclude_none=True))

    async def transmit(self, message: Message) -> None:
        self._session.receive(CLIENT.validate_python(message))


class Stage:
    """The models and the agent's own lines, loaded once; conversations are held on it one after the other, each in a loop of its
    own that begins at 0 s."""

    def __init__(self, settings: Settings, costs: Costs, workers: VirtualWorkers | None = None, echo: bool = False) -> None:
        """With `echo` the microphones hear the agent too."""
        self.settings = settings
        self._echo = echo
        self.workers = workers or VirtualWorkers(costs)
        cache = settings.weights_dir / "computed"
        self.services: Services = embedded(settings.weights_dir, cache, ENGLISH, settings.knowledge, self.workers)
        self.phrasebook = Phrasebook(ENGLISH)
        asyncio.run(self._warm())  # in a loop of its own, which ends what the services have begun beside their work
        virtual_time.run(self.phrasebook.speak_ahead(self.services.tts, settings.speed))

    async def _warm(self) -> None:
        for service in self.services.all().values():
            await service.warm()

    @contextlib.asynccontextmanager
    async def call(self, name: str, asked: str = "") -> AsyncIterator[tuple[VirtualCall, Notes]]:
        """A new conversation. `name` decides which of its lines the agent takes; `asked` is what it has asked last."""
        self.workers.begin()
        dialogue = Dialogue(self.phrasebook, self.services.retrieval.topics(), random.Random(name))
        memory = Memory(history=[Exchange("", asked)] if asked else [])
        notes = Notes()
        session = Session(name, AgentContext(self.services, dialogue, memory, self.settings, VirtualClock()), notes)
        call = VirtualCall(session, Room() if self._echo else None)
        try:
            await call.quiet(0.5)
            yield call, notes
        finally:
            await call.close()
