"""Answers of services gone wrong: whole ones of every dialect, with pieces cut out, doubled, moved, exchanged and packed."""

import gzip
import json
import random
from typing import Any, NamedTuple

from tests.fuzz.mutations import broken, changed

CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TEXTS = (
    "It is a delay.", "<think>Hm.</think>It is.", "So</think> It is.", "[TOOL_CALLS]weather{}", "It is.<|im_end|>more", "`", "{",
    '<tool_call>{"name": "weather", "arguments": {}}</tool_call>', "<|channel|>analysis<|message|>a<|end|>", "<", "[",
    "ünï 🙂", "\ud800", "",
)  # fmt: skip
KINDS = (
    "text/event-stream",
    "application/json",
    "text/plain",
    "audio/pcm",
    "audio/mpeg",
    "application/octet-stream",
    "text/html",
    "",
)


class Hostile(NamedTuple):
    """An answer as it is sent: the status, the heads, the body in pieces; `cut` leaves its end open."""

    status: int
    head: str
    pieces: list[bytes]
    cut: bool


def hostile(rng: random.Random) -> Hostile:
    body = rng.choice((_stream, _stream, _json, _sound))(rng)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        body = broken(rng, body)
    head = f"content-type: {rng.choice(KINDS)}\r\n"
    if rng.random() < 0.1:
        body = gzip.compress(body)
        body = body[: rng.randrange(len(body))] if rng.random() < 0.5 else body
        head += f"content-encoding: {rng.choice(('gzip', 'deflate', 'br', 'gzip, gzip'))}\r\n"
    status = rng.choice((200,) * 12 + (204, 206, 302, 400, 401, 404, 422, 429, 500, 503))
    head += "retry-after: 0\r\n" if status in (429, 503) else ""
    size = rng.choice((1, 3, 17, 1000, len(body) or 1))
    size = max(size, len(body) // 200 + 1)
    return Hostile(status, head, [body[at : at + size] for at in range(0, len(body), size)], rng.random() < 0.15)


def _stream(rng: random.Random) -> bytes:
    end = rng.choice(("\n\n", "\r\n\r\n", "\r\r", "\n"))
    events = [_chunk(rng) for _ in range(rng.randrange(6))]
    lines = "".join(f"data:{rng.choice(('', ' '))}{json.dumps(changed(rng, event))}{end}" for event in events)
    return (lines + rng.choice(("", f"data: [DONE]{end}"))).encode("utf-8", "surrogatepass")


def _json(rng: random.Random) -> bytes:
    value = rng.choice(
        (_chunk(rng), {"text": rng.choice(TEXTS)}, {"error": {"message": "no", "param": "stream"}}, {"data": [{"id": "m"}]})
    )
    return json.dumps(changed(rng, value)).encode("utf-8", "surrogatepass")


def _sound(rng: random.Random) -> bytes:
    samples = b"".join(rng.randrange(-2000, 2000).to_bytes(2, "little", signed=True) for _ in range(rng.randrange(2000)))
    form = rng.choice((1, 3, 0xFFFE, 77)).to_bytes(2, "little") + rng.randrange(4).to_bytes(2, "little")
    form += rng.choice((0, 8000, 24_000, 2**31)).to_bytes(4, "little") + bytes(4) + rng.randrange(9).to_bytes(2, "little")
    form += rng.choice((0, 8, 16, 24, 32, 64)).to_bytes(2, "little")
    size = rng.choice((0, len(samples), 2**32 - 1, 10)).to_bytes(4, "little")
    wave = (
        b"RIFF"
        + bytes(4)
        + b"WAVEfmt "
        + rng.choice((16, 0, 40, 2**31)).to_bytes(4, "little")
        + form
        + b"data"
        + size
        + samples
    )
    return rng.choice((samples, wave, b"OggS" + samples, b"ID3" + samples, rng.randbytes(3000)))


def _chunk(rng: random.Random) -> dict[str, Any]:
    text, reason = rng.choice(TEXTS), rng.choice((None, "stop", "length", "", "error"))
    delta = rng.choice((
        {"content": text}, {"role": "assistant", "content": None}, {"tool_calls": [CALL]}, {"reasoning_content": text},
        {"content": [{"type": "text", "text": text}]}, {},
    ))  # fmt: skip
    return rng.choice((
        {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]},
        {"choices": [{"message": delta, "finish_reason": reason}]},
        {"choices": [], "usage": {"total_tokens": 7}},
        {"type": "transcript.text.delta", "delta": text},
        {"type": "transcript.text.done", "text": text},
        {"text": text},
        {"error": rng.choice((None, "gone", {"message": "gone"}))},
    ))  # fmt: skip
