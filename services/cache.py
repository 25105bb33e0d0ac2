"""What is computed once and need not be computed again, kept in files: arrays, and networks."""

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


def load(path: Path) -> Arrays | None:
    """The arrays in `path`, None when it is not there or broken. Blocks."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read and is made again: %s", path, error)
        return None


def save(path: Path, arrays: Arrays) -> None:
    """Writes `path` in one step. A folder that cannot be written to costs time at the next start, no more. Blocks."""
    _write(path, ".npz", lambda new: np.savez(new, allow_pickle=False, **arrays))


def made(folder: Path, name: str, sources: Sequence[Path], make: Callable[[], bytes]) -> bytes:
    """What `make` makes of the files `sources`, made again only when one of them has changed. Blocks."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(source.read_bytes()).digest() for source in sources)).hexdigest()[:16]
    path = folder / f"{name}-{digest}.onnx"
    try:
        return path.read_bytes()
    except OSError:
        result = make()

    def replace(new: Path) -> None:
        for old in folder.glob(f"{name}-*.onnx"):
            old.unlink(missing_ok=True)
        new.write_bytes(result)

    _write(path, ".onnx", replace)
    return result


def _write(path: Path, suffix: str, write: Callable[[Path], object]) -> None:
    new = path.with_suffix(f".{os.getpid()}{suffix}")  # two processes may write at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(new)
        new.replace(path)
    except OSError as error:
        log.warning("%s cannot be kept: %s", path, error)
