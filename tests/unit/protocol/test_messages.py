"""What a client may send: everything that is allowed is understood, everything else is refused in words."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.codec import BadMessage, decode, parse, pcm
from app.protocol.messages import MAX_AUDIO_BYTES, MAX_MESSAGE_BYTES, MAX_TEXT, Interrupt, Start, Text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
KINDS = ["start", "audio_chunk", "interrupt", "audio_interrupt", "playback_progress", "playback_done", "playback_stopped"]
FIELDS = [
    "session_id",
    "token",
    "sample_rate",
    "format",
    "binary",
    "greeting",
    "data",
    "timestamp",
    "generation",
    "played_ms",
    "text",
]
MESSAGES = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from([*KINDS, "text", "ping", "stop", "nonsense", ""]) | JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON),
)


def refusal(text: str | bytes) -> BadMessage:
    with pytest.raises(BadMessage) as refused:
        parse(text)
    return refused.value


@given(MESSAGES | JSON)
def test_any_json_is_a_message_or_is_refused_in_words(value: Any) -> None:
    try:
        message = parse(json.dumps(value))
    except BadMessage as error:
        assert error.code in {"bad_json", "bad_message"}
        assert 0 < len(str(error)) <= 300
        assert error.as_event().fatal is False
    else:
        assert message.type == value["type"]


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_refused_or_is_a_message(text: str | bytes) -> None:
    try:
        parse(text)
    except BadMessage as error:
        assert error.code in {"bad_json", "bad_message"}


@given(st.binary(max_size=600))
def test_any_bytes_are_sound_or_are_refused(data: bytes) -> None:
    if len(data) % 2:
        with pytest.raises(BadMessage, match="odd number"):
            pcm(data)
    else:
        assert pcm(data).tobytes() == data


@given(st.text(max_size=60))
def test_any_text_as_base64_is_sound_or_is_refused(data: str) -> None:
    try:
        sound = decode(data)
    except BadMessage as error:
        assert (error.code, error.field) == ("bad_audio", "data")
    else:
        assert base64.b64encode(sound).decode() == data


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "type"),
        ({"type": "sing"}, "type"),
        ({"type": 3}, "type"),
        ({"type": "start", "sample_rate": 44100}, "sample_rate"),
        ({"type": "start", "format": "mp3"}, "format"),
        ({"type": "start", "binary": "perhaps"}, "binary"),
        ({"type": "start", "session_id": "x" * 129}, "session_id"),
        ({"type": "audio_chunk"}, "data"),
        ({"type": "audio_chunk", "data": 5}, "data"),
        ({"type": "audio_chunk", "data": "AAAA", "timestamp": -1}, "timestamp"),
        ({"type": "playback_done", "generation": 1}, "played_ms"),
        ({"type": "playback_done", "generation": -1, "played_ms": 1}, "generation"),
        ({"type": "playback_progress", "generation": 1, "played_ms": "long"}, "played_ms"),
        ({"type": "playback_stopped", "generation": 2**32, "played_ms": 1}, "generation"),
        ({"type": "text", "text": "   "}, "text"),
        ({"type": "text", "text": "x" * (MAX_TEXT + 1)}, "text"),
    ],
)
def test_the_field_at_fault_is_named(message: dict[str, Any], field: str) -> None:
    error = refusal(json.dumps(message))
    assert (error.code, error.field) == ("bad_message", field)
    assert field in str(error)


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"type": "ping"', '{"type": "text", "text": "\\ud800"}', b"\xff\xfe"])
def test_what_is_no_json_is_said_to_be_none(text: str | bytes) -> None:
    assert refusal(text).code == "bad_json"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 20_000, "[]", "7", "null", '"ping"', '{"type": "ping"} {}'])
def test_strange_json_is_refused(text: str) -> None:
    assert refusal(text).code in {"bad_json", "bad_message"}


def test_numbers_that_are_none_are_refused() -> None:
    for number in ("NaN", "Infinity", "1e999"):
        assert refusal(f'{{"type": "playback_done", "generation": 1, "played_ms": {number}}}').code in {
            "bad_json",
            "bad_message",
        }


def test_too_much_is_refused() -> None:
    assert refusal(json.dumps({"type": "text", "text": "x" * MAX_MESSAGE_BYTES})).code == "too_large"
    with pytest.raises(BadMessage) as refused:
        pcm(bytes(MAX_AUDIO_BYTES + 2))
    assert (refused.value.code, refused.value.field) == ("too_large", "data")
    assert len(pcm(bytes(MAX_AUDIO_BYTES))) == MAX_AUDIO_BYTES // 2


def test_what_is_allowed_is_understood() -> None:
    assert parse('{"type": "start", "sample_rate": 8000, "binary": true}') == Start(sample_rate=8000, binary=True)
    assert parse('{"type": "audio_interrupt"}') == Interrupt(type="audio_interrupt")
    assert parse('{"type": "text", "text": " hello ", "more": 1}') == Text(text="hello")
