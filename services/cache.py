"""Arrays kept in a file: what is computed from texts once and need not be computed again."""

import logging
import zipfile
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
    new = path.with_suffix(".new.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(new, allow_pickle=False, **arrays)
        new.replace(path)
    except OSError as error:
        log.warning("%s cannot be kept: %s", path, error)
