"""The forms in which a conversation is kept."""

import json

import pytest
from pydantic import ValidationError

from app.records import SessionRecord, encode, withhold


def test_the_fencing_fields_come_first_in_the_text_because_the_scripts_read_its_head() -> None:
    text = encode(SessionRecord(session_id="s", epoch=3, owner="me", revision=7).model_dump())
    assert text.startswith(b'{"version":1,"epoch":3,"owner":"me","revision":7,')


def test_an_owner_that_would_need_escapes_in_json_is_refused() -> None:
    with pytest.raises(ValidationError):
        SessionRecord(session_id="s", owner='a"b')


def test_whatever_a_conversation_holds_can_be_written_and_read() -> None:
    entry = {"half": "a\ud800b", "object": ValueError("no JSON"), "tuple": (1, 2), "text": "naïve 語"}
    assert json.loads(encode(entry)) == {"half": "a?b", "object": "no JSON", "tuple": [1, 2], "text": "naïve 語"}


def test_withholding_keeps_times_and_states_only() -> None:
    entry = {
        "kind": "event",
        "at_ms": 12.5,
        "state": "LISTENING",
        "next": "THINKING",
        "event": {"type": "turn_ended", "turn": 2, "revision": 1, "text": "my secret"},
        "passages": [{"id": "secret", "title": "secret", "score": 0.4}],
        "words": ["secret"],
        "anything else": "secret",
    }
    kept = withhold(entry)
    assert "secret" not in json.dumps(kept)
    assert (kept["at_ms"], kept["state"], kept["next"]) == (12.5, "LISTENING", "THINKING")
    assert kept["event"] == {"type": "turn_ended", "turn": 2, "revision": 1, "text": "withheld"}
    assert kept["passages"] == [{"id": "withheld", "title": "withheld", "score": 0.4}]
