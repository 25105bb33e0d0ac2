"""The store against the embedded server and against Debian's redis-server, both of which fail in every way that can be arranged."""

import asyncio
import contextlib
import itertools
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app import keys
from app.records import PendingReply, SessionRecord, StoreError
from app.store import Store
from services.base import Exchange
from tests.integration.redis_servers import Backend, DebianRedis, Proxy, backend, becomes, settings

RECORD = SessionRecord(
    session_id="s",
    state="SPEAKING",
    generation=3,
    history=(Exchange("what is it", "It is a voice agent"),),
    profile={"speed": 1.15},
    acked_ms=812.5,
    pending=PendingReply(turn=2, generation=3, clauses=("One,", "two."), first_unheard=1),
)


@pytest.fixture(params=["embedded", "redis"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with backend(request.param, tmp_path) as server:
        yield server


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[DebianRedis]:
    async with backend("redis", tmp_path) as server:
        assert isinstance(server, DebianRedis)
        yield server


async def logged(store: Store, session_id: str = "s") -> list[dict[str, Any]]:
    return [entry async for entry in store.read_log(session_id)]


def number(store: Store, numbers: range, session_id: str = "s") -> None:
    for index in numbers:
        store.log(session_id, {"kind": "event", "index": index})


def assert_complete(entries: list[dict[str, Any]], count: int) -> None:
    """Nothing lost, nothing doubled, nothing out of order, no gap in the sequence."""
    assert [entry["index"] for entry in entries] == list(range(count))
    assert [entry["seq"] for entry in entries] == list(range(1, count + 1))


async def test_readers_beside_the_writer_open_no_further_connection(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        number(store, range(200))
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(logged(store))
                group.create_task(store.load("nobody"))
        assert await store.drain(5)
        assert_complete(await logged(store), 200)
        assert len(await admin.client_list()) == 2, "one of the store, and the one that asks"


async def test_what_is_written_lies_under_its_key_and_comes_back(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path, session_ttl_s=600)) as store, server.admin() as admin:
        store.save(RECORD)
        store.log("s", {"kind": "event", "at_ms": 5.0, "state": "IDLE"})
        store.latency({"session": "s", "turn": 1, "spans": {"stt_final": 210.5}})
        assert await store.drain(5)
        assert store.status.state == "ok"
        kept = json.loads(await admin.get("session:s"))
        assert kept["version"] == 1
        assert 590 <= await admin.ttl("session:s") <= 600
        assert await admin.type("logs:session:s") == b"stream"
        assert await admin.type("metrics:latency") == b"stream"
        assert await logged(store) == [{"seq": 1, "kind": "event", "at_ms": 5.0, "state": "IDLE"}]
        [figures] = [entry async for entry in store.read_latency(0)]
        assert (figures["turn"], figures["spans"]) == (1, {"stt_final": 210.5})
    async with Store(server.settings(tmp_path)) as restarted:
        loaded = await restarted.load("s")
        assert loaded is not None
        assert loaded.model_dump(exclude={"epoch", "owner", "revision", "updated_ms"}) == RECORD.model_dump(
            exclude={"epoch", "owner", "revision", "updated_ms"}
        )
        assert await restarted.load("nobody") is None


async def test_of_several_saves_the_last_one_is_kept_and_use_renews_the_time_to_live(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path, session_ttl_s=600)) as store, server.admin() as admin:
        for generation in range(50):
            store.save(RECORD.model_copy(update={"generation": generation}))
        assert await store.drain(5)
        assert json.loads(await admin.get("session:s"))["generation"] == 49
        await admin.expire("session:s", 5)
        store.save(RECORD)
        assert await store.drain(5)
        assert await admin.ttl("session:s") > 500


async def test_a_killed_server_loses_doubles_and_disorders_nothing(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store:
        for round_ in range(3):
            number(store, range(round_ * 100, round_ * 100 + 50))
            await asyncio.sleep(0.005)  # let a write be under way
            await server.kill()
            number(store, range(round_ * 100 + 50, round_ * 100 + 100))
            await server.restore()
        assert await store.drain(10)
        assert_complete(await logged(store), 300)


async def test_a_paused_server_is_waited_for(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store:
        number(store, range(10))
        assert await store.drain(5)
        server.signal(signal.SIGSTOP)
        try:
            number(store, range(10, 20))
            store.save(RECORD.model_copy(update={"generation": 1}))
            await becomes(lambda: store.status.state == "degraded")
            number(store, range(20, 30))
            store.save(RECORD.model_copy(update={"generation": 2}))
            await asyncio.sleep(2.5)  # another attempt fails, its commands wait in the server's socket
        finally:
            server.signal(signal.SIGCONT)
        assert await store.drain(10)
        assert store.status.state == "ok"
        assert_complete(await logged(store), 30)
    async with Store(server.settings(tmp_path)) as restarted:
        loaded = await restarted.load("s")
        assert loaded is not None and loaded.generation == 2, "a late write of an older state has won"


async def test_a_late_write_of_an_older_state_changes_nothing(server: Backend, tmp_path: Path) -> None:
    """As when a server that was paused takes up commands whose sender has long given up and sent newer ones."""
    async with Store(server.settings(tmp_path)), server.admin() as admin:
        for revision in (1, 3, 2):
            record = RECORD.model_copy(update={"revision": revision, "generation": revision})
            pipe = admin.pipeline(transaction=False)
            keys.put(pipe, record, "process", 1, 60)
            assert await pipe.execute() == [1]
        kept = await keys.load(admin, "s")
        assert kept is not None and kept.generation == 3


async def test_a_server_out_of_memory_is_waited_for(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        number(store, range(10))
        assert await store.drain(5)
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        number(store, range(10, 20))
        store.save(RECORD)
        await becomes(lambda: store.status.state == "degraded")
        assert "OOM" in store.status.reason or "maxmemory" in store.status.reason
        await admin.config_set("maxmemory", "0")
        assert await store.drain(10)
        assert_complete(await logged(store), 20)


@pytest.mark.parametrize("answers", [1, 2, 5])
async def test_a_write_whose_answer_is_lost_is_not_written_twice(redis: DebianRedis, tmp_path: Path, answers: int) -> None:
    async with Proxy(tmp_path, redis.socket) as proxy, Store(settings(tmp_path, proxy.url)) as store:
        number(store, range(10))
        assert await store.drain(5)
        proxy.lose_answers = answers
        number(store, range(10, 40))
        assert await store.drain(10)
        assert_complete(await logged(store), 40)


async def test_a_server_that_takes_connections_and_never_answers_holds_nobody_up(redis: DebianRedis, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Proxy(tmp_path, redis.socket) as proxy, contextlib.AsyncExitStack() as stack:
        proxy.mute = True
        store = await stack.enter_async_context(Store(settings(tmp_path, proxy.url)))
        assert store.status.state == "degraded"
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(loop.time())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        number(store, range(1000))
        store.save(RECORD)
        remembered = await store.load("s")  # what this process wrote needs no server
        assert remembered is not None and remembered.generation == RECORD.generation
        with pytest.raises(StoreError, match="away"):
            await store.load("somebody else")
        assert not await store.drain(0.1)
        proxy.mute = False
        assert await store.drain(10)
        ticking.cancel()
        assert len(ticks) > 10
        assert_complete(await logged(store), 1000)


async def test_the_later_resume_wins_and_the_earlier_owner_is_told(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as first, Store(server.settings(tmp_path)) as second:
        told: list[str] = []
        first.on_taken_over(told.append)
        assert await first.claim("s") is None
        first.save(RECORD)
        number(first, range(5))
        assert await first.drain(5)
        claimed = await second.claim("s")
        assert claimed is not None and claimed.pending == RECORD.pending and claimed.history == RECORD.history
        number(second, range(5, 8))
        second.save(RECORD.model_copy(update={"generation": 9}))
        assert await second.drain(5)
        number(first, range(90, 95))
        first.save(RECORD)
        await becomes(lambda: told == ["s"])
        number(first, range(95, 99))  # what it still says is not kept
        assert await first.drain(5)
        assert_complete(await logged(second), 8)
        loaded = await second.load("s")
        assert loaded is not None and loaded.generation == 9
        back = await first.claim("s")
        assert back is not None and back.generation == 9
        number(first, range(8, 10))
        assert await first.drain(5)
        assert_complete(await logged(second), 10)


async def test_of_many_claims_at_once_exactly_one_owner_remains(redis: DebianRedis, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(Store(redis.settings(tmp_path))) for _ in range(4)]
        await claim_at_once(stores)


async def claim_at_once(stores: list[Store]) -> None:
    told: list[int] = []
    for index, store in enumerate(stores):
        store.on_taken_over(lambda session_id, index=index: told.append(index))
    stores[0].save(RECORD)
    assert await stores[0].drain(5)
    await asyncio.gather(*(store.claim("s") for index, store in enumerate(stores)))
    for index, store in enumerate(stores):
        store.save(RECORD.model_copy(update={"generation": index}))
        number(store, range(index * 10, index * 10 + 5))
    await asyncio.gather(*(store.drain(5) for store in stores))
    assert len(set(told)) == len(told) == 3
    [winner] = set(range(4)) - set(told)
    entries = await logged(stores[0])
    assert [entry["index"] for entry in entries][-5:] == list(range(winner * 10, winner * 10 + 5)), "the winner writes last"
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    loaded = await stores[winner].load("s")
    assert loaded is not None and loaded.generation == winner


async def test_a_session_of_this_process_resumes_while_the_server_is_away(redis: DebianRedis, tmp_path: Path) -> None:
    async with Store(redis.settings(tmp_path)) as store:
        assert await store.claim("s") is None
        store.save(RECORD)
        number(store, range(3))
        assert await store.drain(5)
        await redis.kill()
        claimed = await store.claim("s")
        assert claimed is not None and claimed.history == RECORD.history
        number(store, range(3, 6))
        await redis.restore()
        assert await store.drain(10)
        assert_complete(await logged(store), 6)


async def test_a_session_that_starts_without_its_past_is_not_cut_off_when_the_server_returns(
    redis: DebianRedis, tmp_path: Path
) -> None:
    async with Store(redis.settings(tmp_path)) as earlier:
        earlier.save(RECORD)
        number(earlier, range(3))
        assert await earlier.drain(5)
    await redis.kill()
    async with Store(redis.settings(tmp_path)) as store:
        told: list[str] = []
        store.on_taken_over(told.append)
        with pytest.raises(StoreError):
            await store.claim("s")
        number(store, range(3, 6))
        store.save(RECORD.model_copy(update={"generation": 7, "history": (Exchange("Now?", "Now."),)}))
        await redis.restore()
        assert await store.drain(10)
        assert_complete(await logged(store), 6)
        assert told == []
        store.save(RECORD.model_copy(update={"generation": 8, "history": (Exchange("Now?", "Now."), Exchange("Then?", ""))}))
        assert await store.drain(10)
        claimed = await store.claim("s")
        assert claimed is not None and claimed.generation == 8
        assert claimed.history == (*RECORD.history, Exchange("Now?", "Now."), Exchange("Then?", "")), "its past is lost"


async def test_a_log_without_a_session_goes_on(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as earlier, server.admin() as admin:
        number(earlier, range(3))
        assert await earlier.drain(5)
        assert await admin.delete("session:s") == 0
        async with Store(server.settings(tmp_path)) as store:
            assert await store.claim("s") is None
            number(store, range(3, 6))
            assert await store.drain(5)
            assert_complete(await logged(store), 6)


async def test_erasing_leaves_nothing_behind_and_nothing_comes_back(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        store.save(RECORD)
        number(store, range(3))
        assert await store.drain(5)
        number(store, range(3, 6))
        await store.erase("s")
        number(store, range(6, 9))
        store.save(RECORD)
        assert await store.drain(5)
        assert await admin.keys("*") == []
        assert await store.load("s") is None and await store.claim("s") is None


async def test_texts_stay_out_of_the_log_on_demand(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path, log_transcripts=False)) as store, server.admin() as admin:
        store.log("s", {"kind": "event", "state": "LISTENING", "next": "THINKING", "event": {"type": "text", "text": "SECRET"}})
        store.log("s", {"kind": "transcript", "text": "SECRET", "final": True, "turn": 1})
        store.log("s", {"kind": "sources", "passages": [{"id": "SECRET", "title": "SECRET", "score": 0.5}], "turn": 1})
        assert await store.drain(5)
        assert b"SECRET" not in b"".join(fields[b"entry"] for _, fields in await admin.xrange("logs:session:s"))
        event, transcript, sources = await logged(store)
        assert (event["state"], event["next"], event["event"]["type"]) == ("LISTENING", "THINKING", "text")
        assert (transcript["turn"], transcript["final"], sources["passages"][0]["score"]) == (1, True, 0.5)


async def test_what_the_full_buffer_drops_is_counted_in_the_log(redis: DebianRedis, tmp_path: Path) -> None:
    async with Store(redis.settings(tmp_path), capacity=20) as store:
        store.log("s", {"kind": "ready"})
        assert await store.drain(5)
        await redis.kill()
        await becomes(lambda: store.status.state == "degraded")
        for index in range(15):
            store.log("s", {"kind": "transcript", "final": False, "index": index})
            store.log("s", {"kind": "event", "index": index})
        await redis.restore()
        assert await store.drain(10)
        entries = await logged(store)
        assert [entry["index"] for entry in entries if entry["kind"] == "event"] == list(range(15))
        partials = [entry["index"] for entry in entries if entry["kind"] == "transcript"]
        assert partials == list(range(15 - len(partials), 15)), "the oldest go first"
        assert sum(entry.get("count", 0) for entry in entries if entry["kind"] == "dropped") + len(partials) == 15
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))


async def test_a_key_that_holds_something_else_does_not_stop_the_others(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        await admin.set("logs:session:s", "not a stream")
        number(store, range(3))
        number(store, range(3), "other")
        assert await store.drain(5)
        assert_complete(await logged(store, "other"), 3)
        await admin.set("session:broken", '{"version":99}')
        with pytest.raises(StoreError, match="another version"):
            await store.load("broken")


async def test_the_latency_stream_is_capped(server: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.outbox._LATENCY_KEPT", 100)
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        for turn in range(900):
            store.latency({"session": "s", "turn": turn, "spans": {}})
        assert await store.drain(5)
        assert 100 <= await admin.xlen("metrics:latency") < 300
        turns = [entry["turn"] async for entry in store.read_latency(0)]
        assert turns == list(range(turns[0], 900))


async def test_many_sessions_are_written_side_by_side(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store:
        for index, session in itertools.product(range(40), range(30)):
            number(store, range(index, index + 1), f"s{session}")
            store.save(RECORD.model_copy(update={"session_id": f"s{session}", "generation": index}))
        assert await store.drain(10)
        for session in range(30):
            assert_complete(await logged(store, f"s{session}"), 40)
