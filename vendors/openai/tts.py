"""Text to speech by `/audio/speech`, asked for raw PCM: OpenAI, speaches, Kokoro-FastAPI and whoever speaks like them."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence

import numpy as np
import soxr

from services.base import SPEAKING_RATE, Audio, ServiceError, Speech, closing
from services.endpoint import Endpoint
from services.health import Health
from services.tts.cleaning import readable
from services.vendors import ServiceSettings
from vendors.audio_formats import Shape, Track
from vendors.http.body import HttpBody
from vendors.http.client import Fields, HttpClient
from vendors.openai import is_openai, with_model

MODEL = "gpt-4o-mini-tts"  # of OpenAI, where none is set
# Those of OpenAI (API reference, createSpeech). Of another server nobody knows which there are: those that the settings name.
VOICES = tuple("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())
VOICE_RATE = 24_000  # Hz, of "pcm" (OpenAI's API reference, createSpeech), unless the settings or the answer name another
FIRST = 20  # ms in the first piece: what is there is heard at once
LATER = 200  # ms in the others
SPEEDS = (0.25, 4.0)  # that the API takes
RATES = (4000, 384_000)  # Hz
_RATE = re.compile(r"(?:(?:sample|frame)[-_ ]?rate|(?<![a-z_-])rate)\s*=\s*\"?(\d{1,6})")
_CHANNELS = re.compile(r"channels\s*=\s*\"?([1-8])\b")
_NUMBER = re.compile(r"(\d{1,6})(?:\.0{1,6})?(?: ?hz)?", re.ASCII | re.IGNORECASE)
# Headers in which servers tell what the kind of content does not.
_RATE_HEADER = re.compile(r"(?:x-)?(?:audio-)?sample-?rate", re.IGNORECASE)
_CHANNELS_HEADER = re.compile(r"(?:x-)?(?:audio-)?channels", re.IGNORECASE)


class OpenAiTts:
    """`rate` is that of raw PCM in Hz, where the answer does not tell it."""

    guarded = True

    def __init__(
        self, endpoint: Endpoint, health: Health, voice: str, rate: int = VOICE_RATE, voices: Sequence[str] = ()
    ) -> None:
        self.voices = tuple(voices) or (VOICES if is_openai(endpoint) else (voice,))
        self._peer = HttpClient("tts", with_model(endpoint, MODEL), health, usual="tts-1")
        self._voice = voice
        self._rate = rate

    async def warm(self) -> None:
        """Asks the server which models it has. Raises ServiceError."""
        await self._peer.warm()

    async def close(self) -> None:
        """Closes its connections."""
        await self._peer.close()

    async def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        """Speech in pieces of 20 ms (the first) and 200 ms, without word times. Raises ServiceError, also after a part."""
        if not (said := readable(clause)):
            return

        def build(refused: frozenset[str]) -> Fields:
            body = {
                "input": said,
                "voice": voice or self._voice,
                "response_format": "wav" if "pcm" in refused else "pcm",
                "speed": min(max(speed, SPEEDS[0]), SPEEDS[1]),
            }
            return {name: value for name, value in body.items() if name not in refused}

        async with self._peer.post("audio/speech", build) as reading, closing(_speech(reading, self._rate)) as pieces:
            async for piece in pieces:
                yield piece


def vendor(settings: ServiceSettings) -> OpenAiTts:
    """OpenAI, or whoever speaks like it."""
    return OpenAiTts(settings.endpoint, settings.health, settings.voice, settings.rate, settings.voices)


async def _speech(reading: HttpBody, rate: int) -> AsyncIterator[Speech]:
    if reading.kind.startswith("text/") or "json" in reading.kind:
        raise ServiceError("tts", f"answers {reading.kind} instead of audio")
    told = _told(reading, _RATE, _RATE_HEADER)
    rate = told if RATES[0] <= told <= RATES[1] else rate
    channels = _told(reading, _CHANNELS, _CHANNELS_HEADER)
    track = Track(Shape(rate, channels if 1 <= channels <= 8 else 1), reading.kind)
    out, heard = _Out(), False
    async with closing(reading.pieces()) as pieces:
        async for piece in pieces:
            for speech in out.take(track, track.feed(piece)):
                heard = True
                yield speech
    left = track.feed(b"", last=True)
    if track.packed:
        left = await asyncio.to_thread(track.unpacked)
    for speech in out.take(track, left, last=True):
        heard = True
        yield speech
    if not heard:
        raise ServiceError("tts", "answers no sound")


def _told(reading: HttpBody, in_kind: re.Pattern[str], header: re.Pattern[str]) -> int:
    """A number that the kind of content tells, or a header; 0 where neither does."""
    if named := in_kind.search(reading.kind):
        return int(named[1])
    values = (_NUMBER.fullmatch(value.strip()) for name, value in reading.headers.items() if header.fullmatch(name))
    return next((int(value[1]) for value in values if value), 0)


class _Out:
    """Makes pieces of FIRST, then of LATER ms at SPEAKING_RATE."""

    def __init__(self) -> None:
        self._got: Audio = np.zeros(0, np.float32)
        self._wanted = FIRST
        self._rate = SPEAKING_RATE
        self._stream: soxr.ResampleStream | None = None

    def take(self, track: Track, audio: Audio, last: bool = False) -> Iterator[Speech]:
        """The speech that `audio` of `track` completes; with `last` all that is left."""
        rate = track.shape.rate if track.shape is not None else SPEAKING_RATE
        if rate != self._rate:
            self._rate = rate
            self._stream = soxr.ResampleStream(rate, SPEAKING_RATE, 1, dtype="float32") if rate != SPEAKING_RATE else None
        self._got = np.concatenate((self._got, audio))
        if not last and len(self._got) < self._wanted * self._rate // 1000:
            return
        got, self._got = self._got, np.zeros(0, np.float32)
        louder = got if self._stream is None else self._stream.resample_chunk(got, last=last)
        samples = np.clip(np.rint(louder * 32768.0), -32768, 32767).astype(np.int16)
        if len(samples):  # the filter keeps the first ones back
            self._wanted = LATER
            yield Speech(samples)
