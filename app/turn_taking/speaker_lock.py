"""The voice of the user, learned from their own turns, to tell it from a bystander's. It is kept with the conversation, in
memory alone, and ends with it."""

import logging

import numpy as np

from app.turn_taking import bystander
from services.base import HEARING_RATE, VAD_WINDOW, Audio, ServiceError, SpeakerEmbedding, SpeakerEncoder

log = logging.getLogger(__name__)

LEAST_S = 0.4  # of speech in a turn, for it to tell of the voice
KNOWN_S = 0.8  # of speech in all turns, before another voice is compared with it
LONGEST_S = 30.0  # of speech that the voice is made of: what is older counts less
RANGE_DB = 25.0  # below the loud parts of a stretch: breath and pauses, which tell of the room


class SpeakerLock:
    """The voice of one conversation's user."""

    def __init__(self, encoder: SpeakerEncoder) -> None:
        self._encoder = encoder
        self._voice: SpeakerEmbedding | None = None
        self._seconds = 0.0  # of speech it is made of

    @property
    def known(self) -> bool:
        """Whether enough of the user's voice was heard to tell it from another."""
        return self._voice is not None and self._seconds >= KNOWN_S

    async def learn(self, audio: Audio, in_doubt: bool = False) -> bool:
        """Learns from `audio`, the sound of a turn that has ended, and returns whether it was the user's: a turn that is
        `in_doubt` counts only where its voice is known to be theirs."""
        speech = speech_of(audio)
        seconds = len(speech) / HEARING_RATE
        voice = await self._encode(speech) if seconds >= LEAST_S else None
        if in_doubt and not self._is_theirs(voice, seconds):
            return False
        if voice is not None:
            before = self._voice if self._voice is not None else np.zeros_like(voice)
            mean = before * self._seconds + voice * seconds
            self._voice = np.asarray(mean / np.linalg.norm(mean), np.float32)
            self._seconds = min(self._seconds + seconds, LONGEST_S)
        return True

    def _is_theirs(self, voice: SpeakerEmbedding | None, seconds: float) -> bool:
        if voice is None or self._voice is None or not self.known:
            return False
        return bystander.by_voice(float(voice @ self._voice), 1000 * seconds) > 0

    async def likeness(self, audio: Audio) -> float | None:
        """The likeness of the voice in `audio` to the user's (-1..1, the cosine between them); None where the user's voice is
        not known, or the service fails."""
        voice = await self._encode(speech_of(audio)) if self.known else None
        return None if voice is None or self._voice is None else float(voice @ self._voice)

    async def _encode(self, speech: Audio) -> SpeakerEmbedding | None:
        try:
            voice = await self._encoder.voice(speech)
        except ServiceError as error:
            log.warning("whose voice it is cannot be told: %s", error)
            return None
        if not 0.0 < float(np.linalg.norm(voice)) < np.inf:  # once learned from, it would never be another's again
            log.warning("whose voice it is cannot be told: no vector of a voice")
            return None
        return voice


def speech_of(audio: Audio) -> Audio:
    """The windows of `audio` that are not much weaker than its loud parts."""
    windows = audio[: len(audio) // VAD_WINDOW * VAD_WINDOW].reshape(-1, VAD_WINDOW)
    if not len(windows):
        return audio[:0]
    level = 10 * np.log10(np.square(windows).mean(axis=1) + 1e-10)
    return np.ascontiguousarray(windows[level > np.percentile(level, 95) - RANGE_DB].reshape(-1))
