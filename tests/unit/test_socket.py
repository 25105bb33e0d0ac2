"""The WebSocket transport in virtual time, with a real session and no network."""

import asyncio
import base64
import json
import logging
import struct
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events import PlaybackStop
from app.session import Session
from app.settings import Settings
from app.socket import MISTAKES, OUTBOX, HideTokens, Link, same_origin
from app.speaking import FRAME, Frame
from app.tickets import Ticket
from tests.unit.doubles import Desk, FakeWebSocket, pcm
from tests.unit.test_wire import JSON, MESSAGES
from tests.unit.virtual_time import run


class Client(FakeWebSocket):
    """A connection that is being served."""

    def __init__(self, desk: Desk, query: str = "") -> None:
        super().__init__(query)
        self.serving = asyncio.create_task(Link(self, desk.sessions, desk.settings).serve())  # type: ignore[arg-type]

    async def start(self, **fields: Any) -> dict[str, Any]:
        self.say({"type": "start", "sample_rate": 16000, **fields})
        await asyncio.sleep(0.01)
        return self.of("ready")[-1]

    async def ended(self) -> str:
        """Waits for the server to end the connection; returns the code of its last error."""
        await asyncio.wait_for(self.serving, 600)
        return self.codes()[-1] if self.codes() else ""

    def audio(self, generation: int | None = None) -> list[tuple[float, dict[str, Any]]]:
        chunks = [(at, data) for at, data in self.sent if isinstance(data, dict) and data["type"] == "audio_chunk"]
        return [(at, chunk) for at, chunk in chunks if generation in (None, chunk["generation"])]

    def samples(self, generation: int | None = None) -> int:
        return sum(len(base64.b64decode(chunk["audio"])) // 2 for _, chunk in self.audio(generation))


Scene = Callable[[Desk], Awaitable[None]]


def scene(**given_settings: Any) -> Callable[[Scene], Callable[[], None]]:
    def decorate(test: Scene) -> Callable[[], None]:
        def plain() -> None:
            async def play() -> None:
                desk = Desk(**given_settings)
                await test(desk)
                await desk.sessions.close()
                others = asyncio.all_tasks() - {asyncio.current_task()}
                await asyncio.wait(others, timeout=5) if others else None
                assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], (
                    "a task was left behind"
                )

            run(play())

        plain.__name__ = test.__name__
        return plain

    return decorate


def query(ticket: Ticket) -> str:
    return f"session_id={ticket.session_id}&token={ticket.token}"


# --- opening ----------------------------------------------------------------------------------------------------------


@scene()
async def test_without_credentials_a_session_is_made(desk: Desk) -> None:
    client = Client(desk)
    ready = await client.start(sample_rate=24000)
    assert (ready["resumed"], ready["sample_rate"]) == (False, 24000)
    assert ready["limits"]["max_audio_bytes"] == 192_000
    desk.sessions.authorize(ready["session_id"], ready["token"])
    assert [message["type"] for _, message in client.sent][:2] == ["ready", "state"]


@scene()
async def test_credentials_are_taken_from_the_address_or_from_start(desk: Desk) -> None:
    one, two = desk.sessions.create(), desk.sessions.create()
    ready = await Client(desk, query(one)).start()
    assert (ready["session_id"], "token" in ready) == (one.session_id, False)
    ready = await Client(desk).start(session_id=two.session_id, token=two.token)
    assert ready["session_id"] == two.session_id


@scene()
async def test_a_wrong_token_is_refused(desk: Desk) -> None:
    ticket = desk.sessions.create()
    early = Client(desk, f"session_id={ticket.session_id}&token=guessed")
    assert (await early.ended(), early.code) == ("wrong_token", 4403)
    late = Client(desk)
    late.say({"type": "start", "session_id": ticket.session_id, "token": "guessed"})
    assert (await late.ended(), late.code) == ("wrong_token", 4403)
    half = Client(desk)
    half.say({"type": "start", "session_id": ticket.session_id})
    assert await half.ended() == "wrong_token"
    assert late.of("error")[0]["fatal"] is True
    assert not desk.made


@scene(max_sessions=1)
async def test_when_full_the_client_is_told(desk: Desk) -> None:
    first = Client(desk)
    await first.start()
    second = Client(desk)
    second.say({"type": "start"})
    assert (await second.ended(), second.code) == ("full", 1013)
    first.leave()
    await first.ended()
    await Client(desk).start()


@scene(session_ttl_s=60)
async def test_an_expired_session_is_refused(desk: Desk) -> None:
    ticket = desk.sessions.create()
    desk.wall.later_s = 61
    client = Client(desk, query(ticket))
    client.say({"type": "start"})
    assert (await client.ended(), client.code) == ("unknown_session", 4404)


@scene()
async def test_the_later_connection_takes_over(desk: Desk) -> None:
    first = Client(desk)
    ready = await first.start()
    second = Client(desk)
    again = await second.start(session_id=ready["session_id"], token=ready["token"], resume=True)
    assert again["resumed"] is True
    assert (await first.ended(), first.code) == ("taken_over", 4409)
    second.say({"type": "text", "text": "hello"})
    await asyncio.sleep(1)
    assert second.audio() and not first.audio()


@scene(greeting=True)
async def test_a_greeting_is_said_when_it_is_wanted(desk: Desk) -> None:
    for fields, greeted in (({}, True), ({"greeting": False}, False)):
        client = Client(desk)
        ready = await client.start(**fields)
        await asyncio.sleep(1)
        assert bool(client.audio()) is greeted
        client.leave()
        await client.ended()
    back = Client(desk)
    await back.start(session_id=ready["session_id"], token=ready["token"], resume=True)
    await asyncio.sleep(1)
    assert not back.audio(), "a conversation that was cut off goes on without a welcome"


@scene()
async def test_what_comes_before_start_is_refused_and_forgiven(desk: Desk) -> None:
    client = Client(desk)
    for message in ({"type": "text", "text": "hello"}, pcm(16000, 20, 0), {"type": "interrupt"}):
        client.say(message)
    client.say({"type": "ping"})
    await asyncio.sleep(0.01)
    assert client.codes() == ["not_started"] * 3
    assert client.of("pong")
    await client.start()
    client.say({"type": "start"})
    await asyncio.sleep(0.01)
    assert client.codes()[-1] == "already_started"
    assert client.code is None


@scene()
async def test_a_connection_that_never_starts_is_ended(desk: Desk) -> None:
    client = Client(desk)
    assert (await client.ended(), client.code) == ("start_timeout", 4408)


@scene()
async def test_stop_ends_the_connection(desk: Desk) -> None:
    for begin in (False, True):
        client = Client(desk)
        if begin:
            await client.start()
        client.say({"type": "stop"})
        assert (await client.ended(), client.code) == ("", 1000)


# --- sound ------------------------------------------------------------------------------------------------------------


@scene()
async def test_sound_of_any_rate_and_form_is_heard(desk: Desk) -> None:
    for rate in (8000, 16000, 24000, 48000):
        for binary in (False, True):
            client = Client(desk)
            await client.start(sample_rate=rate, binary=binary)
            heard: list[np.ndarray] = []
            desk.made[-1].hear = heard.append  # type: ignore[method-assign, assignment]
            for _ in range(50):
                sound = pcm(rate, 20, 1000)
                client.say(sound if binary else {"type": "audio_chunk", "data": base64.b64encode(sound).decode()})
            await asyncio.sleep(0.1)
            total = np.concatenate(heard)
            assert 16000 - 40 <= len(total) <= 16000
            assert np.abs(total[200:-200] - 1000).max() < 50
            client.leave()
            await client.ended()


@scene()
async def test_the_reply_is_paced_and_whole(desk: Desk) -> None:
    for rate in (8000, 16000, 24000, 48000):
        client = Client(desk)
        await client.start(sample_rate=rate)
        client.say({"type": "text", "text": "hello"})
        await asyncio.sleep(10)
        [end] = client.of("audio_end")
        assert client.samples() == end["ms"] * rate / 1000 > 4 * rate
        dry_at = 0.0
        for at, chunk in client.audio():
            dry_at = max(dry_at, at) + len(base64.b64decode(chunk["audio"])) / 2 / rate
            assert dry_at - at <= 0.2 + 1e-6
        kinds = [message["type"] for _, message in client.sent]
        assert kinds.index("playback_start") < kinds.index("audio_chunk")
        assert max(i for i, kind in enumerate(kinds) if kind == "audio_chunk") < kinds.index("audio_end")
        client.leave()
        await client.ended()


@scene()
async def test_the_first_sound_follows_the_state_at_once(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for wait in (1.003, 1.0081, 1.0139):
        await asyncio.sleep(wait)
        client.say({"type": "text", "text": "hello"})
        await asyncio.sleep(1)
        [*_, speaking] = [at for at, m in client.sent if m["type"] == "state" and m["state"] == "SPEAKING"]
        [*_, generation] = [m["generation"] for m in client.of("playback_start")]
        assert client.audio(generation)[0][0] == speaking
        client.say({"type": "interrupt"})


@scene()
async def test_binary_sound_carries_its_generation(desk: Desk) -> None:
    client = Client(desk)
    await client.start(sample_rate=24000, binary=True)
    client.say({"type": "text", "text": "hello"})
    await asyncio.sleep(10)
    frames = [data for _, data in client.sent if isinstance(data, bytes)]
    heads = [struct.unpack("<II", frame[:8]) for frame in frames]
    assert {generation for generation, _ in heads} == {client.of("playback_start")[0]["generation"]}
    assert [sequence for _, sequence in heads] == list(range(len(heads)))
    assert sum(len(frame) - 8 for frame in frames) // 2 == client.of("audio_end")[0]["ms"] * 24
    assert not client.audio()


@scene()
async def test_after_an_interruption_nothing_of_the_reply_follows(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    client.say({"type": "text", "text": "hello"})
    await asyncio.sleep(1)
    client.reads.clear()  # the wire is busy: sound piles up behind it
    await asyncio.sleep(1)
    client.say({"type": "interrupt"})
    await asyncio.sleep(0.1)
    client.reads.set()
    await asyncio.sleep(5)
    [stop] = client.of("playback_stop")
    stopped_at = next(i for i, (_, m) in enumerate(client.sent) if m["type"] == "playback_stop")
    assert not [m for _, m in client.sent[stopped_at:] if m["type"] in ("audio_chunk", "audio_end")]
    assert client.samples(stop["generation"]) / 16000 < 1.5, "what was waiting for the wire was sent all the same"


@scene()
async def test_a_late_frame_of_a_stopped_reply_is_dropped(desk: Desk) -> None:
    late = (Frame(np.full(FRAME, 9, np.int16), 1, n, n * 20.0) for n in range(1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "speak", lambda session: next(late))
        client = Client(desk)
        await client.start()
    await asyncio.sleep(1)
    sent = len(client.audio())
    assert sent > 40
    desk.made[0].tell(PlaybackStop(generation=1))
    await asyncio.sleep(1)
    assert len(client.audio()) == sent


@scene()
async def test_acknowledgements_reach_the_session(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    client.say({"type": "text", "text": "hello"})
    await asyncio.sleep(1)
    generation = client.of("playback_start")[0]["generation"]
    client.say({"type": "playback_progress", "generation": generation, "played_ms": 700})
    client.say({"type": "interrupt"})
    client.say({"type": "playback_stopped", "generation": generation, "played_ms": 800})
    await asyncio.sleep(0.1)
    [heard] = client.of("agent_heard")
    assert heard["text"] == "The first sentence", "250 ms a word"
    assert heard["estimated"] is False


# --- bad clients ------------------------------------------------------------------------------------------------------


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
        if second == 20:
            client.say({"type": "interrupt"})
        await asyncio.sleep(1)
    assert client.code is None
    assert (await client.ended(), client.code) == ("idle_timeout", 4408)
    assert asyncio.get_running_loop().time() == pytest.approx(50, abs=2)


@scene(idle_timeout_s=30)
async def test_sound_keeps_a_connection_up(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    for _ in range(100):
        client.say(pcm(16000, 20, 3))
        await asyncio.sleep(1)
    assert client.code is None


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
    [seated] = [session for session in desk.made if session.state != "IDLE"]
    assert seated is desk.made[1]


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
        patch.setattr(logging.getLogger("app.socket"), "handle", logged.append)
        client.say({"type": "interrupt"})
        assert (await client.ended(), client.code) == ("internal", 1011)
    assert "boom" not in str(client.of("error"))
    assert len(logged) == 1


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
        await desk.sessions.close()
        await client.ended()

    run(play())


# --- who may open a socket --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "allowed", "may"),
    [
        ({"host": "here:7860"}, "", True),
        ({"host": "here:7860", "origin": "http://here:7860"}, "", True),
        ({"host": "here:7860", "origin": "https://elsewhere"}, "", False),
        ({"host": "here:7860", "origin": "null"}, "", False),
        ({"host": "here:7860", "origin": "https://elsewhere"}, "https://a, https://elsewhere", True),
        ({"host": "here:7860", "origin": "https://elsewhere"}, "*", True),
    ],
)
def test_pages_of_other_origins_need_leave(headers: dict[str, str], allowed: str, may: bool) -> None:
    socket = SimpleNamespace(headers=headers)
    assert same_origin(socket, Settings(_env_file=None, cors_origins=allowed)) is may  # type: ignore[arg-type, call-arg]


def test_tokens_are_not_logged() -> None:
    path = "/orchestrate?session_id=abc&token=0123456789abcdef"
    record = logging.LogRecord(
        "uvicorn.error", logging.INFO, "", 0, '%s - "WebSocket %s" [accepted]', ("1.2.3.4:5", path), None
    )
    assert HideTokens().filter(record)
    assert record.getMessage() == '1.2.3.4:5 - "WebSocket /orchestrate?session_id=abc&token=..." [accepted]'
