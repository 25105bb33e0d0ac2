"""An answer of an HTTP service as it arrives, held to limits: of time, of size and of shape. Whoever answers is not trusted with
any of them: a line without an end, a small body that unpacks to a large one and JSON of another shape are errors of the service."""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from services.base import ServiceError

T = TypeVar("T")

LONGEST_TEXT = 8 << 20  # bytes of JSON or of events in one answer: a long one, thinking and all, takes three megabytes
# Commas and brackets of one JSON text: parsing holds the event loop, 0.15 s for so many, and 1.4 for all that fit in LONGEST_TEXT.
MOST_MARKS = 200_000
LONGEST_FIELD = 1 << 20  # characters of a text in it
DEEPEST = 4  # that a text may lie in lists and parts
LONGEST_SOUND = 32 << 20  # bytes: three minutes of float samples at 48 kHz
SLICE = 1 << 16  # bytes that are unpacked at once
DRAIN_S = 0.25  # a server may take so long to end a stream whose last event has come
EXCUSE = 300  # characters of a fault that are told
_SPACE = b"\xef\xbb\xbf \t\r\n"
_UNSAYABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")
_DONE = ("[DONE]", "DONE")  # however it is quoted
_TWICE = re.compile(r"(?:data:[ \t]*)+")  # what a library puts before lines that have it already
LAST = 4096  # bytes of the last line of a stream that are looked at
# Kinds of text that hold no more than text, and subtitles.
_PLAIN = re.compile(r"text/(?!html|xml|event-stream)|application/(?:x-)?(?:subrip|srt)")
_ANSWERS = ("choices", "text", "type", "data", "result", "transcription", "transcript", "segments")  # no error has these
_FIELDS = (b":", b"data:", b"event:", b"id:", b"retry:")  # that a line of an event stream begins with


class HttpBody:
    """The body of `response`, from `chunks`, its raw bytes. Of the `limits` (first, gap, total; seconds) the first counts from
    `began` (event loop time), then the gap from piece to piece, and the total is for all waiting together."""

    def __init__(
        self,
        service: str,
        response: httpx.Response,
        chunks: AsyncIterator[bytes],
        began: float,
        limits: tuple[float, float, float],
    ) -> None:
        self._service = service
        self._response = response
        self._chunks = chunks
        self._began = began
        self._first_s, self._gap_s, self._total_s = limits
        self.kind = response.headers.get("content-type", "").lower()
        self.complete = False  # the events have come to their end, and the connection has not only been closed
        # Its length was told, or its end is: the connection was not only closed, as it is too where the server has died.
        self.framed = response.http_version == "HTTP/2" or not {"content-length", "transfer-encoding"}.isdisjoint(
            response.headers
        )
        self.headers = response.headers
        self._enough = False
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ServiceError(service, f"answers in the encoding {encoding[:20]}, which was not asked for")
        self._inflater = zlib.decompressobj(wbits=47) if encoding not in ("", "identity") else None  # 47: gzip or zlib

    def enough(self, waits: bool) -> None:
        """What was to come has come: what comes behind it may fail, and is waited for no longer than a moment, or as long as before
        (`waits`) where the server seems to say so of every piece."""
        self._enough = True
        self._gap_s = self._gap_s if waits else min(self._gap_s, 4 * DRAIN_S)

    async def close(self) -> None:
        """Gives up the rest of the answer."""
        await self._response.aclose()

    async def whole(self, most: int = LONGEST_TEXT) -> bytes:
        """All of it. Raises ServiceError for more than `most` bytes; TimeoutError, httpx.HTTPError."""
        return b"".join([piece async for piece in self.pieces(most)])

    async def json(self) -> Any:
        """All of it as JSON. Raises ServiceError for what is none; TimeoutError, httpx.HTTPError."""
        return self._parsed(await self.whole())

    def pieces(self, most: int = LONGEST_SOUND) -> AsyncIterator[bytes]:
        """Bytes as they come. Raises ServiceError for more than `most`; TimeoutError, httpx.HTTPError."""
        return self._paced(self._unpacked(most))

    async def events(self, plain: bool = False) -> AsyncIterator[dict[str, Any]]:
        """The data of server-sent events up to `[DONE]`, whatever kind of content the answer says it is; or the one JSON object
        that came instead of a stream; or, where the answer may be `plain` text and says so, that text as the object's "text".
        Raises ServiceError for what is no JSON object, for an error told in mid-stream and for what is neither; TimeoutError,
        httpx.HTTPError."""
        told = self._told(plain)
        async for name, data in self._paced(told):
            data = _TWICE.sub("", data) if data.startswith("data:") else data
            if data.strip().strip('"').upper() in _DONE:
                self.complete = True
                await self._drain(told)
                return
            for event in self._objects(data):
                if _tells_of_an_error(name, event):
                    raise ServiceError(self._service, f"an event tells of an error: {excuse(data)}")
                yield event

    async def _told(self, plain: bool) -> AsyncIterator[tuple[str, str]]:
        """Name and data of each event; one JSON text has no name. What it is shows in its first bytes."""
        chunks, head = self._unpacked(LONGEST_TEXT), b""
        async for chunk in chunks:
            head = (head + chunk).lstrip(_SPACE)
            if head and not any(len(head) < len(field) and field.startswith(head) for field in _FIELDS):
                break
        plain = plain and _PLAIN.match(self.kind) is not None
        if head.startswith((b"{", b"[")):
            text = _utf8(self._service, head + b"".join([chunk async for chunk in chunks]))
            yield "", json.dumps({"text": text}) if plain and not _is_json(self._service, text) else text  # "[BLANK_AUDIO]"
            self.complete = True
        elif head.startswith(_FIELDS):
            # The library reads what says to be of this kind only.
            stream = httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=self._event_stream(head, chunks)
            )
            async for event in EventSource(stream).aiter_sse():
                if event.data.strip():
                    yield event.event, event.data
        elif head and plain:
            yield "", json.dumps({"text": _utf8(self._service, head + b"".join([chunk async for chunk in chunks]))})
        elif head:
            raise ServiceError(self._service, f"answers {self.kind or 'something unknown'}, not events: {excuse(head)}")

    async def _event_stream(self, head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """With an end to the last event. A last line that is a JSON object and no event is one nevertheless: so some tell of an
        error."""
        yield head
        last = head
        async for chunk in chunks:
            last = (last + chunk)[-LAST:]
            yield chunk
        line = re.split(rb"[\r\n]", last.rstrip())[-1]
        if not line.startswith(_FIELDS):  # somebody else has written it: what came before may not be whole
            self.framed = False
        yield b"\n\n" + (b"data: " + line if line.startswith(b"{") else b"") + b"\n\n"

    def _objects(self, data: str) -> Iterator[dict[str, Any]]:
        """The JSON objects of one event: one, or one a line where the server puts no empty line between its events."""
        try:
            values = [_loaded(self._service, data)]
        except (ValueError, RecursionError):
            values = [self._parsed(line) for line in data.splitlines() if line.strip() not in ("", "[DONE]")]
        for value in values:
            if not isinstance(value, dict):
                raise ServiceError(self._service, f"an event is no JSON object: {excuse(data)}")
            yield value

    def _parsed(self, text: str | bytes) -> Any:
        try:
            return _loaded(self._service, _utf8(self._service, text) if isinstance(text, bytes) else text)
        except (ValueError, RecursionError) as error:
            raise ServiceError(self._service, f"answers no JSON: {excuse(text)}") from error

    async def _drain(self, told: AsyncIterator[Any]) -> None:
        """Reads to the end of the stream, so that the connection can be used again."""
        with suppress(TimeoutError, ServiceError, httpx.HTTPError):
            async with asyncio.timeout(DRAIN_S):
                async for _ in told:
                    pass

    async def _unpacked(self, most: int) -> AsyncIterator[bytes]:
        """The bytes of the body, unpacked a slice at a time."""
        size = 0
        async for chunk in self._chunks:
            for piece in self._inflated(chunk) if self._inflater is not None else (chunk,):
                size += len(piece)
                if size > most:
                    raise ServiceError(self._service, f"answers more than {most} bytes")
                yield piece

    def _inflated(self, chunk: bytes) -> Iterator[bytes]:
        assert self._inflater is not None
        try:
            while chunk:
                yield self._inflater.decompress(chunk, SLICE)
                chunk = self._inflater.unconsumed_tail
        except zlib.error as error:
            raise ServiceError(self._service, f"answers what cannot be unpacked: {error}") from error

    async def _paced(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        loop, began, limit = asyncio.get_running_loop(), self._began, self._first_s
        left = self._total_s  # for waiting: what the reader takes its time for does not count
        while True:
            try:
                async with asyncio.timeout_at(began + min(limit, left)):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except (TimeoutError, httpx.HTTPError):
                if self._enough:
                    return
                raise
            left -= loop.time() - began
            yield item
            began, limit = loop.time(), self._gap_s


def _utf8(service: str, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ServiceError(service, f"answers what is no UTF-8: {excuse(body)}") from error


def _loaded(service: str, text: str) -> Any:
    if sum(map(text.count, "[{,")) > MOST_MARKS:
        raise ServiceError(service, f"answers JSON of more than {MOST_MARKS} parts")
    return json.loads(text)


def _is_json(service: str, text: str) -> bool:
    try:
        _loaded(service, text)
    except (ValueError, RecursionError):
        return False
    return True


def _tells_of_an_error(name: str, event: dict[str, Any]) -> bool:
    """By the name of the event, or in one of the fields that servers have for it; Groq's lies in a field of its own."""
    own = event.get("x_groq")
    faults = (event.get("error"), event.get("errors"), event.get("error_code"), isinstance(own, dict) and own.get("error"))
    silent = all(event.get(field) is None for field in _ANSWERS)
    return any(faults) or (silent and _fails(event)) or name in ("error", "exception") or event.get("object") == "error"


def _fails(event: dict[str, Any]) -> bool:
    """What has none of the fields of an answer tells of an error by these (FastAPI, gateways, clouds)."""
    codes = [event.get(field) for field in ("status", "statusCode", "code")]
    failed = any(code == "error" or (isinstance(code, int) and code >= 400) for code in codes)
    named = any(event.get(field) for field in ("detail", "fault", "exception"))
    return named or failed or event.get("success") is False


def text_in(service: str, value: Any, deep: int = DEEPEST) -> str:
    """The text of a field: a string, nothing, or a list of parts, of which those that are no text (thinking, pictures) are left
    out. Control characters and halves of surrogate pairs are left out as well. Raises ServiceError for anything else, for more
    than LONGEST_FIELD characters, and for parts within parts within parts."""
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= LONGEST_FIELD:
        return _UNSAYABLE.sub("", value)
    if isinstance(value, dict) and deep:
        part = value if value.get("type", "text") in ("text", "output_text") else {}
        return text_in(service, part.get("text"), deep - 1)
    if isinstance(value, list) and deep:
        return "".join(text_in(service, part, deep - 1) for part in value if isinstance(part, str | dict))
    raise ServiceError(service, f"answers {excuse(repr(value))} where text is expected")


def excuse(text: str | bytes) -> str:
    """The beginning of what a service said, in one line, for people to read."""
    start = text[: 4 * EXCUSE]
    line = " ".join((start.decode(errors="replace") if isinstance(start, bytes) else start).split())
    return "".join(c if c.isprintable() else "?" for c in line[:EXCUSE])
