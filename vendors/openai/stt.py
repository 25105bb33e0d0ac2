"""Speech to text by `/audio/transcriptions`: OpenAI, vLLM, speaches, whisper.cpp and whoever speaks like them."""

import asyncio
import io
import re
import wave
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from services.base import HEARING_RATE, Audio, ServiceError, Transcript, closing
from services.endpoint import Endpoint
from services.health import Health
from services.onnx_model import require_sound
from services.stt.whisper import SILENCE
from services.vendors import ServiceSettings
from vendors.http.body import HttpBody, text_in
from vendors.http.client import Fields, HttpClient
from vendors.openai import with_model
from vendors.openai.delta import choices, delta_of

MODEL = "gpt-4o-mini-transcribe"  # of OpenAI, where none is set
OURS = "parley-"  # how the names of our own server's models begin
FIGURES = TypeAdapter(Transcript)
# What recognisers write beside the words: tokens of Whisper and NeMo, "[BLANK_AUDIO]", "(coughing)", "*sighs*", notes of music, the
# ">>" of another speaker, what Qwen and Voxtral begin with, times and tags of subtitles. "(212) 555-0100" and "file(s)" are words.
_BESIDE = re.compile(
    r"\A\s*(?:language [\w ,]{0,40}<asr_text>|lang:[a-z]{2,3}\b)|<\|[^|<>]{0,40}\|>|<(?:sil|unk|blank|noise|spn|pad)>"
    r"|\[[^\[\]]{0,60}\]|(?<!\w)\([^()\d]{0,60}\)|（[^（）\d]{0,60}）|【[^【】]{0,60}】|(?<![\w*])\*[^\s*\d][^*\d]{0,40}\*(?!\w)"
    r"|[♪♫♬⁇]|(?<!\S)>{2,3}(?!\S)|</?(?:[vcibu]|font|lang|ruby|rt)(?:[. ][^<>]{0,60})?>|<\d\d:[\d:.]{1,12}>|"
    r"^[^\S\n]*\d{1,6}(?=[^\S\n]*\n[^\S\n]*\d\d:)[^\S\n]*$|^[^\S\n]*(?:\d\d:)?\d\d:\d\d[.,]\d{3} --> .*$",
    re.MULTILINE,
)
_REMARKS = ("WEBVTT", "NOTE", "STYLE", "REGION")  # how the blocks of WebVTT begin that are not said
LONGEST = 8000  # characters of a turn, which has 30 s
# Where the text of an answer stands, by the first of these that is there: OpenAI's own, what others call it (whisper.cpp writes a
# list of pieces there), and the pieces of an answer that has nothing else.
_TEXTS = ("text", "transcription", "transcript", "segments")


class OpenAiStt:
    """Sends a WAV file and reads the text as it comes: streamed where the server can, whole where it cannot."""

    guarded = True

    def __init__(self, endpoint: Endpoint, health: Health, language: str = "") -> None:
        """`language`: its ISO 639 code; "": the service finds out."""
        self._peer = HttpClient("stt", with_model(endpoint, MODEL), health, usual="whisper-1")
        self._language = language

    @property
    def ours(self) -> bool:
        """The service is deploy/ray/models.py, which tells more of a recording than the text."""
        return self._peer.model.startswith(OURS)

    async def warm(self) -> None:
        """Asks the server which models it has. Raises ServiceError."""
        await self._peer.warm()

    async def close(self) -> None:
        """Closes its connections."""
        await self._peer.close()

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        """Text of `audio` (HEARING_RATE). Silence is not sent. Raises ServiceError."""
        require_sound("stt", audio)
        if not len(audio) or np.abs(audio).max() < SILENCE:
            return Transcript("", 1.0)

        def build(refused: frozenset[str]) -> Fields:
            fields = {"language": self._language, "response_format": "json", "stream": "true", "prompt": prompt}
            if self.ours:
                fields |= {"response_format": "verbose_json", "thorough": str(thorough).lower()}
            return {name: value for name, value in fields.items() if name not in refused and (value or name != "language")}

        sound = await asyncio.to_thread(wav, audio)
        files = {"file": ("speech.wav", sound, "audio/wav")}
        async with self._peer.post("audio/transcriptions", build, files) as reading:
            return await (_verbose(reading) if self.ours else _plain(reading))


def vendor(settings: ServiceSettings) -> OpenAiStt:
    """OpenAI, or whoever speaks like it."""
    return OpenAiStt(settings.endpoint, settings.health, settings.language)


def wav(audio: Audio) -> bytes:
    """`audio` (float32 -1..1, HEARING_RATE) as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(HEARING_RATE)
        writer.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


async def _plain(reading: HttpBody) -> Transcript:
    return Transcript(await _text(reading))


async def _verbose(reading: HttpBody) -> Transcript:
    """The answer of our own server. Raises ServiceError for one that tells less."""
    async with closing(reading.events(plain=True)) as events:
        async for event in events:
            try:
                told = {name: event.get(name) for name in ("text", "no_speech", "doubtful")}
                return FIGURES.validate_python({**told, "sentence_end": event.get("closed")})
            except ValidationError as error:
                raise ServiceError("stt", f"does not tell {error.errors()[0]['loc'][0]}") from None
    raise ServiceError("stt", "answers no text")


async def _text(reading: HttpBody) -> str:
    """The text of an answer: JSON, plain text, or events. Raises ServiceError for one without any text: it is not the same as an
    empty one."""
    text, known = "", "text/plain" in reading.kind
    async with closing(reading.events(plain=True)) as events:
        async for event in events:
            kind = str(event.get("type") or "")
            if kind == "transcript.text.done":
                text = text_in("stt", event.get("text", text))
            elif (added := _added(event, kind)) is not None:
                text += added
            if len(text) > LONGEST:
                raise ServiceError("stt", f"heard more than {LONGEST} characters in one turn")
            known = known or kind.startswith("transcript.") or _added(event, kind) is not None
    if not known:
        raise ServiceError("stt", "answers no text")
    return " ".join(_BESIDE.sub(" ", _cues(text)).split())


def _cues(text: str) -> str:
    """What is said in `text`, where that is WebVTT."""
    if not text.lstrip().startswith("WEBVTT"):
        return text
    blocks = "\n".join(line.strip() for line in text.strip().splitlines()).split("\n\n")
    return "\n\n".join(block for block in blocks if not block.lstrip().startswith(_REMARKS))


def _added(event: dict[str, Any], kind: str) -> str | None:
    """What an event adds: OpenAI's deltas, vLLM's chat-like chunks, a segment a piece (speaches), or the whole text; None: it is
    none of these. Raises ServiceError for text that is none."""
    if event.get("choices"):
        return "".join(delta_of(choice, False).text for choice in choices(event))
    if kind == "transcript.text.delta":
        return text_in("stt", event.get("delta"))
    name = next((name for name in _TEXTS if name in event), None)
    if kind.startswith("transcript.") or name is None:
        return None
    parts = event[name] if isinstance(event[name], list) and name != "text" else [event[name]]
    texts = [part.get("text", part.get("transcript")) if isinstance(part, dict) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise ServiceError("stt", f"answers {event[name]!r:.80} where text is expected")
    return "".join(" " + text_in("stt", text) for text in texts)
