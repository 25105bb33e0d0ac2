"""What goes first when there is no room, and what must never go."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.store.log_buffer import Buffer

KINDS: dict[str, dict[str, Any]] = {
    "partial": {"kind": "transcript", "final": False},
    "final": {"kind": "transcript", "final": True},
    "event": {"kind": "event"},
}


def add(buffer: Buffer, session_id: str, kind: str, index: int) -> int:
    return buffer.add(session_id, {"at_ms": 0.0, "index": index, **KINDS[kind]})


def take(buffer: Buffer, limit: int = 1000) -> dict[str, list[dict[str, Any]]]:
    """Everything that is sent now, as the server would get it."""
    flight = buffer.flight(limit)
    for session_id in flight:
        buffer.landed(session_id)
    return {session_id: [json.loads(entry.text()) for entry in entries] for session_id, entries in flight.items()}


def indexes(entries: list[dict[str, Any]], kind: str) -> list[int]:
    return [entry["index"] for entry in entries if entry.items() >= KINDS[kind].items()]


def test_oldest_partials_go_first_then_other_entries_and_transitions_last() -> None:
    buffer = Buffer(6)
    for index in range(3):
        for kind in ("event", "final", "partial"):
            add(buffer, "s", kind, index)
    [entries] = take(buffer).values()
    assert indexes(entries, "event") == [0, 1, 2]
    assert indexes(entries, "partial") == []
    assert indexes(entries, "final") == [1, 2]
    assert [entry["count"] for entry in entries if entry["kind"] == "dropped"] == [4]
    for index in range(20):
        add(buffer, "s", "event", index)
    [entries] = take(buffer).values()
    assert entries[0] == {"at_ms": 0.0, "kind": "dropped", "count": 15}
    assert indexes(entries, "event") == [15, 16, 17, 18, 19]


def test_what_is_in_flight_stays_as_it_was_sent_until_it_landed() -> None:
    buffer = Buffer(3)
    for index in range(3):
        add(buffer, "s", "partial", index)
    sent = [(entry.number, entry.text()) for entry in buffer.flight(100)["s"]]
    for index in range(3, 10):
        add(buffer, "s", "partial", index)
    assert [(entry.number, entry.text()) for entry in buffer.flight(100)["s"]] == sent
    assert buffer.landed("s") == 3
    [entries] = take(buffer).values()
    assert entries[0]["count"] == 5 and indexes(entries, "partial") == [8, 9]
    assert len(buffer) == 0 and buffer.flight(100) == {}


def test_discarding_a_session_leaves_the_others() -> None:
    buffer = Buffer(100)
    for index in range(4):
        add(buffer, "a", "event", index)
        add(buffer, "b", "event", index)
    buffer.flight(3)
    assert buffer.discard("a") == 4
    assert indexes(take(buffer)["b"], "event") == [0]
    assert indexes(take(buffer)["b"], "event") == [1, 2, 3]
    assert len(buffer) == 0


def test_whoever_takes_most_room_makes_room() -> None:
    buffer = Buffer(40)
    for index in range(10):
        add(buffer, "quiet", "partial", index)
    assert sum(add(buffer, "loud", "event", index) for index in range(1_000)) > 900
    arrived = take(buffer)
    assert indexes(arrived["quiet"], "partial") == list(range(10))
    assert arrived["loud"][0]["count"] + len(indexes(arrived["loud"], "event")) == 1_000


def test_what_waits_is_bounded_in_bytes_too() -> None:
    buffer = Buffer(1_000, max_bytes=100_000)
    add(buffer, "quiet", "event", 0)
    for index in range(100):
        buffer.add("fat", {"at_ms": 0.0, "kind": "event", "index": index, "text": "x" * 5_000})
    arrived = take(buffer)
    assert indexes(arrived["quiet"], "event") == [0]
    marker, *kept = arrived["fat"]
    assert marker["count"] + len(kept) == 100 and 15 < len(kept) < 20


def test_a_loud_session_does_not_keep_another_from_being_sent() -> None:
    buffer = Buffer(1_000)
    for index in range(500):
        add(buffer, "loud", "event", index)
    add(buffer, "quiet", "event", 0)
    assert set(take(buffer, 10)) == {"loud", "quiet"}


@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.one_of(st.tuples(st.sampled_from("ab"), st.sampled_from(list(KINDS))), st.integers(1, 5)), max_size=80),
)
def test_everything_arrives_in_order_or_is_counted(capacity: int, steps: list[tuple[str, str] | int]) -> None:
    """A number among the steps is a round trip with at most so many entries."""
    buffer = Buffer(capacity)
    given_, arrived = {"a": 0, "b": 0}, {"a": [], "b": []}  # type: dict[str, int], dict[str, list[dict[str, Any]]]
    dropped = 0
    for step in steps:
        if isinstance(step, int):
            for session_id, entries in take(buffer, step).items():
                arrived[session_id] += entries
        else:
            session_id, kind = step
            dropped += add(buffer, session_id, kind, given_[session_id])
            given_[session_id] += 1
            assert len(buffer) <= capacity + 2, "at most one marker for each session comes on top"
    while len(buffer):
        for session_id, entries in take(buffer).items():
            arrived[session_id] += entries
    for session_id, entries in arrived.items():
        kept = [entry["index"] for entry in entries if "index" in entry]
        assert kept == sorted(set(kept))
        counted = sum(entry["count"] for entry in entries if entry["kind"] == "dropped")
        assert len(kept) + counted == given_[session_id]
    assert dropped == sum(entry.get("count", 0) for entries in arrived.values() for entry in entries)
