"""Reads what a client sends, over every transport: it becomes a typed message, or a `BadMessage` that names the field at fault.
Nothing else comes of it, whatever a client sends."""

import base64
import binascii
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from app.protocol.messages import CLIENT_MESSAGE, MAX_AUDIO_BYTES, MAX_MESSAGE_BYTES, MAX_TEXT, ClientMessage, Error
from services.base import Pcm

MAX_MARKS = MAX_TEXT + 100  # commas and brackets of one message: a text may consist of them, and an envelope has a few
MAX_FAULTS = 20  # of one message, beyond which none of them is described: each takes 1 us
MAX_COMPLAINT = 300  # characters of an error message: bad input may be quoted in it

T = TypeVar("T")


class BadMessage(Exception):
    """A message that cannot be used; `field` is the path of the field at fault, if one is."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def as_event(self) -> Error:
        """The error as the message that tells the client of it."""
        return Error(code=self.code, message=str(self), field=self.field)


def first_fault(error: ValidationError) -> tuple[list[str], str]:
    """The path of the first fault (empty: the whole value) and the words for it. Within a union, the path begins with the
    member's tag."""
    if error.error_count() > MAX_FAULTS:
        return [], f"more than {MAX_FAULTS} faults"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"].startswith("union_tag"):
        path.append("type")
    return path, ": ".join(filter(None, (".".join(path), first["msg"])))[:MAX_COMPLAINT]


def read_json(kind: TypeAdapter[T], text: str | bytes) -> T:
    """Reads JSON that a client sends, in a message or as a body; all such JSON is read here. A text with more than MAX_MARKS
    commas and brackets is refused: of a text full of lists the parser would make 100,000 objects (20 ms), and pydantic an error
    for each. Raises BadMessage, and pydantic's ValidationError."""
    marks: tuple[Any, ...] = tuple(b"[{," if isinstance(text, bytes) else "[{,")
    if sum(map(text.count, marks)) > MAX_MARKS:
        raise BadMessage("bad_message", f"a message has at most {MAX_MARKS} commas and brackets")
    return kind.validate_json(text)


def parse(text: str | bytes) -> ClientMessage:
    """Reads one JSON message of at most MAX_MESSAGE_BYTES. Raises BadMessage (too_large, bad_json, bad_message)."""
    if len(text) > MAX_MESSAGE_BYTES:
        raise BadMessage("too_large", f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    try:
        return read_json(CLIENT_MESSAGE, text)
    except ValidationError as error:
        path, words = first_fault(error)
        broken = not path and words.startswith("Invalid JSON")
        raise BadMessage("bad_json" if broken else "bad_message", words, path[-1] if path else None) from None


def decode(data: str) -> bytes:
    """The bytes that an audio_chunk's base64 stands for. Raises BadMessage."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage("bad_audio", f"audio_chunk.data: not base64 ({error})", "data") from None


def pcm(data: bytes) -> Pcm:
    """The samples of PCM16 mono little-endian. Raises BadMessage for half a sample, and for more than MAX_AUDIO_BYTES."""
    if len(data) > MAX_AUDIO_BYTES:
        raise BadMessage("too_large", f"audio_chunk.data: a chunk has at most {MAX_AUDIO_BYTES} bytes of audio", "data")
    if len(data) % 2:
        raise BadMessage("bad_audio", "audio_chunk.data: PCM16 has two bytes a sample, this has an odd number", "data")
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
