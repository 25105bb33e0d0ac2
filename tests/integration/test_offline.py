"""At run time nothing is fetched from anywhere: a whole conversation over each transport, and no address but this machine's."""

import ast
import ipaddress
from argparse import Namespace
from pathlib import Path

import psutil
import pytest

from app.settings import Settings
from tests.bench.client import dial
from tests.bench.clips import HERE, clips
from tests.bench.server import serve


def own_addresses() -> set[str]:
    return {address.address.partition("%")[0] for found in psutil.net_if_addrs().values() for address in found}


def is_local(host: str | bytes | None) -> bool:
    """Loopback, this machine's own interfaces (WebRTC offers them as candidates), a Unix socket, or a multicast name query."""
    if not host or isinstance(host, bytes) or host.startswith("/") or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or str(address) in own_addresses()


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_a_conversation_leaves_this_machine_alone(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "addresses"
    monkeypatch.setenv("WATCHED_ADDRESSES", str(record))
    monkeypatch.setenv("PARLEY_WEIGHTS_DIR", str(Settings().weights_dir))
    monkeypatch.setenv("HOME", str(home := tmp_path / "home"))
    for quiet in ("CI", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"):  # with one of the first two ONNX Runtime says nothing
        monkeypatch.delenv(quiet, raising=False)
    clip = clips(HERE, "utt")[0]
    watched = serve(Namespace(server=None), ["-m", "tests.integration.watched"], greeting=True)
    async with watched as server, dial(server.url, transport) as call:
        start = await call.play(clip)
        await call.audible(after=start + clip.speech_end)
    seen = [line.split(" ", 1) for line in record.read_text().splitlines()]
    assert seen, "nothing was watched"
    strangers = {f"{event} {host}" for event, host in seen if not is_local(ast.literal_eval(host))}
    assert not strangers
    # What ONNX Runtime sends its maker is not Python's: it can be told by the number for this machine that it keeps.
    assert not list(home.rglob("deviceid"))
