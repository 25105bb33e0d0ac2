"""Our ears and voice behind HTTP, and the conversation's own clients of them: real models, a real server, no Ray."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import numpy as np
import pytest
import pytest_asyncio
import uvicorn

from app.settings import Settings
from deploy.ray.batched_whisper import Asked, BatchedWhisper
from deploy.ray.models_api import EARS, VOICE, api
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import HEARING_RATE, SPEAKING_RATE, Audio, ServiceError, Services, ServiceUnavailable, Transcript
from services.endpoint import Endpoint
from services.health import Health
from services.vendors import connected
from tests.bench.clips import HERE, sentences
from tests.integration.redis_servers import becomes
from vendors.openai.stt import OpenAiStt, wav
from vendors.openai.tts import OpenAiTts

WEIGHTS = Settings(_env_file=None).weights_dir  # type: ignore[call-arg]
NOISE = np.random.default_rng(1).normal(0, 0.02, 2 * HEARING_RATE).astype(np.float32)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local() -> AsyncIterator[Services]:
    services = embedded(WEIGHTS, WEIGHTS / "computed", ENGLISH)
    await asyncio.gather(services.stt.warm(), services.tts.warm())
    yield services


@pytest.fixture(scope="module")
def batched() -> BatchedWhisper:
    return BatchedWhisper(WEIGHTS, ENGLISH)


@pytest.fixture(scope="module")
def clips() -> Sequence[Audio]:
    return [clip.audio.astype(np.float32) for clip in sentences(HERE, 6)[:6]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(local: Services, batched: BatchedWhisper) -> AsyncIterator[str]:
    async def hear(asked: Asked) -> Transcript:
        if asked.prompt == "away":
            raise ServiceUnavailable("stt", "away")
        return (await asyncio.to_thread(batched.transcribe, [asked]))[0]

    async def speak(text: str, speed: float) -> AsyncIterator[bytes]:
        async for piece in local.tts.speak(text, speed=speed):
            yield piece.samples.tobytes()

    server = uvicorn.Server(uvicorn.Config(api(hear, speak, ENGLISH), port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await becomes(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    server.should_exit = True
    await serving


async def test_many_at_once_are_heard_as_each_alone(local: Services, batched: BatchedWhisper, clips: Sequence[Audio]) -> None:
    """Also with words to expect, and with noise among them, in which nothing was said."""
    asked = [Asked(clip, "Parley, Brooklyn Bridge" if at % 2 else "") for at, clip in enumerate([*clips, NOISE])]
    for one, found in zip(asked, batched.transcribe(asked), strict=True):
        alone = await local.stt.transcribe(one.audio, final=True, prompt=one.prompt)
        assert (found.text, found.doubtful) == (alone.text, alone.doubtful)
        assert found.no_speech == pytest.approx(alone.no_speech, abs=0.02)
        assert found.sentence_end == pytest.approx(alone.sentence_end, abs=0.15)


async def test_a_long_turn_is_cut_and_heard_whole(batched: BatchedWhisper, clips: Sequence[Audio]) -> None:
    pause = np.zeros(HEARING_RATE, np.float32)
    long = np.concatenate([part for clip in [*clips, *clips] for part in (clip, pause)])
    assert len(long) > 30 * HEARING_RATE
    text = batched.transcribe([Asked(long)])[0].text
    assert text.count("What's the weather like?") == 2


async def test_a_conversation_is_told_as_much_as_by_its_own_ears(url: str, local: Services, clips: Sequence[Audio]) -> None:
    ears = OpenAiStt(Endpoint(url), Health(), ENGLISH.code)
    await ears.warm()
    assert ears.ours
    heard, own = await ears.transcribe(clips[0], final=True), await local.stt.transcribe(clips[0], final=True)
    assert heard.text == own.text
    assert heard.sentence_end == pytest.approx(own.sentence_end, abs=0.15)
    noise = await ears.transcribe(NOISE, final=True)
    assert (noise.text, noise.no_speech > 0.8) == ("", True)
    await ears.close()


async def test_nothing_is_judged_twice(
    url: str, local: Services, clips: Sequence[Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def judge(audio: Audio) -> float:
        raise AssertionError("the node has listened itself")

    monkeypatch.setattr(local.stt, "speech", judge)
    apart = connected(
        local, stt=OpenAiStt(Endpoint(url), Health(), ENGLISH.code), tts=OpenAiTts(Endpoint(url), Health(), "any")
    )
    await apart.stt.warm()
    assert (await apart.stt.transcribe(clips[1], final=True)).text == "What's the weather like?"
    assert (await apart.stt.transcribe(clips[1], final=True, prompt="away")).text == "What's the weather like?", (
        "the spare listens"
    )


async def test_the_voice_says_the_same(url: str, local: Services) -> None:
    apart = connected(local, tts=OpenAiTts(Endpoint(url), Health(), "any"))
    await apart.tts.warm()
    spoken = [piece.samples async for piece in apart.tts.speak("Two nodes are better than one.")]
    own = [piece.samples async for piece in local.tts.speak("Two nodes are better than one.")]
    assert len(np.concatenate(spoken)) == pytest.approx(len(np.concatenate(own)), abs=SPEAKING_RATE // 100)


async def test_what_cannot_be_used_is_refused_in_words(url: str, clips: Sequence[Audio]) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        listed = (await client.get("/models")).json()["data"]
        assert [model["id"] for model in listed] == [EARS, VOICE]
        sound = wav(np.zeros(61 * HEARING_RATE, np.float32))
        for file, status in ((b"RIFF", 400), (b"", 400), (wav(np.zeros(0, np.float32)), 400), (sound, 413)):
            answer = await client.post("/audio/transcriptions", files={"file": ("speech.wav", file)})
            assert answer.status_code == status, answer.text
        away = await client.post("/audio/transcriptions", files={"file": ("a.wav", wav(clips[0]))}, data={"prompt": "away"})
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        long = wav(np.random.default_rng(2).normal(0, 0.1, 600 * HEARING_RATE).astype(np.float32))
        for files, data, status, param in (
            ({"file": ("a.wav", long)}, {}, 413, "file"),
            ({}, {"model": "whisper-1"}, 400, "file"),
            ({"file": ("a.wav", wav(clips[0]))}, {"response_format": "srt"}, 400, "response_format"),
            ({"file": ("a.wav", wav(clips[0]))}, {"language": "de"}, 400, EARS),
        ):
            answer = await client.post("/audio/transcriptions", files=files, data=data)
            assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
        for body in (b'{"input": ""}', b'{"input": "hi", "speed": NaN}', b'{"input": "\\ud800"}', b"\xff", b"{}"):
            answer = await client.post("/audio/speech", content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error"), body
        endless = await client.post("/audio/speech", content=some_bytes())
        assert endless.status_code == 411


async def some_bytes() -> AsyncIterator[bytes]:
    """A body whose length is not told."""
    yield b"{}"


async def test_ears_of_another_language_are_not_asked_without_naming_it(url: str, clips: Sequence[Audio]) -> None:
    """What was heard in English would be made of what was said in German."""
    ears = OpenAiStt(Endpoint(url), Health(), "de")
    await ears.warm()
    for _ in range(2):
        with pytest.raises(ServiceError, match="hears en"):
            await ears.transcribe(clips[0], final=True)
    await ears.close()
