"""A session with the real models in real time, without a transport: what no listener may ever cause."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from app.conversation.session import Session
from app.core.clock import LoopClock
from app.core.resampler import Resampler
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import PlaybackDone, ServerMessage, Text
from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import HEARING_RATE, SPEAKING_RATE, Pcm, Services
from services.weights import fetch_all
from tests.bench.clips import HERE, clips

FRAME_S = 0.02
HEARD = HEARING_RATE // 50  # samples in a frame


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(_env_file=None, greeting=False)  # type: ignore[call-arg]


@pytest.fixture
async def services(settings: Settings, tmp_path: Path) -> AsyncIterator[Services]:
    fetch_all(settings.weights_dir)
    services = embedded(settings.weights_dir, settings.weights_dir / "computed", ENGLISH)
    await asyncio.gather(*(service.warm() for service in services.all().values()))
    yield services
    await asyncio.gather(*(service.close() for service in services.all().values()))


class Room:
    """A listener with a microphone: `microphone` makes the next frame from what the speaker plays."""

    def __init__(self, services: Services, settings: Settings) -> None:
        dialogue = Dialogue(Phrasebook(ENGLISH), services.retrieval.topics())
        self.session = Session("room", AgentContext(services, dialogue, Memory(), settings, LoopClock()))
        self.session.attach(self.on_message)
        self.messages: list[ServerMessage] = []

    def on_message(self, message: ServerMessage) -> None:
        self.messages.append(message)
        if message.type == "audio_end":
            done = PlaybackDone(generation=message.generation, played_ms=message.ms)
            asyncio.get_running_loop().call_later(0.1, self.session.receive, done)

    def states(self) -> list[str]:
        return [message.state for message in self.messages if message.type == "state"]

    async def live(self, microphone: Callable[[Pcm], Pcm], seconds: float) -> None:
        """Real time for `seconds`, or until the agent has finished a reply."""
        listening = asyncio.create_task(self.session.run())
        loop = asyncio.get_running_loop()
        due = start = loop.time()
        try:
            while loop.time() - start < seconds and self.states()[-2:] != ["SPEAKING", "LISTENING"]:
                self.session.hear(microphone(self.session.speak().samples))
                due += FRAME_S
                await asyncio.sleep(due - loop.time())
        finally:
            self.session.attach(lambda message: None)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.parametrize(("gain_db", "delay_s"), [(-6, 0.16), (-20, 0.30)])
async def test_the_agent_does_not_interrupt_itself(
    services: Services, settings: Settings, gain_db: float, delay_s: float
) -> None:
    room, resampler = Room(services, settings), Resampler(SPEAKING_RATE, HEARING_RATE)
    air: Pcm = np.zeros(int(delay_s * HEARING_RATE), np.int16)

    def microphone(played: Pcm) -> Pcm:
        nonlocal air
        air = np.concatenate((air, (resampler.feed(played) * 10 ** (gain_db / 20)).astype(np.int16)))
        echo, air = air[:HEARD], air[HEARD:]
        return echo

    room.session.start(greeting=False, resumed=False)
    room.session.receive(Text(text="How does Parley decide that somebody interrupts it?"))
    await room.live(microphone, 40)
    assert room.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING"]
    assert not [m for m in room.messages if m.type == "playback_stop"]


async def test_ten_minutes_of_noise_silence_and_clipping_are_survived(services: Services, settings: Settings) -> None:
    """Faster than real time; then a real question is still answered."""
    room = Room(services, settings)
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(HEARING_RATE * 60) * 800).astype(np.int16)
    clipped = np.where(rng.standard_normal(HEARING_RATE * 5) > 0, 32767, -32768).astype(np.int16)
    room.session.start(greeting=False, resumed=False)
    hearing = asyncio.create_task(room.session.run())
    for sound in [np.zeros(0, np.int16), np.zeros(HEARING_RATE * 5, np.int16), clipped, *[noise] * 10]:
        for at in range(0, len(sound), HEARING_RATE):
            room.session.hear(sound[at : at + HEARING_RATE])
            while room.session.hearing.behind > 100:  # noqa: ASYNC110 (the ears tell nobody when they have caught up)
                await asyncio.sleep(0.005)
    assert not hearing.done()
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)

    again = Room(services, settings)
    question = (clips(HERE, "question")[0].audio * 32767).astype(np.int16)
    spoken = np.concatenate((question, np.zeros(HEARING_RATE * 60, np.int16)))
    frames = iter(spoken[: len(spoken) // HEARD * HEARD].reshape(-1, HEARD))
    again.session.start(greeting=False, resumed=False)
    await again.live(lambda played: next(frames), 30)
    assert again.states()[-3:] == ["THINKING", "SPEAKING", "LISTENING"]
