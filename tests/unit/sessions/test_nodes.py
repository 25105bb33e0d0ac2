"""Several servers on one Redis, as they see each other."""

import asyncio
import logging
from pathlib import Path

import pytest

from app.core.clock import LoopClock
from app.settings import Settings
from server.sessions.nodes import Nodes
from server.sessions.tokens import Forbidden, Foreign, Tickets
from server.store.records import StoreError
from tests.unit.doubles import SECRET

OTHER_SECRET = "another secret that is for tests, too"


class Redis:
    """What each server said last."""

    def __init__(self) -> None:
        self.said: dict[object, str] = {}
        self.away = False


class Store:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def meet(self, says: str) -> list[str]:
        if self._redis.away:
            raise StoreError("the store is away")
        self._redis.said[self] = says
        return [said for store, said in self._redis.said.items() if store is not self]


def server(redis: Redis, is_open: bool = True, secret: str = SECRET, **settings: object) -> Nodes:
    chosen = Settings(_env_file=None, secret=secret, **settings)  # type: ignore[arg-type]
    return Nodes(Store(redis), chosen, Tickets(chosen, LoopClock()), lambda: is_open)  # type: ignore[arg-type]


async def meeting(*servers: Nodes) -> None:
    for _ in range(2):
        runs = [asyncio.create_task(one.run()) for one in servers]
        await asyncio.sleep(0.2)
        for run in runs:
            run.cancel()


async def test_servers_that_are_alike_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    redis = Redis()
    await meeting(server(redis), server(redis))
    assert not caplog.records


async def test_another_secret_and_other_knowledge_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "facts.md").write_text("# Tea\n\nTea is hot.")
    redis = Redis()
    one, two = server(redis), server(redis, secret=OTHER_SECRET, knowledge=tmp_path, node_url="http://two")
    await meeting(one, two)
    told = {("(http://two)" in record.message, "another secret" in record.message) for record in caplog.records}
    assert len(caplog.records) == len(told) == 4, "each says of the other that its secret and its knowledge differ"
    assert SECRET not in caplog.text and OTHER_SECRET not in caplog.text


async def test_one_that_says_what_nobody_understands_is_another_version(caplog: pytest.LogCaptureFixture) -> None:
    redis = Redis()
    redis.said["a later one"] = '{"says": "something else"}'
    await meeting(server(redis))
    assert "another version" in caplog.text


async def test_clients_are_sent_to_a_server_that_is_open_and_known_to_be_ours() -> None:
    redis = Redis()
    here = server(redis, node_url="http://here")
    assert await here.elsewhere() == ""
    full, ours = server(redis, is_open=False, node_url="http://full"), server(redis, node_url="http://ours")
    nameless, theirs = server(redis), server(redis, secret=OTHER_SECRET, node_url="http://theirs")
    for other in (full, ours, nameless, theirs):
        await other.elsewhere()
    assert {await here.elsewhere() for _ in range(20)} == {"http://ours"}
    redis.away = True
    assert await here.elsewhere() == ""


async def test_redis_away_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    redis = Redis()
    redis.away = True
    with caplog.at_level(logging.INFO):
        await meeting(server(redis))
    assert not caplog.records


def test_a_token_of_another_secret_is_called_that() -> None:
    one, two = (Tickets(Settings(_env_file=None, secret=secret), LoopClock()) for secret in (SECRET, OTHER_SECRET))  # type: ignore[call-arg]
    ticket = one.issue()
    with pytest.raises(Foreign, match="another secret"):
        two.check(ticket.session_id, ticket.token)
    for token in ("guessed", f"{two.key}.{ticket.token.partition('.')[2]}", f"no key.{ticket.token}"):
        with pytest.raises(Forbidden) as refused:
            two.check(ticket.session_id, token)
        assert not isinstance(refused.value, Foreign)
