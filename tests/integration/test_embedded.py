"""The embedded server ends with its app however that ends, and there is never a second one on the same data."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from server.store.embedded_server import EmbeddedServer
from server.store.records import SessionRecord, StoreError
from server.store.store import Store
from tests.integration.redis_servers import becomes, settings

ROOT = Path(__file__).parents[2]
APP = """
    import asyncio, sys
    from pathlib import Path
    from server.store.records import SessionRecord
    from app.settings import Settings
    from server.store.store import Store

    async def main():
        async with Store(Settings(_env_file=None, redis_url="", data_dir=Path(sys.argv[1]))) as store:
            await store.claim("s")
            for number in range(10**9):
                store.log("s", {"kind": "event", "number": number})
                store.save(SessionRecord(session_id="s", generation=number))
                print(number if await store.drain(5) else "not written", flush=True)

    asyncio.run(main())
"""


def start_app(data_dir: Path) -> subprocess.Popen[str]:
    """An app that writes numbers and prints each once it is written."""
    command = [sys.executable, "-c", textwrap.dedent(APP), str(data_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def printed(app: subprocess.Popen[str], number: int) -> None:
    assert app.stdout is not None
    async with asyncio.timeout(20):
        while int(await asyncio.to_thread(app.stdout.readline)) != number:
            pass


async def last_printed(app: subprocess.Popen[str], seen: int) -> int:
    """By an app that has been killed, of which `seen` was read before."""
    assert app.stdout is not None
    lines = (await asyncio.to_thread(app.stdout.read)).split("\n")
    await asyncio.to_thread(app.wait)
    return int(lines[-2]) if len(lines) > 1 else seen


def processes_on(folder: Path) -> list[int]:
    """Every process, the server and its guard, that works on this folder."""
    found = []
    for proc in Path("/proc").iterdir():
        try:
            if (
                proc.name.isdigit()
                and str(folder).encode() in (proc / "cmdline").read_bytes()
                and int(proc.name) != os.getpid()
            ):
                found.append(int(proc.name))
        except OSError:
            continue  # has ended meanwhile
    return found


async def test_the_server_ends_with_the_app(tmp_path: Path) -> None:
    async with Store(settings(tmp_path)) as store:
        assert store.status.state == "ok"
        assert processes_on(tmp_path)
        modes = {name: (tmp_path / "store" / name).stat().st_mode & 0o777 for name in (".", "server.sock")}
        assert modes == {".": 0o700, "server.sock": 0o700}, "nobody else may connect"
    await becomes(lambda: not processes_on(tmp_path))


async def test_killed_apps_leave_no_server_and_lose_nothing_that_was_written(tmp_path: Path) -> None:
    written = 0
    for _ in range(3):
        app = start_app(tmp_path)
        await printed(app, 3)
        app.kill()
        written += await last_printed(app, 3) + 1
        await becomes(lambda: not processes_on(tmp_path))
    async with Store(settings(tmp_path)) as store:
        record = await store.claim("s")
        assert record is not None and record.generation >= 3
        entries = [entry async for entry in store.read_log("s")]
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert written <= len(entries) <= written + 3, "at most the entry in hand of each killed app is in doubt"


@pytest.mark.parametrize("hung", [False, True])
async def test_a_server_that_was_left_behind_is_ended_first(tmp_path: Path, hung: bool) -> None:
    app = start_app(tmp_path)
    await printed(app, 2)
    server = EmbeddedServer(tmp_path / "store").listener()
    assert server is not None
    for pid in processes_on(tmp_path):
        if pid not in (server, app.pid):
            os.kill(pid, signal.SIGKILL)  # the guard
    if hung:
        os.kill(server, signal.SIGSTOP)
    app.kill()
    written = await last_printed(app, 2)
    assert server in processes_on(tmp_path), "the test must leave a server behind"
    async with Store(settings(tmp_path)) as store:
        listener = EmbeddedServer(tmp_path / "store").listener()
        assert listener is not None and listener != server
        entries = [entry async for entry in store.read_log("s")]
        assert [entry["number"] for entry in entries][: written + 1] == list(range(written + 1))
    await becomes(lambda: not processes_on(tmp_path))


async def test_two_processes_on_one_folder_share_one_server(tmp_path: Path) -> None:
    app = start_app(tmp_path)
    await printed(app, 1)
    server = EmbeddedServer(tmp_path / "store").listener()
    async with Store(settings(tmp_path)) as store:
        assert EmbeddedServer(tmp_path / "store").listener() == server
        assert store.status.state == "ok"
        app.kill()
        await last_printed(app, 1)
        await becomes(lambda: server not in processes_on(tmp_path))
        store.save(SessionRecord(session_id="mine"))
        assert await store.drain(15), "the survivor must take the server's care over"
        assert EmbeddedServer(tmp_path / "store").listener() not in (None, server)
        assert await store.claim("s") is not None
    await becomes(lambda: not processes_on(tmp_path))


async def test_a_folder_with_a_very_long_name_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    async with Store(settings(folder)) as store:
        store.save(SessionRecord(session_id="s"))
        assert await store.drain(5)
    await becomes(lambda: not processes_on(folder))


async def test_a_folder_among_the_temporary_ones_is_not_taken_from_somebody_else(tmp_path: Path) -> None:
    """Of a socket's folder that stands where everybody may write, the name can be foretold."""
    folder = tmp_path / ("long" * 30)
    socket_folder = EmbeddedServer(folder / "store").socket.parent
    assert tmp_path not in socket_folder.parents
    socket_folder.mkdir()
    try:
        socket_folder.chmod(0o777)
        async with Store(settings(folder)) as store:
            assert store.status.state == "degraded"
            assert str(socket_folder) in store.status.reason
    finally:
        shutil.rmtree(socket_folder)


async def test_without_any_server_the_store_says_so_and_takes_everything(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    async with Store(settings(tmp_path / "data")) as store:
        assert store.status.state == "degraded"
        assert str(tmp_path / "data") in store.status.reason
        store.save(SessionRecord(session_id="s"))
        store.log("s", {"kind": "event"})
        store.latency({"session": "s", "turn": 1, "spans": {}})
        assert await store.claim("s") is not None
        with pytest.raises(StoreError):
            await store.claim("other")
        with pytest.raises(StoreError):
            _ = [entry async for entry in store.read_log("s")]


async def test_a_server_that_can_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "store" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "store" / "appendonlydir" / "appendonly.aof.manifest").write_text("broken\n")
    async with Store(settings(tmp_path)) as store:
        assert store.status.state == "degraded"
        assert "server.log" in store.status.reason
    await becomes(lambda: not processes_on(tmp_path))
