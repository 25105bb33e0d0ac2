"""Sound of one byte a sample, without a head that says so: G.711 (both laws) and PCM of 8 bits."""

import numpy as np
from numpy.typing import NDArray

from services.base import Audio

LEAST = 64  # bytes that tell anything
VALUES = 4  # of two bytes at least: fewer are a beep
LIKE = 0.5  # correlation of neighbours, above which they are samples: 0 for bytes of other samples, over 0.7 for voiced speech


def _mu_law() -> NDArray[np.float32]:
    """What each byte is in G.711's \u00b5-law."""
    code = ~np.arange(256) & 0xFF
    size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return np.asarray(np.where(code & 128, -size, size) / 32768, np.float32)


def _a_law() -> NDArray[np.float32]:
    """What each byte is in G.711's A-law."""
    code = np.arange(256) ^ 0x55
    segment = code >> 4 & 7
    size = ((code & 15) << 4) + np.where(segment, 264, 8) << np.maximum(segment - 1, 0)
    return np.asarray(np.where(code & 128, size, -size) / 32768, np.float32)


_KINDS = {
    "\u00b5-law": _mu_law(),
    "A-law": _a_law(),
    "unsigned PCM of 8 bits": ((np.arange(256) - 128) / 128).astype(np.float32),
    "PCM of 8 bits": (np.arange(256, dtype=np.uint8).view(np.int8) / 128).astype(np.float32),
}


def kind_of(data: bytes, wide: float) -> str:
    """What `data` are where each of their bytes is a sample; "" where they are none. `wide` is how alike neighbours are where they
    are read as samples of two bytes: the lower byte of such a sample has nothing in common with the higher one beside it."""
    codes = np.frombuffer(data, np.uint8)
    if len(codes) < LEAST or len(set(zip(codes[::2], codes[1::2], strict=False))) < VALUES:
        return ""
    found = {name: alike(table[codes]) for name, table in _KINDS.items()}
    name = max(found, key=lambda name: found[name])
    return name if found[name] > max(LIKE, wide) else ""


def alike(audio: Audio) -> float:
    """Correlation of neighbours, 0 of a level line: that is no sound."""
    steady = audio - audio.mean()
    power = float(np.square(steady, dtype=np.float64).sum())
    return float((steady[1:] * steady[:-1]).sum()) / power if power > 0 else 0.0
