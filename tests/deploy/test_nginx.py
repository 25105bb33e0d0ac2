"""nginx as `deploy/nginx/parley.conf` has it, before two nodes that hold one conversation each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.bench.client import Message
from tests.bench.websocket import WebSocketCall
from tests.deploy.conftest import Nodes
from tests.integration.redis_servers import becomes

COOKIE = "parley_node"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def begun(url: str, client: httpx.AsyncClient) -> Message:
    answer = await client.post(f"{url}/sessions", json={})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@asynccontextmanager
async def call(url: str, session: Message) -> AsyncIterator[WebSocketCall]:
    """A conversation at the server at `url`, erased when it is left: a node keeps one whose connection is lost for a minute."""
    held = await WebSocketCall.open(url, session, False, (url,))
    try:
        yield held
    finally:
        with suppress(ConnectionClosed):
            await held.close()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {session['token']}"}) as client:
            await client.delete(f"{url}/sessions/{session['session_id']}")


async def conversations(nodes: Nodes, name: str) -> int:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{nodes.nodes[name].url}/metrics")).text
    return int(float(next(line for line in text.splitlines() if line.startswith("parley_sessions ")).split()[1]))


async def empty(nodes: Nodes) -> bool:
    """Nobody is left of the test before: that a session is erased reaches the node that has it within some 2 s."""
    return not any([await conversations(nodes, name) for name in nodes.nodes])


async def test_first_visit_is_given_a_node_and_keeps_it(behind: Nodes) -> None:
    async with httpx.AsyncClient(base_url=behind.url) as client:
        page = await client.get("/")
        assert "gradio" in page.text
        node = page.cookies[COOKIE]
        assert node in behind.nodes
        for _ in range(6):
            assert "set-cookie" not in (await client.post("/sessions")).headers, "the page has left its node"
        assert client.cookies[COOKIE] == node


async def test_cookie_of_nobodys_making_leads_to_a_node(behind: Nodes) -> None:
    for value in ("nowhere", "127.0.0.1:22", "parley_a;", "a" * 3000):
        async with httpx.AsyncClient(base_url=behind.url, headers={"Cookie": f"{COOKIE}={value}"}) as client:
            answer = await client.post("/sessions")
            assert answer.status_code == 201
            assert answer.cookies[COOKIE] in behind.nodes


async def test_full_node_sends_the_page_to_the_next(behind: Nodes) -> None:
    await becomes(lambda: empty(behind))
    a, b = (node.url for node in behind.nodes.values())
    async with httpx.AsyncClient() as client, call(a, await begun(a, client)):
        direct = await client.post(f"{a}/sessions")
        assert (direct.status_code, direct.headers["retry-after"]) == (503, "10")
        client.cookies.set(COOKIE, "a")
        answer = await client.post(f"{behind.url}/sessions")
        assert (answer.status_code, answer.cookies[COOKIE]) == (201, "b")
        async with call(b, dict(answer.json())):
            full = await client.post(f"{behind.url}/sessions")
            assert (full.status_code, full.headers["retry-after"]) == (503, "10"), "both are full: it is told when to ask again"
            assert full.json()["error"]["code"] == "full"


async def test_conversation_over_a_websocket(behind: Nodes) -> None:
    await becomes(lambda: empty(behind))
    async with httpx.AsyncClient() as client, call(behind.url, await begun(behind.url, client)) as caller:
        asked = await caller.say("how does it work?")
        assert await caller.audible(asked) is not None
        assert sum([await conversations(behind, name) for name in behind.nodes]) == 1


async def test_metrics_are_not_for_everybody(behind: Nodes) -> None:
    async with httpx.AsyncClient(base_url=behind.url) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_a_node_that_stands_still_is_left_by_those_who_ask_for_a_session(behind: Nodes) -> None:
    frozen = psutil.Process(behind.nodes["a"].pid)
    frozen.suspend()
    try:
        async with httpx.AsyncClient(base_url=behind.url, cookies={COOKIE: "a"}, timeout=5) as client:
            answer = await client.post("/sessions", content=b'{"instructions": "' + b" " * 60_000 + b'"}')
            assert (answer.status_code, answer.cookies[COOKIE]) == (201, "b")
    finally:
        frozen.resume()


async def test_session_goes_on_at_the_other_node_when_its_own_is_killed(behind: Nodes) -> None:
    """The last test of this module. The reply under way was heard in part, and the other node knows how far."""
    await becomes(lambda: empty(behind))
    async with httpx.AsyncClient(base_url=behind.url) as client:
        session = await begun(behind.url, client)
        async with call(behind.url, session) as caller:
            asked = await caller.say("how does it work?")
            heard_from = await caller.audible(asked)
            assert heard_from is not None
            await asyncio.sleep(1.5)
            (own,) = [name for name in behind.nodes if await conversations(behind, name)]
            psutil.Process(behind.nodes.pop(own).pid).kill()
            await becomes(lambda: bool(caller.breaks))
            most = 4 * (caller.breaks[0].lost - heard_from) + 1  # words: four a second
            assert caller.events("ready")[-1]["resumed"]
            client.headers["Authorization"] = f"Bearer {session['token']}"
            history = (await client.get(f"/sessions/{session['session_id']}")).json()["history"]
            assert [turn["user"] for turn in history] == ["how does it work?"]
            assert 2 <= len(history[0]["heard"].split()) <= most
        client.cookies.set(COOKIE, own)
        assert (await client.get("/")).status_code == 200
