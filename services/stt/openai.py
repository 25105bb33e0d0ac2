"""Speech to text by `/audio/transcriptions`: OpenAI, vLLM, speaches, whisper.cpp and whoever speaks like them."""

import asyncio
import io
import json
import wave
from typing import Any

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError, Transcript, closing
from services.health import Health
from services.http import Peer, Reading, Remote
from services.local import require_sound
from services.stt.local import SILENCE

MODEL = "gpt-4o-mini-transcribe"  # of OpenAI, where none is set
LANGUAGE = "en"


class OpenAiStt:
    """Sends a WAV file and reads the text as it comes: streamed where the server can, whole where it cannot."""

    def __init__(self, remote: Remote, health: Health) -> None:
        self._peer = Peer("stt", remote, health)

    async def warm(self) -> None:
        await self._peer.warm()

    async def close(self) -> None:
        await self._peer.close()

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", guess: str = "", thorough: bool = False
    ) -> Transcript:
        """Text of `audio` (HEARING_RATE). Silence is not sent. Raises ServiceError."""
        require_sound("stt", audio)
        if not len(audio) or np.abs(audio).max() < SILENCE:
            return Transcript("", 1.0)
        fields = {"language": LANGUAGE, "response_format": "json", "stream": "true", "prompt": prompt}
        fields["model"] = self._peer.model or (MODEL if self._peer.remote.is_openai else "whisper-1")
        sound = await asyncio.to_thread(wav, audio)
        files = {"file": ("speech.wav", sound, "audio/wav")}
        async with self._peer.post("audio/transcriptions", data=fields, files=files) as reading:
            if "text/event-stream" in reading.kind:
                return Transcript(await _streamed(reading))
            return Transcript(_whole(await reading.whole()))


def wav(audio: Audio) -> bytes:
    """`audio` (float32 -1..1, HEARING_RATE) as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(HEARING_RATE)
        writer.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _whole(body: bytes) -> str:
    try:
        return str(json.loads(body)["text"]).strip()
    except (ValueError, LookupError, TypeError) as error:
        raise ServiceError("stt", f"answers no JSON with a text: {body[:80]!r}") from error


async def _streamed(reading: Reading) -> str:
    text = ""
    async with closing(reading.events()) as events:
        async for event in events:
            if event.get("type") == "transcript.text.done":
                text = str(event.get("text", text))
            else:
                text += _delta(event)
    return text.strip()


def _delta(event: dict[str, Any]) -> str:
    """What an event adds: OpenAI's deltas, vLLM's chat-like chunks, or a segment a piece (speaches)."""
    if choices := event.get("choices"):
        return str((choices[0].get("delta") or {}).get("content") or "")
    if event.get("type") == "transcript.text.delta":
        return str(event.get("delta", ""))
    return f" {event['text']}" if "type" not in event and "text" in event else ""
