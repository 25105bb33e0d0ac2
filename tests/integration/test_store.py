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
from redis.asyncio import Redis

from server.store import commands as keys
from server.store.records import TURNS, Busy, Erased, PendingReply, SessionRecord, StoreError
from server.store.store import Store
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


async def test_many_readers_share_one_connection_beside_the_writers(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        number(store, range(2_000))
        assert await store.drain(5)

        async def look() -> bool:
            """Whether there was a place to read the log."""
            await store.load("nobody")
            try:
                assert len(await logged(store)) >= 2_000
            except Busy:
                return False
            return True

        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(look()) for _ in range(150)]
            number(store, range(2_000, 2_200))
            assert await store.drain(5)
        assert store.status.state == "ok"
        assert any(task.result() for task in looks) and not all(task.result() for task in looks)
        assert_complete(await logged(store), 2_200)
        assert len(await admin.client_list()) == 3, "two of the store, and the one that asks"


async def test_whoever_stops_reading_a_log_gives_his_place_back(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store:
        number(store, range(3))
        assert await store.drain(5)
        for _ in range(5):
            reading = [store.read_log("s") for _ in range(2)]
            for entries in reading:
                assert (await anext(entries))["index"] == 0
            with pytest.raises(Busy):
                await anext(store.read_log("s"))
            for entries in reading:
                await entries.aclose()


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


async def test_strange_words_among_the_servers_keep_nobody_from_meeting(redis: DebianRedis, tmp_path: Path) -> None:
    """What no server wrote there, or what is dated in the future, is removed by whoever draws it."""
    async with Store(settings(tmp_path, redis.url)) as one, Store(settings(tmp_path, redis.url)) as two, redis.admin() as admin:
        await two.meet("two")
        strange = ("", "oops", "12", "12.5 x", "-3 x", "nan x", "99999999999 late", f"{'9' * 400} x", "\n", "\x00\xff")
        await admin.hset(keys.NODES_KEY, mapping={f"strange-{place}": words for place, words in enumerate(strange)})
        met = [await one.meet("one") for _ in range(60)]
        assert all(set(others) <= {"two"} for others in met) and ["two"] in met
        assert await admin.hlen(keys.NODES_KEY) == 2


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
        assert await store.meet("here") == [], "servers see each other all the same: one that goes sends its clients on"
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
        told: list[tuple[str, str]] = []
        first.on_lost(lambda *lost: told.append(lost))
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
        await becomes(lambda: told == [("s", "taken_over")])
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
        store.on_lost(lambda session_id, how, index=index: told.append(index))
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
    words = ((150, 400, 650), (900, 1150))
    reply = PendingReply(
        turn=2, generation=3, clauses=("It is a", "voice agent."), first_unheard=1, word_ms=words, remembered=True
    )
    async with Store(redis.settings(tmp_path)) as earlier:
        earlier.save(RECORD.model_copy(update={"pending": reply, "history": (Exchange("what is it", "It is a"),)}))
        number(earlier, range(3))
        assert await earlier.drain(5)
    await redis.kill()
    async with Store(redis.settings(tmp_path)) as store:
        told: list[tuple[str, str]] = []
        store.on_lost(lambda *lost: told.append(lost))
        with pytest.raises(StoreError):
            await store.claim("s")
        store.played("s", 3, 950.0)  # says its listener
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
        past = Exchange("what is it", "It is a voice")
        assert claimed.history == (past, Exchange("Now?", "Now."), Exchange("Then?", "")), "its past is lost"


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
        await store.erase("s")
        number(store, range(6, 9))
        store.save(RECORD)
        assert await store.drain(5)
        assert await logged(store) == []
        for use in (store.load("s"), store.claim("s")):
            with pytest.raises(Erased):
                await use
        assert sorted(await admin.keys("*")) == [b"logs:session:s", b"session:s"], "two tombstones"
        assert b"agent" not in await admin.get("session:s")
        assert [fields.keys() for _, fields in await admin.xrange("logs:session:s")] == [{b"epoch", b"owner"}]
        assert 0 < await admin.ttl("session:s") <= 86_400 and 0 < await admin.ttl("logs:session:s") <= 86_400


@pytest.mark.parametrize("writes", [True, False])
async def test_what_one_process_erases_another_that_has_it_live_can_not_bring_back(
    server: Backend, tmp_path: Path, writes: bool
) -> None:
    async with Store(server.settings(tmp_path)) as live, Store(server.settings(tmp_path)) as other, server.admin() as admin:
        told: list[tuple[str, str]] = []
        live.on_lost(lambda *lost: told.append(lost))
        assert await live.claim("s") is None
        live.save(RECORD)
        number(live, range(5))
        assert await live.drain(5)
        await other.erase("s")
        if writes:  # or the conversation is silent
            number(live, range(5, 8))
            live.save(RECORD)
        await becomes(lambda: told == [("s", "erased")], 5)
        number(live, range(8, 9))
        live.save(RECORD)
        assert await live.drain(5)
        assert b"agent" not in await admin.get("session:s")
        assert await logged(live) == [] == await logged(other)
        for store in (live, other):
            with pytest.raises(Erased):
                await store.claim("s")


async def test_what_was_erased_while_a_process_was_cut_off_stays_erased(redis: DebianRedis, tmp_path: Path) -> None:
    async with (
        Proxy(tmp_path, redis.socket) as proxy,
        Store(settings(tmp_path, proxy.url)) as cut_off,
        Store(redis.settings(tmp_path)) as other,
    ):
        told: list[tuple[str, str]] = []
        cut_off.on_lost(lambda *lost: told.append(lost))
        proxy.mute = True
        with pytest.raises(StoreError):
            await cut_off.claim("s")  # it begins without its past
        cut_off.save(RECORD)
        number(cut_off, range(3))
        number(cut_off, range(3), "other")
        await other.erase("s")
        proxy.mute = False
        assert await cut_off.drain(10)
        assert told == [("s", "erased")]
        assert await logged(other) == []
        assert_complete(await logged(other, "other"), 3)


async def test_a_silent_conversation_hears_that_it_goes_on_elsewhere(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as first, Store(server.settings(tmp_path)) as second:
        told: list[tuple[str, str]] = []
        first.on_lost(lambda *lost: told.append(lost))
        first.save(RECORD)
        assert await first.drain(5)
        await second.claim("s")
        await becomes(lambda: told == [("s", "taken_over")], 5)


async def test_erased_text_leaves_the_file_of_the_embedded_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.writer._REWRITE_EVERY_S", 0.5)

    def on_disk(word: bytes) -> bool:
        for file in filter(Path.is_file, (tmp_path / "data" / "store").rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # a file of the rewriting under way may be gone by now
                if word in file.read_bytes():
                    return True
        return False

    async with Store(settings(tmp_path / "data")) as store:
        store.log("s", {"kind": "transcript", "text": "Rumpelstiltskin"})
        store.log("other", {"kind": "transcript", "text": "Rapunzel"})
        assert await store.drain(5)
        assert on_disk(b"Rumpelstiltskin")
        await store.erase("s")
        await becomes(lambda: not on_disk(b"Rumpelstiltskin"), 20)
        assert [entry["text"] async for entry in store.read_log("other")] == ["Rapunzel"]
    async with Store(settings(tmp_path / "data")) as restarted:
        assert [entry["text"] async for entry in restarted.read_log("other")] == ["Rapunzel"]
        with pytest.raises(Erased):
            await restarted.claim("s")


async def test_a_long_log_loses_its_oldest_entries_and_says_how_many(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        number(store, range(keys.LOG_ENTRIES + 500))
        assert await store.drain(20)
        marker, *kept = await logged(store)
        assert (marker["kind"], marker["count"], marker["seq"]) == ("dropped", 500, 500)
        assert [entry["index"] for entry in kept] == list(range(500, keys.LOG_ENTRIES + 500))
        assert store.status.dropped == 500
        for index in range(1_000):
            store.log("fat", {"kind": "event", "index": index, "text": "x" * 10_000})
        assert await store.drain(20)
        marker, *kept = await logged(store, "fat")
        assert marker["count"] == 1_000 - len(kept) and kept[-1]["index"] == 999
        assert keys.LOG_BYTES * 0.98 < sum(len(json.dumps(entry)) for entry in kept) < keys.LOG_BYTES * 1.01
        assert await admin.memory_usage("logs:session:fat", samples=0) < keys.LOG_BYTES * 1.2


async def test_a_flood_from_one_session_costs_the_others_nothing(server: Backend, tmp_path: Path) -> None:
    """2,000 characters 20,000 times into a server of 16 MB."""
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "16mb")
        store.save(RECORD)
        number(store, range(50))
        for _ in range(20):
            for index in range(1_000):
                store.log("flood", {"kind": "event", "index": index, "event": {"type": "text", "text": "x" * 2_000}})
            store.save(
                RECORD.model_copy(update={"session_id": "flood", "history": (Exchange("x" * 2_000, "y" * 2_000),) * 400})
            )
            assert await store.drain(20), store.status.reason
        number(store, range(50, 60))
        assert await store.drain(5)
        assert store.status.state == "ok" and store.status.evicted == 0
        assert_complete(await logged(store), 60)
        loaded = await store.load("s")
        assert loaded is not None and loaded.history == RECORD.history
        flooded = await keys.load(admin, "flood")
        assert flooded is not None and len(flooded.history) == TURNS
        assert store.status.dropped > 18_000


async def test_a_server_that_fills_up_keeps_room_for_sessions_and_says_so(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        number(store, range(10))
        assert await store.drain(5)
        used = (await admin.info("memory"))["used_memory"]
        await admin.set("ballast", "x" * 20_000_000)
        await admin.config_set("maxmemory", str(int((used + 20_000_000) / 0.95)))
        await becomes(lambda: store.status.state == "degraded", 5)
        assert "full" in store.status.reason and store.status.full > 0.9
        number(store, range(10, 20))
        store.save(RECORD)
        await becomes(lambda: admin_has(admin, "session:s"), 5)
        assert len(await logged(store)) == 10, "the log waits"
        await store.erase("t")
        await admin.delete("ballast")
        assert await store.drain(10)
        assert_complete(await logged(store), 20)
        assert store.status.state == "ok"


async def admin_has(admin: Redis, key: str) -> bool:
    return bool(await admin.exists(key))


async def test_a_server_without_any_room_still_erases(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        store.save(RECORD)
        number(store, range(10))
        assert await store.drain(5)
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        await store.erase("s")
        await store.erase("never seen")
        for erased in ("s", "never seen"):
            with pytest.raises(Erased):
                await store.load(erased)
        assert await logged(store) == []


async def test_a_server_without_any_room_is_read_at_once_and_written_when_it_has_some(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        store.save(RECORD)
        assert await store.drain(5)
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        async with Store(server.settings(tmp_path)) as other:
            begun = asyncio.get_running_loop().time()
            claimed = await other.claim("s")
            assert claimed is not None and claimed.history == RECORD.history
            assert await other.claim("new") is None
            assert asyncio.get_running_loop().time() - begun < 0.9, "a claim that fails is tried again for a second"
            other.save(RECORD.model_copy(update={"turn": 77}))
            await becomes(lambda: "what is written waits" in other.status.reason, 5)
            await admin.config_set("maxmemory", "0")
            assert await other.drain(10)
            loaded = await other.load("s")
            assert loaded is not None and loaded.turn == 77


async def test_sessions_that_never_were_leave_few_tombstones(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store, server.admin() as admin:
        store.save(RECORD)
        assert await store.drain(5)
        for number in range(500):
            await store.erase(f"never seen {number}")
        assert await admin.dbsize() < 150
        await store.erase("s")
        with pytest.raises(Erased):
            await store.load("s")


async def test_what_a_server_throws_away_is_told(redis: DebianRedis, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with redis.admin() as admin:
        await admin.config_set("maxmemory-policy", "allkeys-lru")
        await admin.config_set("maxmemory", "8mb")
        async with Store(redis.settings(tmp_path)) as store:
            await becomes(lambda: "noeviction" in caplog.text, 5)
            for index in range(20):
                await admin.set(f"ballast{index}", "x" * 1_000_000)
            await becomes(lambda: store.status.evicted > 0, 5)
            assert store.status.state == "degraded" and "thrown" in store.status.reason
            assert "thrown" in caplog.text


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


async def test_what_the_full_buffer_drops_is_counted_in_the_log(
    redis: DebianRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.queue.CAPACITY", 20)
    async with Store(redis.settings(tmp_path)) as store:
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
    monkeypatch.setattr("server.store.queue._LATENCY_KEPT", 100)
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


async def test_a_session_is_written_while_others_go_on(server: Backend, tmp_path: Path) -> None:
    async with Store(server.settings(tmp_path)) as store:

        async def chatter() -> None:
            while True:
                store.log("other", {"kind": "state"})
                await asyncio.sleep(0)

        talking = asyncio.create_task(chatter())
        store.save(SessionRecord(session_id="s", turn=3))
        assert await store.drain(10, ["s"])
        loaded = await store.load("s")
        assert loaded is not None and loaded.turn == 3
        server.signal(signal.SIGSTOP)
        store.save(SessionRecord(session_id="s", turn=4))
        assert not await store.drain(0.1, ["s"])
        server.signal(signal.SIGCONT)
        assert await store.drain(10, ["s"])
        talking.cancel()
