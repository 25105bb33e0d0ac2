"""Nothing secret is told."""

import json
import logging
from urllib.parse import quote

import pytest

from configuration.redaction import clean, clean_logs, hide, withhold

TOKEN = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        "WebSocket /orchestrate?session_id=a&token={}",
        "GET /x?%74oken={} HTTP/1.1",
        "GET /x?TOKEN={}&a=b",
        "GET /x?a=b;access_token={}",
        "GET /x?to%6ben={}#end",
        "?api_key={}",
        "?X-Amz-Signature={}",
        "redis://:{}@db:6379/0",
        "redis://me:{}@db",
        "redis://me:{}/and#more?of-it@db:6379",
        "cannot reach https://user:{}@host/v1: refused",
        "socks5://{}@proxy:1",
        "Authorization: Bearer {}",
        "b'Authorization: bearer {}'",
        "Proxy-Authorization: Basic {}",
        '{{"type": "start", "token": "{}"}}',
        "{{'urls': 'turn:x', 'credential': '{}'}}",
        '"api_key":"{}"',
        "a=ice-pwd:{}",
        "GET https://generativelanguage.googleapis.com/v1/models?key={}",
        "https://x.example/a?subscription-key={}&b=1",
        "https://x.example/a?sig={}",
        "Client(api_key='{}')",
        "connect(user=me, password={})",
        "x-api-key: {}",
    ],
)
@pytest.mark.parametrize("secret", ["s3cr3t-w0rd-0f-0urs", "p%40ss-word-1"])
def test_what_looks_like_a_secret_is_hidden_whoever_tells_it(text: str, secret: str) -> None:
    told = clean(text.format(secret))
    assert secret not in told
    assert "***" in told


@pytest.mark.parametrize("text", ["sk-proj-abcdefgh1234", "hf_abcdefghijkl", TOKEN, f"token {TOKEN} refused"])
def test_keys_and_tokens_are_known_by_their_form(text: str) -> None:
    assert "***" in clean(text)
    assert TOKEN not in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "token: field required",
        "the token does not belong to this session",
        "send the session's token as `Authorization: Bearer TOKEN`",
        "open http://127.0.0.1:7860",
        "write to me@example.org about https://example.org/a?b=c&session_id=12",
        "the secret is in data/secret",
        "basic settings",
        "max_tokens=1024",
        "unexpected token: something",
        "https://host:8000/@me and https://host/a:b/@me",
        "see http://[::1]:7860/ or mail me@example.org",
    ],
)
def test_what_is_none_is_told(text: str) -> None:
    assert clean(text) == text


def test_what_the_settings_hold_is_hidden_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    word = "correct horse/battery"
    hide(word, "abc")
    assert word not in clean(f"<{word}>") and quote(word, safe="") not in clean(f"<{quote(word, safe='')}>")
    assert clean("abc") == "abc"
    clean_logs()
    log = logging.getLogger("somebody.else")
    log.warning("with %s and %d", word, 5)
    try:
        raise ValueError(f"no such key: {word}")
    except ValueError:
        log.exception("it failed")
    log.warning("%s?token=%s", "/orchestrate", "abcdef")
    assert word not in caplog.text and "abcdef" not in caplog.text
    assert "with *** and 5" in caplog.text
    assert "ValueError: no such key: ***" in caplog.text


def test_a_record_without_a_secret_stays_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    clean_logs()
    logging.getLogger("x").warning("of %s", "all")
    assert (caplog.records[0].msg, caplog.records[0].args) == ("of %s", ("all",))


@pytest.mark.parametrize("said", ["\x1b[31mred", "\x00", "a\rb", "\x9b2J", "\u202eabc", "\u2066", "\ud800", "\ufeff", "\u2028"])
def test_what_a_terminal_would_obey_is_written_out(said: str) -> None:
    told = clean(f"line one: {said}")
    assert told.isprintable() and told.encode()
    assert told == f"line one: {ascii(said)[1:-1]}"


def test_what_can_be_read_stays_as_it_is() -> None:
    for text in ("two\n\tlines", "ünï 你好", "\U0001f469\u200d\U0001f680", "\u00a0"):
        assert clean(text) == text


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
