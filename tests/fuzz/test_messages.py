"""Conversations in which a client sends anything at any moment, in virtual time: each message is taken or answered with what is
wrong with it, nothing fails inside, nothing is left behind, and whoever asks next is answered.

PARLEY_FUZZ_CASES sets how many messages are sent; PARLEY_FUZZ_SEED another beginning."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiortc.rtp import RtpPacket
from av import AudioFrame

from app.protocol.codec import BadMessage, decode, parse, pcm
from app.protocol.messages import CLIENT_MESSAGE, MAX_AUDIO_BYTES
from configuration.redaction import clean
from server.transport.rtp import QUEUE, JitterBufferBypass, length_s
from tests.fuzz import SEED, cases
from tests.fuzz.messages import message, sound
from tests.fuzz.mutations import broken
from tests.fuzz.server import scripted
from tests.unit.connection import Client
from tests.unit.doubles import Desk
from tests.unit.virtual_time import run

CASES = cases(900)
LENGTH = 150  # messages of a conversation
FATAL = {"too_many_errors", "flood", "idle_timeout", "start_timeout", "wrong_token", "unknown_session"}


def test_a_message_is_one_or_says_what_is_wrong_with_it() -> None:
    rng = random.Random(SEED)
    for _ in range(CASES * 10):
        data = message(rng)
        try:
            read = parse(data)
        except BadMessage as error:
            told = error.as_event()
            assert clean(told.message) == told.message and len(told.message) <= 2000, data
            assert told.model_dump_json(), data
        else:
            assert CLIENT_MESSAGE.validate_json(read.model_dump_json()) == read, data


def test_sound_is_samples_or_says_what_is_wrong_with_it() -> None:
    rng = random.Random(SEED)
    for _ in range(CASES):
        data = broken(rng, sound(rng))
        try:
            samples = pcm(data)
        except BadMessage as error:
            assert error.field == "data"
            assert len(data) % 2 or len(data) > MAX_AUDIO_BYTES
        else:
            assert samples.dtype == np.int16 and samples.tobytes() == data
        with pytest.raises(BadMessage):
            decode("!" + data.hex())


def test_any_packet_of_sound_is_played_or_dropped() -> None:
    rng = random.Random(SEED)
    track: asyncio.Queue[AudioFrame] = asyncio.Queue()
    told: list[float] = []
    heard = 0
    ears = JitterBufferBypass(track, lambda seconds: not told.append(seconds) and seconds < 0.13)  # type: ignore[func-returns-value]
    for number in range(CASES * 5):
        payload = rng.randbytes(rng.choice((0, 1, 2, 3, 30, 200, 1200)))
        if payload and rng.random() < 0.5:
            payload = bytes([rng.choice((0xF8, 0x78, 0x08, 0xFC, 0xFF))]) + payload[1:]
        ears.add(RtpPacket(payload_type=96, sequence_number=(number * rng.choice((1, 1, 1, 7))) % 65536, payload=payload))
        assert not payload or 0 <= length_s(payload) <= 3.8, payload
        assert track.qsize() <= QUEUE + 63
        while rng.random() < 0.5 and not track.empty():
            frame = track.get_nowait()
            assert frame.to_ndarray().dtype == np.int16 and frame.sample_rate == 48_000
            heard += 1
    assert len(told) > CASES and heard > CASES // 2


async def _converse(desk: Desk, rng: random.Random) -> None:
    """One connection that is used in any way, until it ends or is left; then a new one that is used well."""
    client = Client(desk, rng.choice(("", "", "", "session_id=x&token=y", "session_id=%ff&token=")))
    if rng.random() < 0.9:
        client.say({"type": "start", "sample_rate": rng.choice((8000, 16_000, 24_000, 48_000)), "binary": rng.random() < 0.5})
    generation, voiced = 1, 0.0
    for _ in range(LENGTH):
        if client.serving.done():
            break
        client.say(sound(rng) if rng.random() < 0.4 else message(rng, generation))
        if rng.random() < 0.1:  # somebody speaks, and is silent again
            voiced = rng.uniform(0.1, 2.0)
        for value in (b"\xe8\x03", b"\x00\x00"):
            for _ in range(int(voiced * 10)):
                client.say(value * 1600)
                await asyncio.sleep(0.1)
        voiced = 0.0
        await asyncio.sleep(rng.choice((0, 0, 0.01, 0.1, 0.5, 3.0)))
        started = client.of("playback_start")
        generation = started[-1]["generation"] if started else 1
    if rng.random() < 0.3:
        client.reads.clear()
    client.leave()
    await client.ended()
    told = {error["code"] for error in client.of("error")}
    assert "internal" not in told, told
    assert {error["code"] for error in client.of("error") if error.get("fatal")} <= FATAL, told
    after = Client(desk)
    await after.start()
    after.say({"type": "text", "text": "how does it work"})
    await asyncio.sleep(5)
    assert after.of("agent_response"), after.sent
    after.leave()
    await after.ended()


@pytest.mark.filterwarnings("error::RuntimeWarning", "error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("patient", [False, True])
def test_a_conversation_bears_whatever_is_said_in_it(patient: bool, caplog: pytest.LogCaptureFixture) -> None:
    """`patient`: neither mistakes nor messages nor texts are counted, so that a connection lasts."""

    async def play() -> None:
        for case in range(max(2, CASES // LENGTH)):
            rng = random.Random(f"{SEED} {patient} {case}")
            desk = Desk(scripted(), messages_per_second=100_000 if patient else 200)
            try:
                await _converse(desk, rng)
            except BaseException as error:
                error.add_note(f"conversation {case} of seed {SEED}, patient: {patient}")
                raise
            assert not {fault for session in desk.made for fault in session.context.faults}, (case, caplog.text)
            await desk.sessions.live.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(left, timeout=60) if left else None
            assert asyncio.all_tasks() == {asyncio.current_task()}, (case, "a task was left behind")

    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", at_once)  # virtual time does not wait for threads
        if patient:
            patch.setattr("server.transport.intake.MISTAKES", 10**9)
            patch.setattr("server.transport.intake.TEXTS_AT_ONCE", 10**9)
        caplog.set_level(logging.WARNING)
        run(play())
    for word in ("Traceback", "is not allowed while", "never retrieved", "could not be handled"):
        assert word not in caplog.text
