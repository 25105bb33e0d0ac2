"""Who is who: what a client says of itself gives it nothing, and takes nothing from others."""

import asyncio

import pytest

from tests.attack.clients import Attacker, Message, Peer, peer
from tests.attack.conftest import START_S

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def spoken_with(one: Peer) -> None:
    """The conversation is there, and answers."""
    before = len(one.of("pong"))
    one.send("ping")
    await one.until("pong", before + 1)
    before = len(one.of("agent_heard")), len(one.of("agent_response"))
    one.send("text", text="How does barge-in work?")
    await one.until("agent_response", before[1] + 1)
    one.send("interrupt")


def ids(session: Message) -> dict[str, str]:
    return {"session_id": session["session_id"], "token": session["token"]}


async def test_the_name_of_a_session_opens_nothing_for_the_page(attacker: Attacker) -> None:
    session = await attacker.ticket()
    async with peer() as victim, peer() as thief:
        assert (await attacker.guarded(session, await victim.offer())).status_code == 200  # and it never connects
        body = {"sdp": await thief.offer(), "type": "offer", "webrtc_id": session["session_id"]}
        await thief.accept(await attacker.component(body))
        await asyncio.sleep(0.5)
        assert not thief.of("ready")
        thief.send("start", session_id=session["session_id"], token="guessed")
        await thief.ended()
        assert not thief.of("ready") and thief.codes() == ["wrong_token"]


async def test_the_name_of_a_session_ends_nothing(attacker: Attacker) -> None:
    session = await attacker.ticket()
    async with peer() as victim, peer() as thief:
        await attacker.call(victim, session)
        name = session["session_id"]
        for body in ({"sdp": "nonsense", "type": "offer"}, {"sdp": await thief.offer(), "type": "offer"}, {"type": "offer"}):
            await attacker.component({**body, "webrtc_id": name})
            await attacker.component({"webrtc_id": name}, "quit_output_stream")
        await asyncio.sleep(START_S + 1)
        assert not victim.closed.is_set()
        await spoken_with(victim)


async def test_the_name_of_a_page_ends_nothing(attacker: Attacker) -> None:
    async with peer() as victim, peer() as thief:
        await attacker.page(victim, "thepage")
        for body in ({"sdp": "nonsense", "type": "offer"}, {"sdp": await thief.offer(), "type": "offer"}, {"type": "offer"}):
            assert (await attacker.component({**body, "webrtc_id": "thepage"}))["status"] == "failed"
            await attacker.component({"webrtc_id": "thepage"}, "quit_output_stream")
        await asyncio.sleep(START_S + 1)
        assert not victim.closed.is_set()
        await spoken_with(victim)


async def test_offers_of_one_session_do_not_disturb_each_other(attacker: Attacker) -> None:
    session = await attacker.ticket()
    async with peer() as first, peer() as second, peer() as third, peer() as last:
        for abandoned in (first, second):
            assert (await attacker.guarded(session, await abandoned.offer())).status_code == 200
        await attacker.call(third, session)
        assert (await attacker.guarded(session, "nonsense")).status_code == 400
        assert (await attacker.guarded(session, await last.offer())).status_code == 200  # and it never connects
        await asyncio.sleep(START_S + 1)
        assert not third.closed.is_set(), "an offer that came to nothing ended the call"
        await spoken_with(third)


async def test_a_later_connection_of_the_session_takes_it_over(attacker: Attacker) -> None:
    session = await attacker.ticket()
    async with peer() as first, peer() as second:
        await attacker.call(first, session)
        assert (await attacker.call(second, session))["resumed"]
        await first.ended()
        assert first.codes() == ["taken_over"]
        await spoken_with(second)


async def test_candidates_reach_only_what_their_token_is_for(attacker: Attacker) -> None:
    one, other = await attacker.ticket(), await attacker.ticket()
    candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    async with peer() as caller:
        assert (await attacker.guarded(one, await caller.offer())).status_code == 200
        for session, said, status in (
            (one, candidate, 200),
            (one, {**candidate, "candidate": ""}, 200),
            (other, candidate, 400),
            ({**one, "token": "guessed"}, candidate, 403),
            (one, {**candidate, "candidate": "candidate:1 1 udp 1 nowhere 99999 typ host"}, 400),
            (one, {**candidate, "candidate": "candidate:"}, 200),
            (one, {"candidate": candidate["candidate"]}, 400),
        ):
            body = {"type": "ice-candidate", "candidate": said, **ids(session)}
            response = await attacker.http.post("/webrtc/offer", json=body)
            assert response.status_code == status, (said, response.text)
        for port in range(1000, 1080):
            said = {**candidate, "candidate": f"candidate:1 1 udp 1 192.0.2.1 {port} typ host"}
            body = {"type": "ice-candidate", "candidate": said, **ids(one)}
            response = await attacker.http.post("/webrtc/offer", json=body)
        assert response.status_code == 400, "there is no end to candidates"
