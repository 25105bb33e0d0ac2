"""Servers on one Redis, as processes with scripted models: one is told to end, one is killed, and whoever talks goes on at
another."""

import asyncio
import os
import signal
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psutil
import pytest_asyncio
from pytest import mark

from server.replay import Rerun
from tests.bench.client import Call, dial
from tests.bench.server import Server, free_port, serve
from tests.integration.redis_servers import DebianRedis, becomes
from tests.integration.talker import talk, ticket

pytestmark = mark.asyncio(loop_scope="module")

SECRET = "afe38ef3cab128462ad8051b3c477ca8"
OTHER_SECRET = "5919be1fb64156270f313c10b60fabdb"
NODE = ("-m", "tests.deploy.node")
QUESTION = "how does it work?"
DEATH_S = 10.0  # for a process to be gone
SETTLED_S = 0.3  # for the last of it to be written


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory: Any) -> AsyncIterator[DebianRedis]:
    server = DebianRedis(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(redis: DebianRedis) -> AsyncIterator[list[Server]]:
    """The first two know their own addresses; the last has another secret."""
    ports = [free_port() for _ in range(2)]
    async with AsyncExitStack() as stack:
        common: dict[str, Any] = {"redis_url": redis.url, "secret": SECRET}
        starting = [serve(Namespace(server=""), NODE, port=p, node_url=f"http://127.0.0.1:{p}", **common) for p in ports]
        starting += [serve(Namespace(server=""), NODE, **common | {"secret": secret}) for secret in (SECRET, OTHER_SECRET)]
        yield await asyncio.gather(*(stack.enter_async_context(server) for server in starting))


async def history(url: str, session: dict[str, Any]) -> list[dict[str, str]]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.get(f"/sessions/{session['session_id']}", headers=bearer(session))
        return list(answer.json()["history"])


async def log(url: str, session: dict[str, Any]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.get(f"/sessions/{session['session_id']}/log", headers=bearer(session))
        return [httpx.Response(200, text=line).json() for line in answer.text.splitlines()]


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


def check(entries: list[dict[str, Any]]) -> None:
    """Nothing is lost, doubled or out of order: the numbers follow one another, and the log can be run again."""
    rerun = Rerun()
    for entry in entries:
        rerun.check(entry)
    assert not rerun.faults


async def spoken_to(call: Call, seconds: float) -> None:
    """Asks, and listens to the answer for so long."""
    start = await call.event("playback_start", await call.say(QUESTION), 30)
    assert start is not None
    await call.until(start["t"] + seconds)


async def gone(server: Server) -> None:
    def ended() -> bool:
        return not psutil.pid_exists(server.pid or 0) or psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE

    await becomes(ended, DEATH_S)


async def test_a_session_erased_at_one_is_over_at_the_other(nodes: list[Server]) -> None:
    here, there = nodes[0].url, nodes[1].url
    session = await ticket(here)
    async with talk(here, session) as talker:
        await talker.until("ready")
        async with httpx.AsyncClient(base_url=there) as http:
            assert (await http.delete(f"/sessions/{session['session_id']}", headers=bearer(session))).status_code == 204
        assert (await talker.until("error"))["code"] == "deleted"
        await talker.closed()
    for url in (here, there):
        async with talk(url, session) as late:
            assert (await late.until("error"))["code"] == "unknown_session"


async def test_of_two_that_open_a_session_at_once_one_has_it(nodes: list[Server]) -> None:
    session = await ticket(nodes[0].url)
    async with talk(nodes[0].url, session) as one, talk(nodes[1].url, session) as two:
        both = (one, two)
        await asyncio.gather(*(talker.until("ready") for talker in both))
        # The one that loses may have been sent away before it can say anything.
        await asyncio.gather(*(talker.send("text", text=QUESTION) for talker in both), return_exceptions=True)
        await becomes(lambda: any(talker.of("error", code="taken_over") for talker in both))
        [loser] = [talker for talker in both if talker.of("error")]
        [winner] = [talker for talker in both if talker is not loser]
        assert await loser.closed() == 4409
        await winner.until("audio_end")
        assert winner.code is None
    await asyncio.sleep(SETTLED_S)
    entries = await log(nodes[0].url, session)
    check(entries)
    # Where the store is slow, the one that loses may have had the session, and logged its question, before the other took it over.
    asked = [entry["text"] for entry in entries if entry["kind"] == "transcript"]
    assert asked in ([QUESTION], [QUESTION, QUESTION])


async def test_a_token_of_another_secret_is_called_that_and_the_log_says_so(nodes: list[Server]) -> None:
    session = await ticket(nodes[0].url)
    async with talk(nodes[3].url, session) as talker:
        refused = await talker.until("error")
    assert (refused["code"], "another secret" in refused["message"]) == ("other_secret", True)

    def warned() -> bool:
        logs = [server.log.read_text() for server in nodes if server.log]
        assert not any(SECRET in text or OTHER_SECRET in text for text in logs)
        return all("has another secret" in text for text in logs)

    await becomes(warned)


async def test_one_that_stands_still_is_left_for_another_and_has_lost_its_conversation_when_it_goes_on(
    nodes: list[Server],
) -> None:
    frozen, other = nodes[1], nodes[0]
    async with dial(frozen.url, "websocket", elsewhere=[other.url]) as call:
        await spoken_to(call, 1.0)
        os.kill(frozen.pid or 0, signal.SIGSTOP)
        await becomes(lambda: bool(call.breaks), 20)
        assert call.breaks[0].url == other.url
        [exchange] = await history(other.url, call.session)
        begun = await call.event("playback_start", await call.say("and then?"), 30)
        os.kill(frozen.pid or 0, signal.SIGCONT)
        assert begun is not None
        await call.until(begun["t"] + 1.5)
        await call.interrupt()
        await call.quiet(0.2)
        said = await history(other.url, call.session)
        assert said[0] == exchange and said[1]["user"] == "and then?" and len(said[1]["heard"].split()) > 2

        async def let_go() -> bool:
            """It tells what is stored, and not what it has in memory."""
            return await history(frozen.url, call.session) == said

        await becomes(let_go)
    await asyncio.sleep(SETTLED_S)
    check(await log(other.url, call.session))


async def test_one_that_is_told_to_end_cuts_nobody_off_and_sends_them_on(nodes: list[Server]) -> None:
    going, other = nodes[2], (nodes[0].url, nodes[1].url)
    async with dial(going.url, "websocket", elsewhere=other[:1]) as talks, talk(going.url) as silent:
        await silent.until("ready")
        await spoken_to(talks, 2.0)
        os.kill(going.pid or 0, signal.SIGTERM)
        assert (await silent.until("shutting_down"))["url"] in other
        assert await silent.closed() == 1012
        async with httpx.AsyncClient(base_url=going.url) as http:
            assert (await http.get("/readyz")).json()["status"] == "draining"
            refused = await http.post("/sessions")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        await becomes(lambda: bool(talks.breaks), 40)
        await gone(going)
        [done] = talks.events("agent_heard")
        [told] = talks.events("shutting_down")
        assert not done["estimated"] and not talks.events("playback_stop")
        assert told["t"] > done["t"] and told["url"] == talks.breaks[0].url
        [exchange] = await history(other[0], talks.session)
        assert exchange == {"user": QUESTION, "heard": done["text"]}
        assert talks.events("ready")[-1]["resumed"]
        assert await talks.event("playback_start", await talks.say(QUESTION), 30)
    await asyncio.sleep(SETTLED_S)
    check(await log(other[0], talks.session))


async def test_one_that_is_killed_is_left_for_another_and_what_was_heard_is_remembered(nodes: list[Server]) -> None:
    killed, other = nodes[1], nodes[0]
    async with dial(killed.url, "webrtc", elsewhere=[other.url]) as call:
        await spoken_to(call, 3.0)
        acknowledged = [e["played_ms"] for e in call.log if e["type"] == "playback_progress"][-1]
        os.kill(killed.pid or 0, signal.SIGKILL)
        await becomes(lambda: bool(call.breaks), 40)
        assert call.breaks[0].url == other.url
        assert call.events("ready")[-1]["resumed"]
        [exchange] = await history(other.url, call.session)
        written = " ".join(message["text"].strip() for message in call.events("agent_response"))
        assert exchange["user"] == QUESTION
        assert acknowledged > 1000 and len(exchange["heard"].split()) >= 3
        assert written.startswith(exchange["heard"])
        assert await call.event("playback_start", await call.say(QUESTION), 30)
    await asyncio.sleep(SETTLED_S)
    check(await log(other.url, call.session))
