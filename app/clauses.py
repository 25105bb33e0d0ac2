"""From pieces of text to clauses that can be spoken, and stages that work ahead of one another."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TypeVar

from services.base import closing

FIRST_CLAUSE_WORDS = 3  # the first clause may end at a comma once it has so many words
LONGEST_FIRST = 8  # words; a longer first clause is cut where a phrase begins: 16 words are 90 ms in the making, 7 are 45
LONGEST_CLAUSE = 220  # characters; a longer run without a full stop is cut at a space

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*\s+")
_PHRASE = re.compile(r"[,;:—]\s+")
_BEGINS = re.compile(r"\s+(?=(?:and|but|or|because|which|that|who|when|while|where|if|as|to|in|on|at|for|with|from|by|into)\s)")

T = TypeVar("T")


class _End:
    pass


async def ahead(source: AsyncIterator[T], limit: int) -> AsyncIterator[T]:
    """Runs `source` in a task of its own, at most `limit` items ahead of the reader. Its error is raised in its place."""
    queue: asyncio.Queue[T | _End | Exception] = asyncio.Queue(limit)

    async def pump() -> None:
        try:
            async with closing(source):
                async for item in source:
                    await queue.put(item)
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(_End())

    task = asyncio.create_task(pump())
    try:
        while not isinstance(item := await queue.get(), _End):
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        task.cancel()


async def split_clauses(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Text cut where speech may pause: at sentence ends, and in the first clause already at a comma or, when it is long, where a
    phrase begins (the sooner it is short, the sooner it is heard)."""
    text, first = "", True
    async with closing(pieces):
        async for piece in pieces:
            text += piece
            while (cut := _cut(text, first)) > 0:
                clause, text = text[:cut].strip(), text[cut:]
                if clause:
                    first = False
                    yield clause
    if text.strip():
        yield text.strip()


def first_clause(text: str) -> str:
    """What `split_clauses` makes of `text` first."""
    return text[: _cut(text, True) or len(text)].strip()


def _cut(text: str, first: bool) -> int:
    """Where the first clause of `text` ends, or 0 when that is not known yet."""
    ends = _places(_SENTENCE, text)[:1]
    if first:
        ends += [at for at in _places(_PHRASE, text) if len(text[:at].split()) >= FIRST_CLAUSE_WORDS][:1]
        if len(text[: min(ends, default=len(text))].split()) > LONGEST_FIRST:
            fitting = [at for at in _places(_BEGINS, text) if FIRST_CLAUSE_WORDS < len(text[:at].split()) <= LONGEST_FIRST]
            ends += fitting[-1:]
    if not ends and len(text) > LONGEST_CLAUSE:
        return text.rfind(" ", 0, LONGEST_CLAUSE) + 1 or LONGEST_CLAUSE
    return min(ends, default=0)


def _places(boundary: re.Pattern[str], text: str) -> list[int]:
    """Where the text after each `boundary` begins."""
    return [match.end() for match in boundary.finditer(text)]
