"""Text to speech by `/audio/speech`, streamed as raw PCM: OpenAI, speaches, Kokoro-FastAPI and whoever speaks like them."""

import re
from collections.abc import AsyncIterator

import numpy as np
import soxr

from services.base import SPEAKING_RATE, Pcm, ServiceError, Speech, closing
from services.health import Health
from services.http import Peer, Reading, Remote
from services.tts.cleaning import readable

MODEL = "gpt-4o-mini-tts"  # of OpenAI, where none is set
VOICE_RATE = 24_000  # Hz, of "pcm" (OpenAI's API reference, createSpeech), unless the answer names another
FIRST = 20  # ms in the first piece: what is there is heard at once
LATER = 200  # ms in the others
SPEEDS = (0.25, 4.0)  # that the API takes
_RATE = re.compile(r"rate=(\d+)")


class OpenAiTts:
    def __init__(self, remote: Remote, health: Health, voice: str) -> None:
        self._peer = Peer("tts", remote, health)
        self._voice = voice

    async def warm(self) -> None:
        await self._peer.warm()

    async def close(self) -> None:
        await self._peer.close()

    async def speak(self, clause: str, *, speed: float = 1.0) -> AsyncIterator[Speech]:
        """Speech in pieces of 20 ms (the first) and 200 ms, without word times. Raises ServiceError, also after a part."""
        if not (said := readable(clause)):
            return
        body = {"input": said, "voice": self._voice, "response_format": "pcm", "speed": min(max(speed, SPEEDS[0]), SPEEDS[1])}
        body["model"] = self._peer.model or (MODEL if self._peer.remote.is_openai else "tts-1")
        async with self._peer.post("audio/speech", json=body) as reading, closing(_speech(reading)) as pieces:
            async for piece in pieces:
                yield piece


async def _speech(reading: Reading) -> AsyncIterator[Speech]:
    if reading.kind.startswith("text/") or "json" in reading.kind:
        raise ServiceError("tts", f"answers {reading.kind} instead of audio")
    named = _RATE.search(reading.kind)
    rate = int(named[1]) if named else VOICE_RATE
    stream = soxr.ResampleStream(rate, SPEAKING_RATE, 1, dtype="int16") if rate != SPEAKING_RATE else None
    got, wanted, heard = b"", FIRST, False
    async with closing(reading.pieces()) as pieces:
        async for piece in pieces:
            got += piece
            if not heard and got.startswith(b"RIFF"):
                raise ServiceError("tts", "answers a WAV file instead of raw PCM")
            whole = len(got) // 2 * 2  # a sample may be cut between two pieces
            if whole >= wanted * rate * 2 // 1000:
                samples = _resampled(stream, got[:whole])
                got, heard = got[whole:], True
                if len(samples):  # the filter keeps the first ones back
                    wanted = LATER
                    yield Speech(samples)
    rest = _resampled(stream, got[: len(got) // 2 * 2], last=True)
    if len(rest):
        yield Speech(rest)
    elif not heard:
        raise ServiceError("tts", "answers no sound")


def _resampled(stream: "soxr.ResampleStream | None", sound: bytes, last: bool = False) -> Pcm:
    samples = np.frombuffer(sound, "<i2")
    return np.asarray(samples if stream is None else stream.resample_chunk(samples, last=last), np.int16)
