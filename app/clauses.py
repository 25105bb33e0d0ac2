"""From pieces of text to clauses that can be spoken, and stages that work ahead of one another."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TypeVar

from services.base import closing

FIRST_CLAUSE_WORDS = 3  # the first clause may end at a comma once it has so many words
LONGEST_CLAUSE = 220  # characters; a longer run without a full stop is cut at a space

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*\s+")
_PHRASE = re.compile(r"[,;:—]\s+")

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
    """Text cut where speech may pause: at sentence ends, and in the first clause already at a comma (the sooner it is short,
    the sooner it is heard)."""
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


def _cut(text: str, first: bool) -> int:
    """Where the first clause of `text` ends, or 0 when that is not known yet."""
    ends = [match.end() for match in (_SENTENCE.search(text),) if match]
    if first:
        ends += [m.end() for m in _PHRASE.finditer(text) if len(text[: m.start()].split()) >= FIRST_CLAUSE_WORDS][:1]
    if not ends and len(text) > LONGEST_CLAUSE:
        return text.rfind(" ", 0, LONGEST_CLAUSE) + 1 or LONGEST_CLAUSE
    return min(ends, default=0)
