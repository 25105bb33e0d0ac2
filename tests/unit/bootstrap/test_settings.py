"""What a process finds around it: what is ours is read, what is ours and wrong is named, the rest is ignored."""

import os
import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import Settings, read_settings
from configuration.environment import cache_folder, private_folder
from configuration.signing_secret import strong_secret

KEY = "sk-abcdefghijklmnop0123"
SECRET = "8fb35954e0a73d1680ed53ca3a5cee4d"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a folder without a `.env`."""
    for name in [name for name in os.environ if name.upper().startswith("PARLEY_")] + ["PORT", "HOST", "REDIS_URL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


SERVICES = {
    "PARLEY_SERVICE_HOST": "10.0.0.7",
    "PARLEY_SERVICE_PORT": "7860",
    "PARLEY_SERVICE_PORT_HTTP": "7860",
    "PARLEY_PORT": "tcp://10.0.0.7:7860",
    "PARLEY_PORT_7860_TCP": "tcp://10.0.0.7:7860",
    "PARLEY_PORT_7860_TCP_PROTO": "tcp",
    "PARLEY_PORT_7860_TCP_PORT": "7860",
    "PARLEY_PORT_7860_TCP_ADDR": "10.0.0.7",
    "PARLEY_PORT_9_UDP_ADDR": "10.0.0.7",
    "PARLEY_REDIS_MASTER_SERVICE_HOST": "10.0.0.8",
    "PARLEY_REDIS_MASTER_PORT": "tcp://10.0.0.8:6379",
    "PARLEY_TTS_PORT_80_SCTP_PROTO": "sctp",
    "PARLEY_NAME": "/web/parley",
    "PARLEY_REDIS_ENV_GOSU_VERSION": "1.17",
    "GRADIO_SERVER_PORT": "tcp://10.0.0.9:7000",
}


def test_what_kubernetes_says_of_its_services_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES.items():
        monkeypatch.setenv(name, value)
    assert Settings().port == 7860
    monkeypatch.setenv("PORT", "8001")
    assert Settings().port == 8001


@pytest.mark.parametrize("value", ["x86_64-conda-linux-gnu", "0.0.0.0"])
def test_a_variable_that_is_merely_called_like_a_setting_is_not_ours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("HOST", "host", "SECRET", "DATA_DIR", "KNOWLEDGE", "LOG_LEVEL", "GREETING"):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORT", "COM3")
    assert Settings() == Settings(_env_file=None)  # type: ignore[call-arg]
    assert (Settings().host, Settings().port) == ("127.0.0.1", 7860)


@pytest.mark.parametrize("name", ["PARLEY_PROT", "parley_prot", "PARLEY_HOSTS", "PARLEY_SERVICE"])
def test_what_is_ours_and_no_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ValueError, match=name.upper()):
        Settings()
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}=1\n")
    with pytest.raises(ValueError, match=rf"{name.upper()} in .*\.env"):
        Settings()


FOREIGN = b"""\xef\xbb\xbf# of a project
DATABASE_URL=postgres://me:pw-7@db/x
HOST=0.0.0.0
export DEBUG=1
SECRET=abc
NAME=caf\xe9
this is no line
PARLEY_MAX_SESSIONS=3
export PARLEY_SPEED="1.5"
PARLEY_LLM_KEY='sk-abcdefghijklmnop0123 '
"""


def test_of_a_file_for_many_programs_our_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(FOREIGN)
    settings = Settings()
    assert (settings.max_sessions, settings.speed, settings.llm_key.get_secret_value()) == (3, 1.5, KEY)
    assert settings.host == "127.0.0.1"


def test_a_file_that_is_none_or_may_not_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").mkdir()
    assert Settings().port == 7860
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").write_text("PARLEY_PORT=9000\n")

    def refuse(*args: Any, **kwargs: Any) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert Settings().port == 7860


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: str) -> None:
    (tmp_path / ".env").write_text("PARLEY_PORT=9000\n")
    for name in ("PARLEY_PORT", "PARLEY_KNOWLEDGE", "PARLEY_DATA_DIR", "PARLEY_SPEED", "PARLEY_LLM", "PARLEY_GREETING"):
        monkeypatch.setenv(name, empty)
    settings = read_settings(["--knowledge", empty, "--max-sessions", empty])
    assert settings.knowledge is None
    assert (settings.data_dir, settings.speed, settings.llm, settings.max_sessions) == (Path("data"), 1.0, "local", 8)
    assert settings.port == (9000 if empty == "" else 7860)


def test_folders_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARLEY_KNOWLEDGE", "~/notes")
    settings = read_settings(["--data-dir", "~/data", "--weights-dir", "~"])
    assert (settings.knowledge, settings.data_dir) == (tmp_path / "notes", tmp_path / "data")
    assert settings.weights_dir == tmp_path
    with pytest.raises(ValueError, match="no home folder"):
        read_settings(["--data-dir", "~nobody-of-this-name/data"])


def test_a_user_without_a_home_has_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "parley"

    def homeless(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    ours = cache_folder()
    assert ours.parent == tmp_path
    assert cache_folder() == ours
    ours.chmod(0o777)  # somebody else could have made it
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = cache_folder()
    assert other != ours and other.parent == tmp_path


def test_a_folder_that_others_may_write_into_is_not_taken(tmp_path: Path) -> None:
    assert private_folder(tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "new")
    (tmp_path / "file").write_text("")
    for name in ("open", "link", "file"):
        with pytest.raises(OSError):
            private_folder(tmp_path / name)


@pytest.mark.parametrize("around", ["", "\n", "\r\n", " ", "\t"])
@pytest.mark.parametrize("name", ["llm_key", "stt_key", "tts_key", "openai_api_key"])
def test_what_surrounds_a_key_does_not_belong_to_it(monkeypatch: pytest.MonkeyPatch, name: str, around: str) -> None:
    monkeypatch.setenv(f"PARLEY_{name.upper()}", f"{around}{KEY}{around}")
    assert getattr(Settings(), name).get_secret_value() == KEY


@pytest.mark.parametrize("key", ["sk-two\nlines-of-a-key", "sk-two words-of-a-key", "schlüssel-von-hier"])
def test_a_key_that_can_be_none_is_not_told(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PARLEY_LLM_KEY", key)
    for make in (Settings, lambda: read_settings([])):
        with pytest.raises(ValueError, match="llm_key") as refused:
            make()
        assert key not in str(refused.value) and key not in repr(refused.value)


GUESSED = (
    *("abcdefgh" * 4, "01234567" * 4, "0123456789abcdef" * 2, "0123456789abcdef" * 8),
    *("abcdefghijklmnopqrstuvwxyz012345", "zyxwvutsrqponmlkjihgfedcba987654", "acegikmoqsuwyACEGIKMOQSUWY02468acegi"),
)


@pytest.mark.parametrize("secret", ["seven77", "0123456789abcdef", "a" * 64, "abab" * 16, *GUESSED])
def test_a_secret_that_can_be_guessed_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match="random characters") as refused:
        Settings(secret=secret)  # type: ignore[arg-type]
    assert secret not in str(refused.value)


def test_random_secrets_are_taken() -> None:
    chance = random.Random(1)
    for _ in range(500):
        for secret in (chance.randbytes(16).hex(), b64encode(chance.randbytes(24)).decode(), chance.randbytes(32).hex()):
            assert strong_secret(SecretStr(secret)).get_secret_value() == secret


def test_nobody_reads_a_secret_in_the_settings() -> None:
    hidden = {"secret": SECRET, "turn_credential": "turn-word-1", "llm_key": KEY}
    places = {"redis_url": "redis://me:redis-word@db", "llm": "http://me:llm-word@host/v1", "turn_url": "turn:relay"}
    settings = Settings(**hidden, **places)  # type: ignore[arg-type]
    for shown in (repr(settings), str(settings), f"{settings!r}"):
        for word in (*hidden.values(), "redis-word", "llm-word"):
            assert word not in shown
    assert settings.rtc_configuration()["iceServers"][0]["credential"] == "turn-word-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frame_ancestors", "https://a.example; script-src *"),
        ("frame_ancestors", "a.example"),
        ("cors_origins", "https://a.example/path"),
        ("allowed_hosts", "http://a.example"),
        ("allowed_hosts", "a.example, b example"),
    ],
)
def test_what_is_no_origin_and_no_name_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("HOST", "http://127.0.0.1", "127.0.0.1"),
        ("HOST", "HTTP://0.0.0.0/", "0.0.0.0"),
        ("HOST", "[::1]", "::1"),
        ("HOST", "http://[::]", "::"),
        ("HOST", "fe80::1%eth0", "fe80::1%eth0"),
        ("HOST", "localhost", "localhost"),
        ("HOST", "my_box-1.lan.", "my_box-1.lan."),
        ("PORT", ":8080", 8080),
        ("PORT", "8080/tcp", 8080),
        ("PORT", "0", 0),
        ("STUN_URL", "stun://stun.example.org:3478", "stun:stun.example.org:3478"),
        ("TURN_URL", "TURN://relay.example.org?transport=tcp", "turn:relay.example.org?transport=tcp"),
        ("ADDRESS_HEADER", "X-Forwarded-For:", "X-Forwarded-For"),
    ],
)
def test_an_address_that_has_one_meaning_is_understood(
    name: str, written: str, meant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PARLEY_{name}", written)
    assert getattr(read_settings([]), name.lower()) == meant
    monkeypatch.delenv(f"PARLEY_{name}")
    assert getattr(read_settings([f"--{name.lower().replace('_', '-')}", written]), name.lower()) == meant


@pytest.mark.parametrize(
    ("name", "written", "why"),
    [
        ("HOST", "0.0.0.0:8080", "host 0.0.0.0 and port 8080"),
        ("HOST", "http://localhost:8080/", "host localhost and port 8080"),
        ("HOST", "[::1]:8080", r"host \[::1\] and port 8080"),
        ("HOST", "https://127.0.0.1", "no address to listen on"),
        ("HOST", "http://127.0.0.1/parley", "no address to listen on"),
        ("HOST", "127.0.0.1,::1", "no address to listen on"),
        ("HOST", "999.0.0.1", "no address to listen on"),
        ("HOST", "8080", "no address to listen on"),
        ("HOST", "*", "0.0.0.0 for all"),
        ("HOST", "/run/parley.sock", "no address to listen on"),
        ("HOST", "http://me:pw-7@127.0.0.1:80", "this is no address"),
        ("PORT", "0.0.0.0:8080", "host 0.0.0.0 and port 8080"),
        ("PORT", "http://localhost:8080", "host localhost and port 8080"),
        ("PORT", "8080:80", "no port"),
        ("PORT", "http", "no port"),
        ("PORT", "-1", "no port"),
        ("PORT", "70000", "65535"),
        ("STUN_URL", "stun.example.org:3478", "begins with stun:"),
        ("STUN_URL", "turn:stun.example.org", "begins with stun:"),
        ("TURN_URL", "turn:me:pw-7@relay.example.org", "begins with turn:"),
        ("TURN_URL", "turn:a.example.org,turn:b.example.org", "begins with turn:"),
        ("ADDRESS_HEADER", "X-Forwarded-For, X-Real-IP", "no name of a header"),
    ],
)
def test_an_address_of_ours_that_is_wrong_is_named(name: str, written: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PARLEY_{name}", written)
    with pytest.raises(ValueError, match=f"(?i){name}.*{why}") as found:
        read_settings([])
    assert "pw-7" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "tcp://10.0.0.7:80"), ("PORT", ":8080"), ("PORT", "99999"), ("GRADIO_SERVER_PORT", "http"),
        ("GRADIO_SERVER_NAME", "http://0.0.0.0:7860"), ("GRADIO_SERVER_NAME", "my server"),
    ],
)  # fmt: skip
def test_an_address_for_other_programs_that_is_none_for_us_stops_no_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert (Settings().host, Settings().port) == ("127.0.0.1", 7860)


def test_names_and_origins_are_listed() -> None:
    settings = Settings(allowed_hosts="A.example:443, *.b.example,", cors_origins="https://a.example/, null")
    assert settings.hosts() == ["a.example", "*.b.example"]
    assert settings.allowed_origins() == ["https://a.example", "null"]


@pytest.mark.parametrize("name", ["end_silence_ms", "statement_silence_ms", "complete_threshold"])
def test_a_setting_that_is_gone_is_told_to_be_and_stops_no_start(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        found = [record.getMessage() for record in caplog.records if name in record.getMessage()]
        caplog.clear()
        return " ".join(found)

    read_settings([f"--{name.replace('_', '-')}", "0.5"])
    assert "eagerness" in told()
    Settings(**{name: 500})
    assert "eagerness" in told()
    monkeypatch.setenv(f"PARLEY_{name.upper()}", "500")
    read_settings([])
    assert "eagerness" in told()
    monkeypatch.delenv(f"PARLEY_{name.upper()}")
    read_settings([])
    assert not told()
    with pytest.raises(SystemExit):
        read_settings(["--help"])
    assert name.replace("_", "-") not in capsys.readouterr().out


def test_a_setting_that_was_renamed_is_taken_by_its_old_name_for_one_version(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_settings(["--stt-captions"]).stt_interim
    monkeypatch.setenv("PARLEY_STT_CAPTIONS", "true")
    assert Settings().stt_interim and not Settings(stt_interim=False).stt_interim
    assert "stt_captions is called stt_interim now" in caplog.text


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e309"])
@pytest.mark.parametrize("name", ["MAX_TURN_S", "PAUSE_MS", "VAD_THRESHOLD", "DUCK_GAIN", "REPLY_TIMEOUT_S", "TTS_FIRST_S"])
def test_a_number_below_zero_or_without_end_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PARLEY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings(_env_file=None)  # type: ignore[call-arg]


def test_what_is_wrong_is_told_in_our_words_alone() -> None:
    with pytest.raises(ValueError, match=r"^stt: stt has no vendor 'nobody': there are local"):
        read_settings(["--stt", "nobody"])


def test_a_turn_server_of_another_kind_is_named_and_its_password_is_not_told() -> None:
    with pytest.raises(ValueError, match=r"^turn_url: begins with turn: or turns:") as refused:
        read_settings(["--turn-url", "http://somebody:its-password@relay.example"])
    assert "its-password" not in str(refused.value)
    assert read_settings(["--turn-url", "turns:relay.example:5349"]).turn_url == "turns:relay.example:5349"


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://node-1.example.org/", "https://node-1.example.org"),
        ("http://[::1]:7860/voice", "http://[::1]:7860/voice"),
        ("http://a:65535", "http://a:65535"),
        ("http://a:65536", None),
        ("http://a:0", None),
        ("http://a:b", None),
        ("http://a:1:2", None),
        ("http://me:geheim@a", None),
        ("http://a/b?c=1", None),
        ("a:80", None),
    ],
)
def test_the_address_of_a_node_is_one_that_clients_can_be_told(value: str, taken: str | None) -> None:
    if taken is not None:
        assert Settings(node_url=value).node_url == taken
        return
    with pytest.raises(ValidationError, match="is no address") as refused:
        Settings(node_url=value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("mark", ["'", '"'])
def test_quotes_that_no_shell_took_away_are_no_part_of_a_value(monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    for name, value in (("PORT", "8001"), ("PARLEY_LLM_KEY", KEY), ("REDIS_URL", "redis://store:6379/0")):
        monkeypatch.setenv(name, f"{mark}{value}{mark}")
    monkeypatch.setenv("PARLEY_MAX_SESSIONS", f" {mark}3{mark} ")
    found = Settings()
    assert (found.port, found.max_sessions) == (8001, 3)
    assert (found.llm_key.get_secret_value(), found.redis_url) == (KEY, "redis://store:6379/0")


@pytest.mark.parametrize("level", ["debug", "Debug", " DEBUG "])
def test_a_level_of_the_log_is_known_in_small_letters(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("PARLEY_LOG_LEVEL", level)
    assert Settings().log_level == "DEBUG"
    monkeypatch.setenv("PARLEY_LOG_LEVEL", "loud")
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_file_of_settings_is_read_as_it_was_written(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("PARLEY_PORT=8001\r\nPARLEY_MAX_SESSIONS=3\r\n".encode(encoding))
    assert (Settings().port, Settings().max_sessions) == (8001, 3)
