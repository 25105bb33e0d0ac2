"""What a WebSocket client may not do, in virtual time: it is told, or cut off, and nobody else is hurt."""

import asyncio
import base64
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.memory import Timer
from app.turn_taking.pipeline import BACKLOG
from server.transport.intake import MISTAKES
from server.transport.paced import OUTBOX
from tests.unit.connection import Client, scene
from tests.unit.doubles import Desk, pcm
from tests.unit.protocol.test_messages import JSON, MESSAGES
from tests.unit.virtual_time import run


@scene()
async def test_bad_sound_is_refused_and_the_connection_stays(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    client.say(b"odd")
    client.say(bytes(192_002))
    client.say({"type": "audio_chunk", "data": "!!!"})
    client.say({"type": "audio_chunk", "data": "A" * 256_100})
    client.say(b"")
    await asyncio.sleep(0.01)
    assert client.codes() == ["bad_audio", "too_large", "bad_audio", "bad_message"]
    assert {error["field"] for error in client.of("error")} == {"data"}
    client.say({"type": "ping"})
    await asyncio.sleep(0.01)
    assert client.of("pong") and client.code is None


@scene()
async def test_many_mistakes_end_the_connection(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for _ in range(MISTAKES + 1):
        client.say("{")
    assert (await client.ended(), client.code) == ("too_many_errors", 1008)
    assert client.codes().count("bad_json") == MISTAKES + 1


@scene()
async def test_mistakes_now_and_then_are_forgiven(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for _ in range(3 * MISTAKES):
        client.say("{")
        await asyncio.sleep(2)
    assert client.code is None


@scene(messages_per_second=100)
async def test_a_flood_ends_the_connection(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for _ in range(300):
        client.say({"type": "ping"})
    assert (await client.ended(), client.code) == ("flood", 1008)
    assert len(client.of("pong")) <= 100


@scene(messages_per_second=100)
async def test_a_hundred_a_second_are_no_flood(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for _ in range(1000):
        client.say(pcm(16000, 10, 0))
        await asyncio.sleep(0.0101)
    assert client.code is None and not client.codes()


@scene(idle_timeout_s=30)
async def test_an_idle_connection_is_ended(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for second in range(45):
        client.say({"type": "ping"})
        client.say(pcm(16000, 20, 0))
        client.say({"type": "audio_chunk", "data": base64.b64encode(pcm(16000, 20, 0)).decode()})
        client.say({"type": "interrupt"})
        client.say({"type": "playback_progress", "generation": 7, "played_ms": 20.0 * second})
        if second == 20:
            client.say({"type": "text", "text": "hello"})
        await asyncio.sleep(1)
    assert client.code is None
    assert (await client.ended(), client.code) == ("idle_timeout", 4408)
    assert asyncio.get_running_loop().time() == pytest.approx(50, abs=2)


@scene(idle_timeout_s=30)
async def test_speech_keeps_a_connection_up_and_other_sound_does_not(desk: Desk) -> None:
    speaker, hummer = Client(desk), Client(desk)
    await speaker.start()
    await hummer.start()
    for _ in range(100):
        speaker.say(pcm(16000, 200, 1000))
        speaker.say(pcm(16000, 800, 0))
        hummer.say(pcm(16000, 1000, 3))
        await asyncio.sleep(1)
    assert speaker.code is None
    assert (await hummer.ended(), hummer.code) == ("idle_timeout", 4408)


@scene(idle_timeout_s=30)
async def test_a_timer_keeps_a_connection_up_until_it_has_been_told(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    begun = time.time()
    desk.made[0].clock.epoch_ms = lambda: (begun + asyncio.get_running_loop().time()) * 1000  # type: ignore[method-assign]
    desk.made[0].memory.timers.append(Timer((begun + 600) * 1000, 600))
    client.say({"type": "text", "text": "hello"})
    await asyncio.sleep(595)
    assert client.code is None
    await asyncio.sleep(10)
    assert 600 <= client.audio()[-1][0] < 605, "it was told"
    assert await client.ended() == "idle_timeout"


@scene(idle_timeout_s=30, max_sessions=1)
async def test_who_only_waits_for_a_timer_gives_way_to_others(desk: Desk) -> None:
    waits = Client(desk)
    await waits.start()
    desk.made[0].memory.timers.append(Timer(desk.made[0].clock.epoch_ms() + 1e9, 1e6))
    await asyncio.sleep(20)
    early = Client(desk)
    early.say({"type": "start"})
    assert await early.ended() == "full"
    await asyncio.sleep(20)
    assert (await Client(desk).start())["session_id"]
    assert await waits.ended() == "idle_timeout"


@scene()
async def test_more_is_typed_than_anybody_types(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    taken: list[object] = []
    desk.made[0].receive = taken.append  # type: ignore[method-assign, assignment]
    for n in range(15):
        client.say({"type": "text", "text": f"text {n}"})
    await asyncio.sleep(0.01)
    assert len(taken) == 10 and client.codes() == ["too_fast"] * 5
    await asyncio.sleep(5)
    client.say({"type": "text", "text": "now"})
    await asyncio.sleep(0.01)
    assert len(taken) == 11 and client.code is None


@scene()
async def test_sixteen_seconds_at_once_are_heard_in_part_and_that_is_said_once(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    heard: list[int] = []
    desk.made[0].hear = lambda samples: heard.append(len(samples))  # type: ignore[method-assign]
    for _ in range(16):
        client.say(pcm(16000, 1000, 1000))
    await asyncio.sleep(0.01)
    assert client.codes() == ["sound_dropped"] and client.code is None
    assert sum(heard) == pytest.approx(10 * 16000, abs=500)
    for _ in range(60):  # in real time all is heard, at once
        client.say(pcm(16000, 500, 1000))
        await asyncio.sleep(0.5)
    assert client.codes() == ["sound_dropped"]
    assert sum(heard) == pytest.approx(40 * 16000, abs=17000)


@scene()
async def test_sound_that_is_behind_with_hearing_is_dropped_and_that_is_said(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(desk.made[0].hearing), "behind", BACKLOG)
        client.say(pcm(16000, 1000, 1000))
        await asyncio.sleep(0.01)
    assert client.codes() == ["sound_dropped"]


@scene()
async def test_far_more_sound_than_time_ends_the_connection(desk: Desk) -> None:
    client = Client(desk)
    await client.start(sample_rate=8000)
    desk.made[0].hear = lambda samples: None  # type: ignore[method-assign]
    for _ in range(20):
        client.say(pcm(8000, 12_000, 1000))
    assert (await client.ended(), client.code) == ("flood", 1008)
    assert client.codes() == ["sound_dropped", "flood"]


@scene()
async def test_a_start_that_is_said_twice_is_one(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    client.say({"type": "start", "sample_rate": 16000})
    await asyncio.sleep(0.01)
    assert not client.codes() and len(client.of("ready")) == 1


@scene()
async def test_a_client_that_does_not_read_is_cut_off_and_blocks_nobody(desk: Desk) -> None:
    slow, other = Client(desk), Client(desk)
    await slow.start()
    await other.start()
    slow.reads.clear()
    for _ in range(OUTBOX + 10):
        slow.say({"type": "ping"})
        await asyncio.sleep(0.01)
    assert await slow.ended() == ""
    other.say({"type": "text", "text": "hello"})
    await asyncio.sleep(1)
    assert other.audio()
    [attached] = [session for session in desk.made if session.state != "IDLE"]
    assert attached is desk.made[1]


@scene()
async def test_a_client_that_leaves_frees_its_place(desk: Desk) -> None:
    client = Client(desk)
    ready = await client.start()
    client.say({"type": "text", "text": "hello"})
    await asyncio.sleep(1)
    client.leave()
    assert await client.ended() == ""
    assert (await desk.sessions.look(ready["session_id"]))["connected"] is False


@scene()
async def test_an_error_inside_is_not_shown_and_not_raised(desk: Desk) -> None:
    client = Client(desk)
    await client.start()

    def explode(*_: object) -> None:
        raise RuntimeError("boom")

    desk.made[0].receive = explode  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        logged: list[logging.LogRecord] = []
        patch.setattr(logging.getLogger("server.transport.intake"), "handle", logged.append)
        client.say({"type": "interrupt"})
        await asyncio.sleep(0.01)
    assert client.codes() == ["internal"] and "boom" not in str(client.of("error"))
    assert len(logged) == 1 and client.code is None, "one fault costs one message"


@settings(max_examples=60, deadline=None)
@given(
    st.lists((MESSAGES | JSON).filter(lambda m: not isinstance(m, dict) or m.get("type") not in ("start", "stop")), max_size=15)
)
def test_whatever_is_sent_the_connection_answers(messages: list[Any]) -> None:
    async def play() -> None:
        desk = Desk()
        client = Client(desk)
        await client.start()
        for message in messages:
            client.say(json.dumps(message))
        client.say({"type": "ping"})
        await asyncio.sleep(0.1)
        assert client.of("pong"), client.codes()
        assert not client.serving.done()
        assert all(not error["fatal"] and error["message"] for error in client.of("error"))
        await desk.sessions.live.close()
        await client.ended()

    run(play())
