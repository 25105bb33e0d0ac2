"""A real WebRTC client against the running app, alone and mounted in another: what is heard is what was written."""

from argparse import Namespace
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from jiwer import wer

from app import Settings
from languages.en import LANGUAGE as ENGLISH
from services.stt.whisper import WhisperStt
from services.workers import Workers
from tests.bench.client import Call, dial
from tests.bench.clips import HERE, RATE, clips
from tests.bench.score import segments
from tests.bench.server import serve

MOUNTED = """
import sys, uvicorn
from fastapi import FastAPI
from app import mount
app = FastAPI()
mount(app, path="/voice")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[-1]), log_level="warning")
"""
# Its answer is always the same: of what cannot be answered, the topics that are offered are drawn, and some are misheard.
QUESTION = next(clip for clip in clips(HERE, "open_question") if clip.id == "open-parley-interrupt")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["alone", "mounted"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    command, path = (("app.py",), "") if request.param == "alone" else (("-c", MOUNTED), "/voice")
    async with serve(Namespace(server=""), command, path) as server:
        yield server.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stt() -> AsyncIterator[WhisperStt]:
    service = WhisperStt(Settings().weights_dir, Workers(), ENGLISH)
    await service.warm()
    yield service
    await service.close()


def words(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.lower().replace("'", "")).split())


def reply(call: Call, since: float) -> str:
    """What the agent wrote since then."""
    return " ".join(message["text"].strip() for message in call.events("agent_response", since))


async def test_a_spoken_question_is_answered_and_the_answer_is_what_was_written(url: str, stt: WhisperStt) -> None:
    async with dial(url, "webrtc") as call:
        start = await call.play(QUESTION)
        end = start + QUESTION.speech_end
        assert await call.audible(end) is not None
        await call.quiet(1.0)
        sound = call.agent()
        loud = [segment for segment in segments(sound) if segment[1] > end]
        sound = sound[round((loud[0][0] - 0.2) * RATE) : round((loud[-1][1] + 0.2) * RATE)]
        written, heard = reply(call, start), (await stt.transcribe(sound, final=True)).text
        finals = [message for message in call.events("transcript") if message["final"]]
        told = call.events("agent_heard", end)
    assert wer(words(QUESTION.text), words(finals[-1]["text"])) <= 0.25
    assert wer(words(written), words(heard)) <= 0.15, (written, heard)
    assert words(told[-1]["text"]) == words(written)
    assert not told[-1]["estimated"]


async def test_a_client_interrupt_silences_the_reply_and_only_heard_words_are_kept(url: str) -> None:
    async with dial(url, "webrtc") as call:
        asked = await call.say("How does barge-in work?")
        first = await call.audible(asked)
        assert first is not None
        await call.until(first + 1.5)
        at = await call.interrupt()
        assert await call.event("playback_stop", at)
        told = await call.event("agent_heard", at)
        await call.until(at + 1.5)
        after = segments(call.agent()[round((at + 0.5) * RATE) :])
        written = reply(call, asked)
    assert after == []
    assert told is not None
    assert words(written).startswith(words(told["text"]))
    assert 0 < len(told["text"].split()) < len(written.split())


async def test_in_a_long_silence_few_packets_come_and_their_clock_goes_on(url: str) -> None:
    async with dial(url, "webrtc") as call:
        await call.until(call.now() + 5.0)
        silence = [frame for frame in call.speaker.frames if frame.start > call.now() - 3.0]
        asked = await call.say("How does barge-in work?")
        assert await call.audible(asked) is not None
        first = next(frame for frame in call.speaker.frames if frame.start > asked and frame.loud)
    assert 5 <= len(silence) <= 15, "of 150 that there would be"
    early = [frame.ms - 1000 * frame.start for frame in silence]
    assert np.ptp(early) < 100, "each is as old as the others"
    # This client plays a packet when it has the next one: in a silence 400 ms later, in speech 20.
    assert -100 < first.ms - 1000 * first.start - (early[-1] + 380) < 100


async def test_a_spoken_interruption_is_yielded_to_and_answered(url: str) -> None:
    async with dial(url, "webrtc") as call:
        asked = await call.say("How does turn taking work?")
        first = await call.audible(asked)
        assert first is not None
        start = await call.play(QUESTION, first + 1.5)
        onset, end = start + QUESTION.speech_start, start + QUESTION.speech_end
        assert await call.event("playback_stop", onset)
        await call.until(end)
        assert np.abs(call.agent()[round((end - 0.2) * RATE) : round(end * RATE)]).max() < 0.01
        assert await call.audible(end) is not None
