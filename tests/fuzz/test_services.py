"""Services that answer anything: each answer is one, or an error of the service, within its time; nothing else ever leaves a
client, and neither tasks nor connections nor memory stay behind.

PARLEY_FUZZ_CASES sets how many answers each service gives (200: a few seconds); PARLEY_FUZZ_SEED another beginning."""

import asyncio
import gc
import random
import resource
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from services.base import ServiceError, Tool
from services.endpoint import Endpoint
from services.health import Health
from tests.fuzz import SEED, cases
from tests.fuzz.services import Hostile, hostile
from tests.integration.peers import Caller, Scripted
from tests.integration.test_http_services import SPEECH, question
from vendors.openai.llm import OpenAiAnswerer
from vendors.openai.stt import OpenAiStt
from vendors.openai.tts import OpenAiTts

CASES = cases(200)
WARM_UP = 50  # cases after which nothing may grow


async def _weather(arguments: str) -> str:
    return "It rains."


async def ask(place: Endpoint) -> None:
    model = OpenAiAnswerer(place, Health())
    tool = Tool("weather", "Tells the weather.", {"type": "object"}, _weather)
    try:
        pieces = [piece async for piece in model.answer(question(tool))]
        assert all(isinstance(piece, str) and piece.encode() for piece in pieces)
    finally:
        await model.close()


async def transcribe(place: Endpoint) -> None:
    stt = OpenAiStt(place, Health(), "en")
    try:
        assert isinstance((await stt.transcribe(SPEECH[:4000], final=True)).text.encode(), bytes)
    finally:
        await stt.close()


async def speak(place: Endpoint) -> None:
    tts = OpenAiTts(place, Health(), "alloy")
    try:
        async for speech in tts.speak("Hello there."):
            assert speech.samples.dtype == np.int16
            assert speech.samples.ndim == 1
    finally:
        await tts.close()


@pytest.mark.parametrize("use", [ask, transcribe, speak])
async def test_whatever_a_service_answers_is_an_answer_or_an_error_of_the_service(
    use: Callable[[Endpoint], Awaitable[None]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = httpx.create_ssl_context()  # a client takes 50 ms to read them
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: certificates)
    rng = random.Random(f"{SEED} {use.__name__}")
    sent: list[Hostile] = []

    async def behave(caller: Caller, path: str, body: Any) -> None:
        said = sent[-1]
        await caller.send(f"HTTP/1.1 {said.status} X\r\n{said.head}transfer-encoding: chunked\r\n\r\n".encode())
        for piece in said.pieces:
            await caller.chunk(piece)
        if said.cut:
            caller.drop()
        else:
            await caller.send(b"0\r\n\r\n")

    tasks, memory = 0, 0
    async with Scripted(behave) as peer:
        place = Endpoint(peer.url, "m", first_s=1.0, gap_s=0.5, total_s=3.0)
        for case in range(CASES):
            sent[:] = [hostile(rng)]
            try:
                async with asyncio.timeout(10):
                    await use(place)
            except ServiceError as error:
                assert str(error).isprintable() and len(str(error)) < 1000
            except BaseException as error:
                error.add_note(f"case {case} of seed {SEED}: {sent[-1]!r:.3000}")
                raise
            assert "Traceback" not in caplog.text and "never retrieved" not in caplog.text
            caplog.clear()  # this and the peer keep all that was said
            peer.requests.clear()
            if case == min(WARM_UP, CASES // 2):
                tasks, memory = len(asyncio.all_tasks()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await asyncio.sleep(0.05)  # for connections that are being closed
        gc.collect()
        assert len(asyncio.all_tasks()) <= tasks + 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB
    assert "Traceback" not in caplog.text
    assert "never retrieved" not in caplog.text
