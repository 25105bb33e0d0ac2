"""Several servers on one Redis, as they see each other."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from app.core.clock import LoopClock
from app.settings import Settings
from app.tools.registry import TOOLS
from server.sessions.nodes import Node, Nodes
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


async def test_settings_that_a_conversation_would_notice_are_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = Redis()
    older = Node.model_validate_json(await said_by(server(redis))).model_copy(update={"settings": {}})
    redis.said["older"] = older.model_dump_json(exclude={"settings"})
    one, two = server(redis), server(redis, log_transcripts=False, time_zone="Asia/Tokyo", stt="http://127.0.0.1:9/v1")
    await meeting(one, two)
    assert {record.message.partition("Redis ")[2] for record in caplog.records} == {
        "is set otherwise (time_zone, log_transcripts): a conversation that goes on there changes"
    }
    caplog.clear()
    monkeypatch.setitem(TOOLS, "flip_coin", next(iter(TOOLS.values())))
    redis.said.pop(two._store)
    redis.said["one before"] = await said_by(one)
    monkeypatch.delitem(TOOLS, "flip_coin")
    await meeting(server(redis))
    assert "(tools)" in caplog.text


async def said_by(one: Nodes) -> str:
    """What it tells the others."""
    return one._own().model_dump_json()


def a_folder(at: Path, name: str) -> Path:
    """Knowledge as Kubernetes mounts a ConfigMap: the files are links into a hidden folder that has another name each time."""
    hidden = at / name / f"..2026_{name}"
    hidden.mkdir(parents=True)
    (hidden / "facts.md").write_text("# Tea\n\nTea is hot.")
    (at / name / "..data").symlink_to(hidden.name)
    (at / name / "facts.md").symlink_to("..data/facts.md")
    return at / name


def test_knowledge_is_the_same_where_the_same_is_read(tmp_path: Path) -> None:
    one, two = (server(Redis(), knowledge=a_folder(tmp_path, name)) for name in ("one", "two"))
    (tmp_path / "two" / ".DS_Store").write_bytes(b"a view of the folder")
    (tmp_path / "two" / "talk.mp4").write_bytes(b"a recording")
    assert one._own().knowledge == two._own().knowledge
    (tmp_path / "two" / "more.md").write_text("# Coffee")
    assert one._own().knowledge != two._own().knowledge


async def test_files_that_cannot_be_looked_at_end_no_meeting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A drain asks for another server too: it would end, and cut everybody off."""
    (tmp_path / "facts.md").write_text("# Tea")
    (tmp_path / "secret.md").write_text("# Not for this user")
    (tmp_path / "nowhere.md").symlink_to("not here")
    opened = Path.open

    def refused(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "secret.md":
            raise PermissionError(13, "Permission denied")
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", refused)
    redis = Redis()
    await server(redis, node_url="http://other", knowledge=tmp_path).elsewhere()
    assert await server(redis, knowledge=tmp_path).elsewhere() == "http://other"
    assert not caplog.records


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
