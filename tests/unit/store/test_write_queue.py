"""What waits for the store, while writes are under way and sessions change hands."""

from collections.abc import Callable
from typing import Any

import pytest

from app.core.clock import LoopClock
from app.settings import Settings
from server.store.commands import TAKEN
from server.store.queue import DROPPED, WriteQueue
from server.store.records import SessionRecord


class Server:
    """Takes commands, answers nothing of its own."""

    def __init__(self) -> None:
        self.commands: list[tuple[Any, ...]] = []

    def eval(self, *words: Any) -> None:
        self.commands.append(words)

    def xadd(self, *words: Any, **options: Any) -> None:
        self.commands.append(words)

    async def getrange(self, *words: Any) -> bytes:
        return b'{"version":1,"epoch":6,"owner":"somebody","revision":2,'

    async def xrevrange(self, *words: Any, **options: Any) -> list[Any]:
        return [(b"9-0", {b"epoch": b"4"})]


def new_queue() -> WriteQueue:
    return WriteQueue(Settings(_env_file=None), LoopClock())


def record(session_id: str = "s", generation: int = 0) -> SessionRecord:
    return SessionRecord(session_id=session_id, generation=generation)


async def sent(queue: WriteQueue) -> tuple[list[tuple[Any, ...]], list[tuple[str, Callable[[Any], None]]]]:
    server = Server()
    settle = await queue.fill(server, server)  # type: ignore[arg-type]
    return server.commands, settle


def dropped(reason: str) -> float:
    return DROPPED.labels(reason)._value.get()


async def test_what_is_saved_while_a_write_is_under_way_is_written_next() -> None:
    queue = new_queue()
    queue.save(record(generation=1))
    _, [(_, written)] = await sent(queue)
    queue.save(record(generation=2))
    written(1)
    assert len(queue) == 1
    [command], [(_, written)] = await sent(queue)
    assert b'"generation":2' in command[3]
    written(1)
    assert len(queue) == 0


async def test_the_first_write_takes_the_epoch_above_all_that_is_stored() -> None:
    queue = new_queue()
    queue.log("s", {"kind": "event", "at_ms": 0})
    [command], _ = await sent(queue)
    assert command[3:5] == (7, queue.process)


async def test_what_waits_is_written_for_a_claim_that_comes_meanwhile() -> None:
    queue = new_queue()
    queue.log("s", {"kind": "event", "at_ms": 0})
    queue.save(record())
    queue.claimed("s", 9, record())
    commands, _ = await sent(queue)
    assert len(commands) == 2 and commands[0][3:5] == (9, queue.process)


async def test_after_a_session_was_taken_over_nothing_of_it_waits_and_the_owner_is_told_once() -> None:
    queue, told = new_queue(), []  # type: ignore[var-annotated]
    queue.on_lost = lambda *lost: told.append(lost)
    queue.save(record())
    queue.log("s", {"kind": "event", "at_ms": 0})
    queue.save(record("other"))
    before = dropped("taken_over")
    queue.lost("s", TAKEN)
    queue.lost("s", TAKEN)
    queue.log("s", {"kind": "event", "at_ms": 0})
    queue.save(record())
    assert told == [("s", "taken_over")] and queue.remembered("s") is None
    assert dropped("taken_over") - before == 4
    commands, _ = await sent(queue)
    assert [command[2] for command in commands] == ["session:other"]


def test_a_record_is_remembered_for_as_long_as_it_would_live() -> None:
    queue = new_queue()
    queue.save(record())
    assert queue.remembered("s") is not None
    held = queue.sessions["s"]
    assert held.record is not None
    held.record = held.record.model_copy(update={"updated_ms": held.record.updated_ms - 3_601_000})
    assert queue.remembered("s") is None


def test_a_server_that_is_away_for_ever_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.queue.CAPACITY", 100)
    queue = new_queue()
    before = dropped("too_many_sessions"), dropped("latency_full")
    for index in range(2_000):
        queue.save(record(f"s{index}"))
        queue.log(f"s{index}", {"kind": "event", "at_ms": 0})
        queue.latency({"turn": index})
    assert len(queue.sessions) == 256
    assert len(queue) <= 256 + 100 + 256 + 1_000
    assert dropped("too_many_sessions") > before[0] and dropped("latency_full") - before[1] == 1_000
