"""Opening a WebSocket connection, and sound both ways, in virtual time: a real session and no network."""

import asyncio
import base64
import struct

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.conversation.session import Session
from app.protocol.codec import BadMessage, parse
from app.protocol.messages import PlaybackStop, StateChanged
from app.reply.playout import FRAME, Frame
from server.sessions.tokens import Ticket
from server.transport.pending import PendingConnections
from server.transport.websocket import router
from tests.unit.connection import Client, scene
from tests.unit.doubles import Desk, pcm


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
async def test_a_client_that_left_before_it_was_accepted_is_no_error(desk: Desk) -> None:
    """As Ray Serve tells it: its proxy has the client, and the app may hear of its coming only after it has gone."""
    app, sent = FastAPI(), list[Message]()
    app.include_router(router(desk.sessions, desk.settings, PendingConnections(1)))

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/orchestrate", "query_string": b"", "headers": [], "subprotocols": []}
    await app(scope, receive, send)
    assert not sent


@scene()
async def test_start_says_how_eager_the_agent_is_to_answer(desk: Desk) -> None:
    await Client(desk).start(eagerness="high")
    assert desk.made[0].context.agent.session_settings.eagerness == "high"
    with pytest.raises(BadMessage, match="eagerness"):
        parse('{"type": "start", "eagerness": "eager"}')


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
    desk.made[0].context.send(StateChanged(state="SPEAKING", previous="LISTENING", reason="first_audio_ready", at_ms=0.0))
    await asyncio.sleep(1)
    sent = len(client.audio())
    assert sent > 40
    desk.made[0].context.send(PlaybackStop(generation=1))
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


@scene()
async def test_who_has_left_while_he_waited_takes_the_conversation_from_nobody(desk: Desk) -> None:
    ticket = desk.sessions.create()
    credentials = {"session_id": ticket.session_id, "token": ticket.token}
    late = Client(desk)
    late.say({"type": "start", "sample_rate": 16000, **credentials})
    late.say({"type": "ping"})
    late.leave()  # it has waited at a slow proxy, and its client goes on with another
    talking = Client(desk)
    await talking.start(**credentials)
    later = Client(desk)
    later.say({"type": "start", "sample_rate": 16000, **credentials})
    later.leave()
    await asyncio.gather(late.ended(), later.ended())
    assert talking.code is None and not talking.codes()
    assert len(desk.made) == 1
    talking.leave()
    await talking.ended()
