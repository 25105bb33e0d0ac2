"""A process that goes down, in virtual time: who is let speak to the end, who is told, and when."""

import asyncio
from typing import Any

import pytest

from server.sessions.drain import LOOK_S, Drain
from server.sessions.tokens import Leaving
from tests.unit.connection import Client, scene
from tests.unit.doubles import Desk, pcm

VOICE = pcm(16000, 20, 1000)
SILENCE = pcm(16000, 20, 0)


class Draining:
    """A drain that has begun."""

    def __init__(self, desk: Desk, drain_s: float = 30.0, url: str = "", found_s: float = 0.0) -> None:
        async def elsewhere() -> str:
            await asyncio.sleep(found_s)
            return url

        self.drain = Drain(desk.sessions, drain_s, elsewhere)
        self.began = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self.took())

    async def took(self) -> float:
        await self.drain()
        return asyncio.get_running_loop().time() - self.began


def told(client: Client) -> list[dict[str, Any]]:
    assert client.code in (None, 1012)
    return client.of("shutting_down")


async def acknowledge(client: Client, played_ms: float) -> None:
    generation = client.of("playback_start")[-1]["generation"]
    client.say({"type": "playback_done", "generation": generation, "played_ms": played_ms})
    await asyncio.sleep(0.01)


async def until(client: Client, kind: str) -> dict[str, Any]:
    while not client.of(kind):  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)
    return client.of(kind)[-1]


async def speaking(client: Client) -> None:
    client.say({"type": "text", "text": "how does it work?"})
    await until(client, "playback_start")


@scene()
async def test_who_is_silent_is_told_at_once(desk: Desk) -> None:
    clients = [Client(desk) for _ in range(3)]
    for client in clients:
        await client.start()
    took = await Draining(desk).task
    assert took < 3 * LOOK_S
    for client in clients:
        assert await client.ended() == ""
        assert client.code == 1012
        [last] = told(client)
        assert client.sent[-1][1] == last
        assert (last["after_ms"], "url" in last) == (500.0, False)


@scene()
async def test_where_to_go_on_is_told(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    await Draining(desk, url="https://b.example.org").task
    assert [(last["url"], last["after_ms"]) for last in told(client)] == [("https://b.example.org", 0.0)]


@scene()
async def test_a_reply_is_heard_to_the_end_that_its_listener_acknowledges(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    await speaking(client)
    drain = Draining(desk)
    end = await until(client, "audio_end")
    await asyncio.sleep(0.3)
    assert not told(client), "sent is not heard"
    await acknowledge(client, end["ms"])
    await drain.task
    assert told(client)
    [exchange] = desk.made[0].memory.history
    assert exchange.heard == "The first sentence is here. The second one follows now. And this is the third of them."
    assert not client.of("playback_stop")


@scene()
async def test_a_turn_that_is_being_spoken_or_thought_about_is_answered(desk: Desk) -> None:
    speaks, types = Client(desk), Client(desk)
    for client in (speaks, types):
        await client.start()
    for _ in range(30):
        speaks.say(VOICE)
        await asyncio.sleep(0.02)
    types.say({"type": "text", "text": "how does it work?"})
    await asyncio.sleep(0.01)
    drain = Draining(desk)
    for _ in range(30):
        speaks.say(VOICE)
        await asyncio.sleep(0.02)
    for _ in range(100):
        speaks.say(SILENCE)
        await asyncio.sleep(0.02)
    await drain.task
    for client in (speaks, types):
        assert client.of("agent_heard") and told(client)
        assert client.sent[-1][1]["type"] == "shutting_down"
    assert [len(session.memory.history) for session in desk.made] == [1, 1]


@scene()
async def test_a_turn_that_comes_while_another_server_is_looked_for_is_answered(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    drain = Draining(desk, found_s=0.4)
    await asyncio.sleep(0.6)  # the second time it is asked: for this client
    client.say({"type": "text", "text": "how does it work?"})
    await drain.task
    assert client.of("agent_heard") and told(client)
    assert not client.of("playback_stop")


@scene()
async def test_nobody_new_is_let_in_meanwhile(desk: Desk) -> None:
    ticket, client = desk.sessions.create(), Client(desk)
    await client.start()
    await speaking(client)
    drain = Draining(desk)
    await asyncio.sleep(0.1)
    for refused in (lambda: desk.sessions.create(), lambda: desk.sessions.admission.check_room()):
        with pytest.raises(Leaving):
            refused()
    with pytest.raises(Leaving):
        await desk.sessions.admit(ticket.session_id)
    late = Client(desk)
    late.say({"type": "start", "session_id": ticket.session_id, "token": ticket.token})
    assert (await late.ended(), late.code) == ("shutting_down", 1012)
    await drain.task


@scene()
async def test_who_takes_too_long_is_told_all_the_same(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    await speaking(client)
    took = await Draining(desk, drain_s=1.0).task
    assert 1.0 <= took < 1.0 + 4 * LOOK_S
    assert told(client)
    [exchange] = desk.made[0].memory.history
    assert "The first sentence is here. The second".startswith(exchange.heard) and exchange.heard


@scene()
async def test_a_second_signal_waits_for_nothing(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    await speaking(client)
    drain = Draining(desk)
    await asyncio.sleep(0.2)
    drain.drain.hasten()
    assert await drain.task < 0.2 + 4 * LOOK_S
    assert told(client)


@scene()
async def test_what_was_said_is_written_before_the_client_is_sent_on(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    desk.store.delay_s = 0.4
    drain = Draining(desk)
    await asyncio.sleep(0.3)
    assert not told(client)
    await drain.task
    assert told(client)


@scene()
async def test_a_client_that_is_away_holds_nothing_up(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    await speaking(client)
    client.leave()
    await client.ended()
    assert await Draining(desk).task < 3 * LOOK_S
    assert not desk.sessions.live.all()


@scene()
async def test_it_may_be_asked_for_twice(desk: Desk) -> None:
    drain = Drain(desk.sessions, 30.0)
    await asyncio.gather(drain(), drain())
    await drain()


@scene()
async def test_a_store_that_is_away_is_waited_for_as_long_as_anybody_is(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    desk.store.away = True
    going = Draining(desk, 10.0)
    await asyncio.sleep(2)
    await speaking(client)  # its conversation goes on here
    await asyncio.sleep(3)
    assert not told(client) and not going.task.done()
    desk.store.away = False
    assert 5 < await going.task < 10  # and its reply was heard to the end
    assert told(client)

    desk.store.away = True
    assert await Draining(desk, 10.0).task == pytest.approx(10, abs=0.2)
    hurried = Draining(desk, 10.0)
    await asyncio.sleep(2)
    hurried.drain.hasten()
    assert await hurried.task < 2.5


@scene()
async def test_a_store_that_stays_away_is_given_up_in_the_end(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    desk.store.away = True
    going = Draining(desk, 10.0)
    await asyncio.sleep(9)
    assert not told(client)
    assert await going.task == pytest.approx(10, abs=1.2)
    assert told(client)
