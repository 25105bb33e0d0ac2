"""The HTTP clients against real models behind HTTP: llama.cpp for chat, the embedded recogniser and voice for speech."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jiwer
import numpy as np
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.base import SPEAKING_RATE, Exchange, Intent, Passage, Question, ServiceUnavailable, closing
from services.endpoint import Endpoint
from services.health import Health
from tests.bench.clips import HERE, clips
from tests.bench.wer import plain
from tests.integration.peers import llama, served, small_model, speech_app
from vendors.gguf import GgufAnswerer
from vendors.openai.llm import OpenAiAnswerer
from vendors.openai.stt import OpenAiStt
from vendors.openai.tts import OpenAiTts

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a model is loaded once for all tests

LATENCY = Passage("a", "Latency", "Latency is the time between the end of your words and the first sound of the answer.", 0.9)


def question(text: str, *history: Exchange) -> Question:
    return Question(text, Intent("question", 1.0), [LATENCY], history, "You are a voice agent. Answer in one sentence.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[GgufAnswerer]:
    made = GgufAnswerer(small_model(), Health())
    await made.warm()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[FastAPI, str]]:
    services = embedded(Settings().weights_dir, tmp_path_factory.mktemp("computed"), ENGLISH)
    await asyncio.gather(services.stt.warm(), services.tts.warm())
    app = speech_app(services)
    async with served(app) as url:
        yield app, url


async def begin(model: GgufAnswerer, asked: Question) -> list[str]:
    """The first pieces of the answer, which is then broken off: the small model may go on for long."""
    async with closing(model.answer(asked)) as pieces:
        said: list[str] = []
        async for piece in pieces:
            said.append(piece)
            if len(said) == 6:
                break
        return said


async def test_a_local_model_answers_in_pieces_and_goes_on_from_what_was_heard(model: GgufAnswerer) -> None:
    said = await begin(model, question("What is latency?"))
    assert len(said) > 3
    assert len("".join(said).split()) >= 3
    assert await begin(model, question("Say that again.", Exchange("What is latency?", "Latency is the")))


async def test_nobody_else_can_use_the_local_model(model: GgufAnswerer) -> None:
    assert model._server is not None
    async with httpx.AsyncClient(base_url=model._server.listening_address) as stranger:
        assert (await stranger.post("/v1/chat/completions", json={"messages": []})).status_code == 401


async def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file"):
        GgufAnswerer(tmp_path / "missing.gguf", Health())
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(1000))
    broken = GgufAnswerer(tmp_path / "broken.gguf", Health())
    with pytest.raises(ServiceUnavailable, match="cannot be loaded"):
        await broken.warm()


async def test_a_server_stops_generating_when_the_answer_is_broken_off() -> None:
    async with llama() as url, httpx.AsyncClient() as observer:
        answerer = OpenAiAnswerer(Endpoint(url), Health())

        async def busy() -> bool:
            slots = await observer.get(url.removesuffix("/v1") + "/slots")
            return any(slot["is_processing"] for slot in slots.json())

        async with closing(answerer.answer(question("Write a long poem about the sea, with many verses."))) as pieces:
            await anext(aiter(pieces))
            assert await busy()
        async with asyncio.timeout(5):
            while await busy():  # noqa: ASYNC110 (the server tells it no other way)
                await asyncio.sleep(0.01)
        await answerer.close()


@pytest.mark.parametrize("model_name", ["embedded", "whole"])
async def test_speech_is_recognised_as_by_the_model_behind_it(speech: tuple[FastAPI, str], model_name: str) -> None:
    app, url = speech
    stt = OpenAiStt(Endpoint(url, model_name), Health(), "en")
    clip = next(clip for clip in clips(HERE) if clip.kind == "utt")
    heard = await stt.transcribe(clip.audio, final=True, prompt="Parley")
    assert jiwer.wer(plain(clip.text), plain(heard.text)) < 0.3
    assert app.state.asked[-1] == {"model": model_name, "prompt": "Parley"}
    await stt.close()


async def test_speech_comes_in_pieces_and_is_understood(speech: tuple[FastAPI, str]) -> None:
    _, url = speech
    health = Health()
    tts, stt = OpenAiTts(Endpoint(url), health, "any"), OpenAiStt(Endpoint(url), health, "en")
    await asyncio.gather(tts.warm(), stt.warm())
    said = "The quick brown fox jumps over the lazy dog."
    pieces = [piece.samples async for piece in tts.speak(said)]
    assert len(pieces) > 3
    sound = np.concatenate(pieces)
    assert 1.5 < len(sound) / SPEAKING_RATE < 5
    heard = await stt.transcribe(sound[::3].astype(np.float32) / 32768, final=True)
    assert jiwer.wer(plain(said), plain(heard.text)) < 0.3
    assert health.degraded == {}
    await asyncio.gather(tts.close(), stt.close())
