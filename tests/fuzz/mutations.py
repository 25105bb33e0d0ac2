"""What is done to something whole to make it wrong: something else stands in a place of it, or bytes of it are cut out, doubled,
moved and exchanged."""

import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", [], {}, [[]], [None], {"a": {"b": []}}, "\x00\x1b[31m",
)  # fmt: skip
BYTES = (
    b"\r", b"\n", b"\n\n", b"\r\n\r\n", b": ping\n\n", b"data: ", b"data:\n\n", b"event: error\n", b"id: \x00\n", b"retry: x\n",
    b"[DONE]", b"data: [DONE]\n\n", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b"{", b"}" * 50,
    b"[" * 3000, b'"', b"RIFF", b"OggS",
)  # fmt: skip


def changed(rng: random.Random, value: Any) -> Any:
    """`value`, at some place of which now and then stands something else."""
    if rng.random() < 0.04:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {name: changed(rng, inner) for name, inner in value.items() if rng.random() > 0.03}
    if isinstance(value, list):
        return [changed(rng, inner) for inner in value for _ in range(rng.choice((1, 1, 1, 1, 2)))]
    return value


def broken(rng: random.Random, body: bytes) -> bytes:
    at, to = sorted((rng.randint(0, len(body)), rng.randint(0, len(body))))
    match rng.randrange(5):
        case 0:
            return body[:at] + body[to:]
        case 1:
            return body[:at] + rng.choice(BYTES) + body[at:]
        case 2:
            return body[:to] + body[at:to] * rng.choice((1, 3)) + body[to:]
        case 3:
            return body[:at] + bytes(rng.randrange(256) for _ in body[at : min(to, at + 20)]) + body[min(to, at + 20) :]
        case _:
            return body[:at]
