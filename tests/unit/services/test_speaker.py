"""The user's voice: learned from the user's own turns, and compared with who else is heard."""

import numpy as np
import pytest

from app.turn_taking.speaker_lock import SpeakerLock, speech_of
from services.base import HEARING_RATE, Audio, ServiceError, SpeakerEmbedding
from tests.unit.fakes import FakeSpeaker
from tests.unit.virtual_time import run


def sound(seconds: float, level: float = 0.1) -> Audio:
    return np.random.default_rng(0).normal(0, level, int(seconds * HEARING_RATE)).astype(np.float32)


def test_a_voice_is_known_after_enough_speech_and_told_from_another() -> None:
    async def scene() -> tuple[float | None, float | None, float | None]:
        speaker = FakeSpeaker(who=1)
        user = SpeakerLock(speaker)
        await user.learn(sound(0.6))
        early = await user.likeness(sound(1.0))
        await user.learn(sound(0.6))
        same = await user.likeness(sound(1.0))
        speaker.who = 2
        return early, same, await user.likeness(sound(1.0))

    assert run(scene()) == (None, 1.0, 0.0)


def test_a_word_tells_nothing_of_a_voice() -> None:
    async def scene() -> bool:
        user = SpeakerLock(FakeSpeaker())
        for _ in range(10):
            await user.learn(sound(0.3))
        return user.known

    assert run(scene()) is False


def test_a_turn_in_doubt_tells_of_a_voice_only_where_it_is_known_to_be_the_users() -> None:
    async def scene() -> list[object]:
        speaker = FakeSpeaker(who=1)
        user = SpeakerLock(speaker)
        seen: list[object] = [await user.learn(sound(5.0), in_doubt=True), user.known]
        seen += [await user.learn(sound(5.0)), await user.learn(sound(5.0), in_doubt=True)]
        speaker.who = 2
        seen += [await user.learn(sound(5.0), in_doubt=True)]
        speaker.who = 1
        return [*seen, await user.likeness(sound(1.0))]

    assert run(scene()) == [False, False, True, True, False, 1.0]


def test_what_is_older_counts_less() -> None:
    """Somebody else has taken the microphone: after a while theirs is the user's voice."""

    async def scene() -> float | None:
        speaker = FakeSpeaker(who=1)
        user = SpeakerLock(speaker)
        await user.learn(sound(10.0))
        speaker.who = 2
        for _ in range(20):
            await user.learn(sound(5.0))
        return await user.likeness(sound(1.0))

    assert (run(scene()) or 0.0) > 0.9


def test_a_model_that_fails_tells_nothing() -> None:
    class Failing(FakeSpeaker):
        async def voice(self, audio: Audio) -> SpeakerEmbedding:
            raise ServiceError("speaker", "away")

    async def scene() -> float | None:
        user = SpeakerLock(Failing())
        await user.learn(sound(5.0))
        return await user.likeness(sound(1.0))

    assert run(scene()) is None


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_what_is_no_voice_is_not_learned(value: float) -> None:
    class Odd(FakeSpeaker):
        async def voice(self, audio: Audio) -> SpeakerEmbedding:
            return np.full(10, value, np.float32) if self.who < 0 else await super().voice(audio)

    async def scene() -> tuple[float | None, float | None]:
        speaker = Odd(who=-1)
        user = SpeakerLock(speaker)
        await user.learn(sound(5.0))
        nobody = await user.likeness(sound(1.0))
        speaker.who = 1
        await user.learn(sound(5.0))
        return nobody, await user.likeness(sound(1.0))

    assert run(scene()) == (None, 1.0)


def test_pauses_are_no_part_of_a_voice() -> None:
    audio = np.concatenate([sound(1.0), sound(2.0, 0.001), sound(1.0)])
    assert abs(len(speech_of(audio)) / HEARING_RATE - 2.0) < 0.1
    assert len(speech_of(audio[:100])) == 0
