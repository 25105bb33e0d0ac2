"""Ears and voice behind OpenAI's HTTP API, as `--stt URL` and `--tts URL` speak it. Who hears and who speaks is given: on Ray Serve
these are deployments of `models.py`.

`/v1/audio/transcriptions` takes WAV. `response_format=verbose_json` adds what a conversation weighs besides the text, under the
names of `Transcript`: `no_speech` and `closed` (0..1) and `doubtful`; and the form's `thorough` is that of `SpeechToText`.
`/v1/audio/speech` answers raw PCM, 16 bits, little-endian, mono, at the rate that its Content-Type tells.
Refusals have OpenAI's shape, `{"error": {"message", "type", "param"}}`.
"""

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Literal

import numpy as np
import soxr
from fastapi import FastAPI, File, Form, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as HttpError

from deploy.ray.batched_whisper import Asked
from languages.base import Language
from services.base import HEARING_RATE, SPEAKING_RATE, Audio, ServiceError, ServiceUnavailable, Transcript
from services.stt.whisper import LONGEST_S

MOST_BYTES = 12_000_000  # of a request: LONGEST_S of 48 kHz stereo in 16 bits
EARS, VOICE = "parley-whisper-base", "parley-hibari"

Recognise = Callable[[Asked], Awaitable[Transcript]]
Speak = Callable[[str, float], AsyncIterator[bytes]]


class Speech(BaseModel):
    """A request for speech."""

    input: str = Field(min_length=1, max_length=4096)
    model: str = VOICE
    voice: str = ""
    response_format: Literal["pcm"] = "pcm"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)


def api(recognise: Recognise, speak: Speak, language: Language) -> FastAPI:
    """The routes of OpenAI's audio API that Parley uses, for ears and a voice of this `language`."""
    app = FastAPI(title="Parley's models", docs_url=None, redoc_url=None)
    _refusals(app)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "parley"} for name in (EARS, VOICE)]}

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(
        file: Annotated[bytes, File()],
        prompt: Annotated[str, Form(max_length=4096)] = "",
        thorough: Annotated[bool, Form()] = False,
        response_format: Annotated[Literal["json", "text", "verbose_json"], Form()] = "json",
        spoken: Annotated[str, Form(alias="language")] = "",
    ) -> Response:
        if spoken and spoken.lower().replace("_", "-").partition("-")[0] not in (language.code, language.name.lower()):
            # Not as a fault of a parameter: whoever leaves that out is heard in the wrong language.
            raise HTTPException(400, f"{EARS}: hears {language.code} and nothing else")
        audio = await asyncio.to_thread(decoded, file)
        heard = await recognise(Asked(audio, prompt, thorough))
        if response_format == "text":
            return PlainTextResponse(heard.text)
        if response_format == "json":
            return JSONResponse({"text": heard.text})
        figures = {"no_speech": heard.no_speech, "closed": heard.sentence_end, "doubtful": heard.doubtful}
        more = {"task": "transcribe", "language": language.name.lower(), "duration": len(audio) / HEARING_RATE, "segments": []}
        return JSONResponse({"text": heard.text, **more, **figures})

    @app.post("/v1/audio/speech")
    async def speech(asked: Speech) -> Response:
        return StreamingResponse(speak(asked.input, asked.speed), media_type=f"audio/pcm;rate={SPEAKING_RATE};channels=1")

    return app


def _refusals(app: FastAPI) -> None:
    """What is too large is refused before it is read; every refusal has the one shape, and repeats nothing that was sent."""

    def error(status: int, message: str, **more: str) -> Response:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return JSONResponse({"error": {"message": message, "type": kind, "param": message.partition(":")[0]}}, status, more)

    @app.middleware("http")
    async def bounded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "")
        if request.method == "POST" and not length.isdecimal():
            return error(411, "Content-Length: is missing")
        if int(length or 0) > MOST_BYTES:
            return error(413, f"file: a request has at most {MOST_BYTES} bytes")
        return await call_next(request)

    @app.exception_handler(ServiceError)
    async def failed(request: Request, fault: ServiceError) -> Response:
        return (
            error(503, str(fault), **{"Retry-After": "1"}) if isinstance(fault, ServiceUnavailable) else error(500, str(fault))
        )

    @app.exception_handler(HttpError)
    async def refused(request: Request, fault: HttpError) -> Response:
        return error(fault.status_code, str(fault.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, fault: RequestValidationError) -> Response:
        first = fault.errors()[0]
        return error(400, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


def decoded(file: bytes) -> Audio:
    """The sound of a WAV file at HEARING_RATE, its channels mixed. Raises HTTPException (400, 413)."""
    try:
        with wave.open(io.BytesIO(file)) as reader:
            rate, channels, width = reader.getframerate(), reader.getnchannels(), reader.getsampwidth()
            data = reader.readframes(reader.getnframes())
    except (wave.Error, EOFError) as error:
        raise HTTPException(400, f"file: is no WAV file ({error})") from error
    if width != 2 or not 4000 <= rate <= 192_000 or not len(data):
        raise HTTPException(400, "file: must have 16 bits a sample, 4 to 192 kHz, and some sound")
    if len(data) > LONGEST_S * rate * channels * width:
        raise HTTPException(413, f"file: at most {LONGEST_S} s")
    whole = len(data) // (2 * channels) * channels
    samples = np.frombuffer(data, "<i2", whole).reshape(-1, channels).mean(axis=1).astype(np.float32) / 32768
    return samples if rate == HEARING_RATE else np.asarray(soxr.resample(samples, rate, HEARING_RATE), np.float32)
