"""Tensors out of a file that PyTorch wrote in its first format, without PyTorch.

The format (torch/serialization.py, `_legacy_load`): three pickles that say what it is, one of the state, one with the keys of the
storages, then for each key the number of its elements (int64) and the elements. Nothing in the file is run: its pickles may name
only what is listed here.
"""

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

ELEMENT = 4  # bytes: all storages of the files we read are float32


class _Tensor(NamedTuple):
    key: str
    offset: int
    shape: tuple[int, ...]


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *_: _Tensor(storage, offset, tuple(shape))
        if (module, name) == ("torch", "FloatStorage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in a file of weights")

    def persistent_load(self, identity: Any) -> str:
        return str(identity[2])


def read_tensors(path: Path, state: str) -> dict[str, NDArray[np.float32]]:
    """The tensors under the key `state` of the file, by name. Raises pickle.UnpicklingError for what is no such file."""
    with path.open("rb") as file:
        for _ in range(3):
            _Reader(file).load()
        tensors: dict[str, _Tensor] = _Reader(file).load()[state]
        storages = {key: _storage(file) for key in _Reader(file).load()}
    return {
        name: storages[tensor.key][tensor.offset : tensor.offset + int(np.prod(tensor.shape))].reshape(tensor.shape)
        for name, tensor in tensors.items()
    }


def _storage(file: BinaryIO) -> NDArray[np.float32]:
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * ELEMENT), np.float32)
