"""The forms in which a conversation is kept."""

import json

import pytest
from pydantic import ValidationError

from server.store.records import RECORD_BYTES, TURNS, PendingReply, SessionRecord, bounded, encode
from services.base import Exchange


def test_the_fencing_fields_come_first_in_the_text_because_the_scripts_read_its_head() -> None:
    text = encode(SessionRecord(session_id="s", epoch=3, owner="me", revision=7).model_dump())
    assert text.startswith(b'{"version":1,"epoch":3,"owner":"me","revision":7,')


def test_an_owner_that_would_need_escapes_in_json_is_refused() -> None:
    with pytest.raises(ValidationError):
        SessionRecord(session_id="s", owner='a"b')


def test_whatever_a_conversation_holds_can_be_written_and_read() -> None:
    entry = {"half": "a\ud800b", "object": ValueError("no JSON"), "tuple": (1, 2), "text": "naïve 語"}
    assert json.loads(encode(entry)) == {"half": "a?b", "object": "no JSON", "tuple": [1, 2], "text": "naïve 語"}


def test_a_record_is_bounded_in_turns_and_in_bytes_and_the_last_turns_stay() -> None:
    many = tuple(Exchange(f"question {number}", "answer") for number in range(80))
    assert bounded(SessionRecord(session_id="s", history=many)).history == many[-TURNS:]
    assert bounded(SessionRecord(session_id="s", history=many[:3])).history == many[:3]
    fat = tuple(Exchange(str(number) + "語" * 2_000, "é" * 2_000) for number in range(TURNS))
    kept = bounded(SessionRecord(session_id="s", history=fat))
    assert kept.history == fat[-len(kept.history) :] and 20 < len(kept.history) < 30
    assert len(encode(kept.model_dump())) < RECORD_BYTES


@pytest.mark.parametrize(
    "fat",
    [
        {"profile": {"timers": ["x" * RECORD_BYTES]}},
        {"pending": PendingReply(turn=1, generation=1, clauses=("x" * RECORD_BYTES,))},
    ],
)
def test_of_a_record_that_is_too_large_without_its_history_the_numbers_stay(fat: dict[str, object]) -> None:
    record = SessionRecord(session_id="s", turn=7, generation=9, **fat)  # type: ignore[arg-type]
    kept = bounded(record)
    assert (kept.turn, kept.generation) == (7, 9) and len(encode(kept.model_dump())) < 1_000
