"""What a client may send and what none should: whole messages, ones with something odd in a place, broken ones, and sound."""

import base64
import json
import random
from typing import Any

import numpy as np

from tests.fuzz.mutations import broken, changed
from tests.fuzz.test_text_for_the_voice import texts
from tests.unit.fakes import VOICE

ASKED = (
    "remind me in ten minutes to stretch", "set a timer for an hour and a half", "cancel the timer", "for how long?", "five",
    "what time is it in Tokyo", "spell Zoë", "say that again", "louder", "slower", "stop", "goodbye", "go on", "what about it?",
)  # fmt: skip
RATE = 16_000


def message(rng: random.Random, generation: int = 1) -> str:
    """One message in JSON; `generation` is that of the reply under way, if there is one."""
    whole = _whole(rng, rng.choice((generation, generation, generation + 1, 0, 2**32 - 1)))
    if rng.random() < 0.6:
        return json.dumps(whole)
    data = json.dumps(changed(rng, whole), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice((0, 1, 1, 3))):
        data = broken(rng, data)
    return data.decode("utf-8", "replace")


def _whole(rng: random.Random, generation: int) -> dict[str, Any]:
    kind = rng.choice((
        "text", "text", "ping", "interrupt", "audio_interrupt", "audio_chunk", "playback_progress", "playback_done",
        "playback_stopped", "playback_progress", "start", "unheard of",
    ))  # fmt: skip
    if rng.random() < 0.005:
        kind = "stop"
    fields: dict[str, Any] = {}
    match kind:
        case "text":
            fields = {"text": rng.choice((rng.choice(ASKED), texts(rng), "x" * rng.choice((1999, 2000, 2001)), " "))}
        case "audio_chunk":
            fields = {"data": base64.b64encode(sound(rng)).decode(), "timestamp": rng.choice((0, 1.5, 1e300))}
        case "playback_progress" | "playback_done" | "playback_stopped":
            fields = {"generation": generation, "played_ms": rng.choice((0, 20, 999.5, 86_400_000, rng.uniform(0, 3000)))}
        case "start":
            fields = {"sample_rate": rng.choice((8000, 48000, 44100)), "session_id": rng.choice((None, "x", "ü" * 200))}
    return {"type": kind, **fields}


def sound(rng: random.Random) -> bytes:
    """A chunk of PCM16: silence, a voice, noise, the greatest there is, of any length; now and then half a sample too much."""
    size = rng.choice((0, 1, 2, 160, 320, 320, 320, 960, 5000, 33_000, 96_001))
    if size > 5000 and rng.random() < 0.8:
        size = 320
    kind = rng.randrange(6)
    if kind == 5:
        return rng.randbytes(2 * size)
    if kind == 4:
        return (np.resize([-32768, 32767], size).astype("<i2")).tobytes() + b"\x00" * rng.randrange(2)
    return np.full(size, (0, VOICE, VOICE, -VOICE)[kind], "<i2").tobytes()


def frame(rng: random.Random) -> bytes:
    """A frame of the WebSocket protocol, right or wrong (RFC 6455, section 5.2)."""
    payload = message(rng).encode()
    payload = payload[: rng.choice((10, 100, 5000))]
    first_byte = rng.choice((0x81, 0x81, 0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8A, 0xC1, 0x83, rng.randrange(256)))
    length = rng.choice((len(payload),) * 6 + (0, 2**31, 2**63, 126))
    size = bytes([0x80 | length]) if length < 126 else bytes([0xFF]) + length.to_bytes(8, "big")
    mask = rng.randbytes(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first_byte]) + size + mask + masked if rng.random() < 0.9 else rng.randbytes(20)
