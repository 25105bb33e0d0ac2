"""Conversations by script over real sessions with fake services, in real time: what they hand to the store is known exactly."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.conversation.session import Session
from app.protocol.messages import Interrupt, PlaybackProgress, Text
from app.reply.playout import FRAME_MS
from server.sessions.recorder import StoreRecorder
from server.store.records import SessionRecord, encode
from server.store.store import Store
from tests.unit.fakes import Caller, FakeLlm, fake_services

PIECES = ("This is one. ", "Now comes two. ", "And then three.")  # 250 ms a word
ACK_EVERY_S = 0.1


@dataclass
class Witness(StoreRecorder):
    """A journal that remembers what it was given."""

    store: Store
    entries: list[bytes] = field(default_factory=list)
    latest: SessionRecord | None = None

    def __post_init__(self) -> None:
        super().__init__(self)  # type: ignore[arg-type]

    def log(self, session_id: str, entry: Mapping[str, Any]) -> None:
        self.entries.append(encode(entry))
        self.store.log(session_id, entry)

    def save(self, record: SessionRecord) -> None:
        self.latest = record
        self.store.save(record)


class Listener(Caller):
    """A caller who acknowledges playback all the time, as the page does."""

    def __init__(self, session_id: str, journal: StoreRecorder) -> None:
        super().__init__(replace(fake_services(), llm=FakeLlm(pieces=PIECES)))
        self.session.id = session_id
        self.session.context.recorder = journal

    async def __aenter__(self) -> "Listener":
        await super().__aenter__()
        self._tasks.append(asyncio.create_task(self._acknowledge()))
        return self

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(ACK_EVERY_S)
            ledger = self.session.player.ledger
            if self.session.state == "SPEAKING" and ledger is not None:
                played = self.played(ledger.generation)
                self.session.receive(PlaybackProgress(generation=ledger.generation, played_ms=played))
                self.acknowledged(self.session)

    def acknowledged(self, session: Session) -> None:
        """The session has taken an acknowledgement."""

    async def say(self, seconds: float, then: float = 0.0) -> None:
        """By frames sent, not by the clock: a busy machine may send them late, and then many at once."""
        self.speaking = True
        await self._frames(seconds)
        self.speaking = False
        await self._frames(then)

    async def _frames(self, seconds: float) -> None:
        end = len(self.frames) + int(seconds * 1000 / FRAME_MS)
        while True:
            if len(self.frames) >= end:
                return
            await asyncio.sleep(FRAME_MS / 1000)

    async def ask(self, text: str) -> float:
        """A typed turn; returns the ms until its first audible frame."""
        began, heard = self.clock.ms(), len(self.frames)
        self.session.receive(Text(text=text))
        while True:
            for at, frame in self.frames[heard:]:
                if frame.samples.any():
                    return at - began
            heard = len(self.frames)
            if self.clock.ms() - began > 10_000:
                raise TimeoutError(f"{text!r} was not answered")
            await asyncio.sleep(0.005)

    async def converse(self, rng: random.Random, turns: int) -> list[float]:
        """Typed and spoken turns, some of them interrupted; returns the ms to the first audio of the typed ones. Raises
        AssertionError or TimeoutError when the conversation does not go on."""
        waits = []
        for turn in range(turns):
            if rng.random() < 0.7:
                waits.append(await self.ask(f"typed question {turn}"))
                await self.until("SPEAKING")
            else:
                await self.say(0.6)
                await self.until("SPEAKING")
            if rng.random() < 0.4:
                await asyncio.sleep(rng.uniform(0.1, 1.2))
                self.session.receive(Interrupt())
            await self.until("LISTENING")
        return waits
