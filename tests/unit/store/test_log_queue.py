"""What goes first when there is no room, and what must never go."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import LoopClock
from app.settings import Settings
from server.store.queue import WriteQueue
from server.store.records import LogEntry

KINDS: dict[str, dict[str, Any]] = {
    "partial": {"kind": "transcript", "final": False},
    "final": {"kind": "transcript", "final": True},
    "event": {"kind": "event"},
}


Make = Callable[..., WriteQueue]


@pytest.fixture
def queue_of(monkeypatch: pytest.MonkeyPatch) -> Make:
    return partial(new_queue, monkeypatch)


def new_queue(patch: pytest.MonkeyPatch, capacity: int, max_bytes: int = 32_000_000) -> WriteQueue:
    patch.setattr("server.store.queue.CAPACITY", capacity)
    patch.setattr("server.store.queue.MAX_BYTES", max_bytes)
    return WriteQueue(Settings(_env_file=None), LoopClock())


def add(queue: WriteQueue, session_id: str, kind: str, index: int) -> int:
    """How many entries are dropped for it."""
    before = queue.dropped
    queue.log(session_id, {"at_ms": 0.0, "index": index, **KINDS[kind]})
    return queue.dropped - before


def flight(queue: WriteQueue, limit: int = 1000) -> dict[str, list[LogEntry]]:
    queue.take_off(limit)
    return {session_id: list(one.flight) for session_id, one in queue.sessions.items() if one.flight}


def land(queue: WriteQueue, session_id: str) -> None:
    queue.sessions[session_id].flight.clear()


def take(queue: WriteQueue, limit: int = 1000) -> dict[str, list[dict[str, Any]]]:
    """Everything that is sent now, as the server would get it."""
    sent = flight(queue, limit)
    for session_id in sent:
        land(queue, session_id)
    return {session_id: [json.loads(entry.text()) for entry in entries] for session_id, entries in sent.items()}


def indexes(entries: list[dict[str, Any]], kind: str) -> list[int]:
    return [entry["index"] for entry in entries if entry.items() >= KINDS[kind].items()]


def test_oldest_partials_go_first_then_other_entries_and_transitions_last(queue_of: Make) -> None:
    queue = queue_of(6)
    for index in range(3):
        for kind in ("event", "final", "partial"):
            add(queue, "s", kind, index)
    [entries] = take(queue).values()
    assert indexes(entries, "event") == [0, 1, 2]
    assert indexes(entries, "partial") == []
    assert indexes(entries, "final") == [1, 2]
    assert [entry["count"] for entry in entries if entry["kind"] == "dropped"] == [4]
    for index in range(20):
        add(queue, "s", "event", index)
    [entries] = take(queue).values()
    assert entries[0] == {"at_ms": 0.0, "kind": "dropped", "count": 15}
    assert indexes(entries, "event") == [15, 16, 17, 18, 19]


def test_what_is_in_flight_stays_as_it_was_sent_until_it_landed(queue_of: Make) -> None:
    queue = queue_of(3)
    for index in range(3):
        add(queue, "s", "partial", index)
    sent = [(entry.number, entry.text()) for entry in flight(queue, 100)["s"]]
    for index in range(3, 10):
        add(queue, "s", "partial", index)
    assert [(entry.number, entry.text()) for entry in flight(queue, 100)["s"]] == sent
    land(queue, "s")
    [entries] = take(queue).values()
    assert entries[0]["count"] == 5 and indexes(entries, "partial") == [8, 9]
    assert len(queue) == 0 and flight(queue, 100) == {}


def test_discarding_a_session_leaves_the_others(queue_of: Make) -> None:
    queue = queue_of(100)
    for index in range(4):
        add(queue, "a", "event", index)
        add(queue, "b", "event", index)
    flight(queue, 3)
    before = queue.dropped
    queue.forget("a", "erased")
    assert queue.dropped - before == 4
    assert indexes(take(queue)["b"], "event") == [0]
    assert indexes(take(queue)["b"], "event") == [1, 2, 3]
    assert len(queue) == 0


def test_whoever_takes_most_room_makes_room(queue_of: Make) -> None:
    queue = queue_of(40)
    for index in range(10):
        add(queue, "quiet", "partial", index)
    assert sum(add(queue, "loud", "event", index) for index in range(1_000)) > 900
    arrived = take(queue)
    assert indexes(arrived["quiet"], "partial") == list(range(10))
    assert arrived["loud"][0]["count"] + len(indexes(arrived["loud"], "event")) == 1_000


def test_what_waits_is_bounded_in_bytes_too(queue_of: Make) -> None:
    queue = queue_of(1_000, max_bytes=100_000)
    add(queue, "quiet", "event", 0)
    for index in range(100):
        queue.log("fat", {"at_ms": 0.0, "kind": "event", "index": index, "text": "x" * 5_000})
    arrived = take(queue)
    assert indexes(arrived["quiet"], "event") == [0]
    marker, *kept = arrived["fat"]
    assert marker["count"] + len(kept) == 100 and 15 < len(kept) < 20


def test_a_loud_session_does_not_keep_another_from_being_sent(queue_of: Make) -> None:
    queue = queue_of(1_000)
    for index in range(500):
        add(queue, "loud", "event", index)
    add(queue, "quiet", "event", 0)
    assert set(take(queue, 10)) == {"loud", "quiet"}


@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.one_of(st.tuples(st.sampled_from("ab"), st.sampled_from(list(KINDS))), st.integers(1, 5)), max_size=80),
)
def test_everything_arrives_in_order_or_is_counted(capacity: int, steps: list[tuple[str, str] | int]) -> None:
    """A number among the steps is a round trip with at most so many entries."""
    with pytest.MonkeyPatch.context() as patch:
        _arrives_in_order(new_queue(patch, capacity), capacity, steps)


def _arrives_in_order(queue: WriteQueue, capacity: int, steps: list[tuple[str, str] | int]) -> None:
    given_, arrived = {"a": 0, "b": 0}, {"a": [], "b": []}  # type: dict[str, int], dict[str, list[dict[str, Any]]]
    dropped = 0
    for step in steps:
        if isinstance(step, int):
            for session_id, entries in take(queue, step).items():
                arrived[session_id] += entries
        else:
            session_id, kind = step
            dropped += add(queue, session_id, kind, given_[session_id])
            given_[session_id] += 1
            assert len(queue) <= capacity + 2, "at most one marker for each session comes on top"
    while len(queue):
        for session_id, entries in take(queue).items():
            arrived[session_id] += entries
    for session_id, entries in arrived.items():
        kept = [entry["index"] for entry in entries if "index" in entry]
        assert kept == sorted(set(kept))
        counted = sum(entry["count"] for entry in entries if entry["kind"] == "dropped")
        assert len(kept) + counted == given_[session_id]
    assert dropped == sum(entry.get("count", 0) for entries in arrived.values() for entry in entries)
