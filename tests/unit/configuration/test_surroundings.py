"""What is ours wins over what many programs read, what nobody uses is not judged, and no complaint tells a secret."""

import os
from pathlib import Path

import httpx
import pytest

from app.core.telemetry import traces
from app.settings import Settings, read_settings
from configuration.environment import cache_folder, drop_unusable
from configuration.redaction import clean
from server.store.redis_client import connect
from services.weights import WEIGHTS, WeightsError, fetch_all

PASSWORD = "Sup3rS3cret/Pw#9"  # as people paste it, not as a URL wants it


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a folder without a `.env`."""
    for name in [name for name in os.environ if name.upper().startswith("PARLEY_")]:
        monkeypatch.delenv(name)
    for name in ("PORT", "HOST", "REDIS_URL", "OPENAI_API_KEY", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("PORT", "8000", "7000"),
        ("REDIS_URL", "redis://theirs", "redis://ours"),
        ("OPENAI_API_KEY", "sk-of-theirs", "sk-of-ours"),
    ],
)
def test_our_own_name_of_a_setting_wins_over_the_one_that_many_programs_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, name: str, theirs: str, ours: str
) -> None:
    def given(**values: str) -> str:
        if where == "file":
            (tmp_path / ".env").write_text("".join(f"{each}={value}\n" for each, value in values.items()))
        else:
            for each, value in values.items():
                monkeypatch.setenv(each, value)
        found = getattr(Settings(), name.lower())
        return str(found) if isinstance(found, int | str) else str(found.get_secret_value())

    assert given(**{name: theirs}) == theirs
    assert given(**{name: theirs, f"PARLEY_{name}": ours}) == ours
    assert given(**{name: theirs, f"PARLEY_{name}": " "}) == theirs


def test_a_port_of_a_service_leaves_the_port_that_the_platform_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_PORT", "tcp://10.0.0.7:80")
    monkeypatch.setenv("PORT", "8000")
    assert Settings().port == 8000
    monkeypatch.setenv("PORT", "\u0668\u0660\u0660\u0660")  # digits, and none that a port is written with
    assert Settings().port == 7860


@pytest.mark.parametrize("key", ["your key here", "<your-key>", "sk-...\u2026", "op://vault/item with space/key"])
def test_a_key_of_other_programs_is_judged_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert Settings().llm == read_settings([]).llm == "local"
    if key.isascii() and " " not in key:
        return
    for capability in ("llm", "stt", "tts"):
        with pytest.raises(ValueError, match="openai_api_key") as refused:
            read_settings([f"--{capability}", "openai"])
        assert key not in str(refused.value)


RELAYS = {
    "stun_url": ("stun:h", "stun:stun.example.org:3478", "stuns:h:5349"),
    "turn_url": ("turn:10.0.0.1", "turns:h:5349?transport=tcp", "turn:h?transport=udp"),
}
NO_RELAYS = {
    "stun_url": ("stun.l.google.com:19302", "http://h", "stun:", "stun:a b", "stun:h:port", "stun:h:70000", "stun:me:word-1@h"),
    "turn_url": (
        "h:3478",
        "turn:",
        "turn:h:port",
        "turn:h:0",
        "turn:h?transport=quic",
        "turn:a,turn:b",
        "turn:me:word-1@h",
        "turn:[::1]:1",
    ),
}


@pytest.mark.parametrize("name", RELAYS)
def test_a_server_for_webrtc_that_can_be_none_is_named_at_the_start(name: str) -> None:
    for value in RELAYS[name]:
        assert getattr(Settings(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in NO_RELAYS[name]:
        with pytest.raises(ValueError, match=name) as refused:
            Settings(**{name: value})  # type: ignore[arg-type]
        assert "word-1" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("llm", f"user:{PASSWORD}@host/v1"),
        ("llm", f"https://user:{PASSWORD}@host/v1"),
        ("stt", f"openai=https://user:{PASSWORD}@host/v1"),
        ("tts", "AIzaSyD-Sup3rS3cret-xxxxxxxxxxxxxxxxxxx"),
        ("cors_origins", f"https://user:{PASSWORD}@host"),
        ("allowed_hosts", f"user:{PASSWORD}@host"),
        ("node_url", f"https://user:{PASSWORD}@host"),
    ],
)
def test_what_is_wrong_with_an_address_is_told_without_its_password(name: str, value: str) -> None:
    try:
        told = repr(Settings(**{name: value}))  # type: ignore[arg-type]
    except ValueError as error:
        told = str(error)
        assert name in told
    assert "Sup3r" not in told


@pytest.mark.parametrize(
    "url",
    [f"redis://me:{PASSWORD}@db:6379/0", f"me:{PASSWORD}@db:6379", f"redis+sentinel://:{PASSWORD}@db:1/s", f"x://{PASSWORD}@d"],
)
def test_what_is_wrong_with_the_address_of_redis_is_told_without_its_password(url: str) -> None:
    assert "Sup3r" not in repr(Settings(redis_url=url))
    try:
        connect(url)
    except ValueError as error:
        assert "REDIS_URL" in str(error) and "Sup3r" not in str(error)
    for quoted in (f"cannot reach {url}", "Port could not be cast to integer value as 'Sup3rS3cret'"):
        assert "Sup3r" not in clean(quoted)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--llm-apikey", PASSWORD], "--llm-apikey"),
        ([f"--openai-key={PASSWORD}"], "--openai-key"),
        ([PASSWORD], "--help"),
        (["--greeting", PASSWORD], "--help"),
        (["--port"], "--port"),
    ],
)
def test_what_was_given_with_an_unknown_flag_is_not_told(
    flags: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError) as refused:
        read_settings(flags)
    shown = "".join([str(refused.value), *capfd.readouterr()])
    assert told in shown and PASSWORD not in shown


def test_the_key_of_a_collector_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team: collector-key-1,Authorization=Bearer%20collector-key-2")
    assert traces() is None
    told = clean("Header format invalid!: x-team: collector-key-1; Bearer of bad news")
    assert "collector-key" not in told and "x-team" in told and "Bearer of bad news" in told


@pytest.mark.parametrize(
    ("hosts", "read"),
    [
        ("localhost,127.0.0.1,.example.org, ::1", None),
        ("10.0.0.0/8,*.local,a.example:8080", None),
        ("*", None),
        ("localhost,[::1]", "localhost,::1"),
        ("fd00::/8,a.example", "a.example"),
    ],
)
def test_hosts_without_a_proxy_that_cannot_be_read_stop_no_client(
    monkeypatch: pytest.MonkeyPatch, hosts: str, read: str | None
) -> None:
    """None: they are left as they are."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, hosts)
    dropped = drop_unusable()
    assert dropped == ({} if read is None else {"no_proxy": hosts, "NO_PROXY": hosts})
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == (read or hosts)
    httpx.Client().close()


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("GRADIO_SERVER_PORT", "tcp://10.0.0.1:7860", False),  # of a service of Kubernetes named "gradio-server"
        ("GRADIO_SERVER_PORT", "", False),
        ("GRADIO_SERVER_PORT", "7861", True),
        ("GRADIO_NUM_PORTS", "many", False),
        ("GRADIO_NODE_NUM_PORTS", "1e2", False),
        ("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1 h", False),
        ("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "none", True),
        ("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "", True),
        ("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "unlimited", False),
    ],
)
def test_numbers_of_gradio_that_are_none_are_taken_away(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, kept: bool
) -> None:
    monkeypatch.setenv(name, value)
    assert drop_unusable() == ({} if kept else {name: value})
    assert (name in os.environ) == kept


def test_a_folder_that_this_user_may_not_look_into_is_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`sudo -u` and containers leave the HOME of somebody else."""
    closed = tmp_path / "root"
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed / ".cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    exists = Path.exists

    def refuse(path: Path) -> bool:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    closed.mkdir(mode=0o500)
    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)
    assert cache_folder().parent == tmp_path
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for home in ("/dev/null", str(tmp_path / "file")):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        assert cache_folder().parent == tmp_path


def test_weights_that_were_copied_to_where_nobody_may_write_are_taken_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their stamps do not fit: a copy has another time."""
    name = next(iter(WEIGHTS))
    monkeypatch.setattr("services.weights.os.access", lambda path, mode: False)
    monkeypatch.setattr("services.weights._digest", lambda path: WEIGHTS[name].sha256 if path.read_bytes() == b"right" else "")
    monkeypatch.setattr(Path, "mkdir", _read_only)
    (tmp_path / name).write_bytes(b"right")
    assert fetch_all(tmp_path, [name]) == {name: tmp_path / name}
    (tmp_path / name).write_bytes(b"wrong")
    with pytest.raises(WeightsError, match="cannot be used"):
        fetch_all(tmp_path, [name])


def _read_only(*args: object, **kwargs: object) -> None:
    raise OSError(30, "Read-only file system")
