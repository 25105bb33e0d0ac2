"""Cuts pieces of text into clauses that can be spoken, and lets stages of the reply work ahead of one another."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import TypeVar

from languages.base import Language
from languages.sentences import MARK
from services.base import closing

FIRST_CLAUSE_WORDS = 3  # the first clause may end at a comma once it has so many words
LONGEST_FIRST = 8  # words; a longer first clause is cut where a phrase begins: 16 words are 90 ms in the making, 7 are 45
LONGEST_CLAUSE = 220  # characters; a longer run without a full stop is cut at a space
LOOKED_AT = LONGEST_CLAUSE + 60  # characters of the text that are searched for an end, however much of it is there
SHORT_LINE = 50  # characters; a longer line before one in small letters may be one that was only broken

_PHRASE = re.compile(r"[;:—]\s|,\s(?=\D)|(?<!\d),\s")  # no comma within a date
_GAP = re.compile(r"(?<!\.)\s")  # but not behind "Dr."
_BULLET = re.compile(r"(?:[-*+•–]|#{1,6}|\d{1,3}[.)])\s")
_ITEM = re.compile(r"^\W{0,9}(\d{1,2})[.)]\s")
_FIRST_ITEM = re.compile(r":\s(?=1[.)]\s\S)")
_LATER_ITEM = re.compile(r"(?<!\d)\s(\d{1,2})[.)]\s\S")
_OPEN_LINE = re.compile(r"[^\W_](?:[^\w.,;:!?…|]|_){0,12}$")  # ends without a mark: with "5€" or an emoji as well

T = TypeVar("T")


class _End:
    pass


async def ahead(source: AsyncIterator[T], limit: int) -> AsyncIterator[T]:
    """Runs `source` in a task of its own, at most `limit` items ahead of the reader. Its error is raised to the reader, in
    order; a source that somebody else cancelled raises RuntimeError, lest the reader wait for ever or take itself for
    cancelled."""
    queue: asyncio.Queue[T | _End | Exception] = asyncio.Queue(limit)
    left = False  # the reader wants no more

    async def pump() -> None:
        try:
            async with closing(source):
                async for item in source:
                    await queue.put(item)
        except (Exception, asyncio.CancelledError) as error:
            if left:
                raise
            await queue.put(error if isinstance(error, Exception) else RuntimeError("what it reads from was cancelled"))
        else:
            await queue.put(_End())

    task = asyncio.create_task(pump())
    try:
        while not isinstance(item := await queue.get(), _End):
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left = True
        task.cancel()


async def split_clauses(pieces: AsyncIterator[str], language: Language) -> AsyncIterator[str]:
    """Cuts text where speech may pause: at sentence ends and between the lines of a list. The first clause also ends at a comma
    or, when it is long, where a phrase begins: the shorter it is, the sooner it is heard."""
    cutter = Cutter(language)
    async with closing(pieces):
        async for piece in pieces:
            for clause in cutter.feed(piece):
                yield clause
    for clause in cutter.rest():
        yield clause


def first_clause(text: str, language: Language) -> str:
    """The clause that `split_clauses` makes of `text` first."""
    cutter = Cutter(language)
    return next(chain(cutter.feed(text), cutter.rest()), "")


class Cutter:
    """Cuts a text of `language`, fed in pieces of any size, into clauses. The work for a piece depends on its length alone, not
    on what came before."""

    def __init__(self, language: Language) -> None:
        self._sentences = language.sentences
        self._phrase = language.phrase
        self._text = ""
        self._first = True
        self._known = 0  # up to here in the text no sentence ends
        self._line = 0  # characters of the line that the text begins in which are no part of it any more

    def feed(self, piece: str) -> Iterator[str]:
        """The clauses that are complete once `piece` is added."""
        for start in range(0, len(piece), LONGEST_CLAUSE):
            self._text = (self._text + piece[start : start + LONGEST_CLAUSE]).lstrip()
            yield from self._clauses(whole=False)

    def rest(self) -> Iterator[str]:
        """The clauses of the text that is left, when nothing follows."""
        yield from self._clauses(whole=True)
        if self._text:
            yield self._text.rstrip()

    def _clauses(self, whole: bool) -> Iterator[str]:
        while (cut := self._cut(whole)) > 0:
            clause, rest = self._text[:cut], self._text[cut:]
            line_ends = rest.startswith("\n")
            self._line = 0 if line_ends else len(clause.rpartition("\n")[2]) + (0 if "\n" in clause else self._line)
            self._text, self._first, self._known = rest.lstrip(), False, 0
            # An entry of a list is a sentence to the ear.
            yield clause.rstrip() + "." if line_ends and _OPEN_LINE.search(clause) else clause.rstrip()

    def _cut(self, whole: bool) -> int:
        """Where the first clause ends, or 0 when that is not known yet."""
        text = self._text[:LOOKED_AT]
        places = [*self._sentence_end(text, whole and text == self._text), *self._line_end(text), *_next_item(text)]
        if self._first:
            places += [at for at in _places(_PHRASE, text) if len(text[:at].split()) >= FIRST_CLAUSE_WORDS][:1]
            if len(text[: min(places, default=len(text))].split()) > LONGEST_FIRST:
                fitting = [
                    at for at in _places(self._phrase, text) if FIRST_CLAUSE_WORDS < len(text[:at].split()) <= LONGEST_FIRST
                ]
                places += fitting[-1:]
        if not places and len(text) > LONGEST_CLAUSE:
            return next(reversed(_places(_GAP, text[:LONGEST_CLAUSE])), LONGEST_CLAUSE)
        return min(places, default=0)

    def _sentence_end(self, text: str, whole: bool) -> list[int]:
        """Where the first sentence ends, if it is known to."""
        item = _ITEM.match(text)
        for match in MARK.finditer(text, self._known):
            at = match.end()
            end = (at < len(text) or whole) and self._sentences.ends(text[:at], text[at:], whole)
            if end is False and at < len(text):
                self._known = at
            elif end and not (item and text[:at].endswith(f" {int(item[1]) + 1}.") and not whole):
                return [at]
        return []

    def _line_end(self, text: str) -> list[int]:
        """Where the first line ends that is no part of a broken paragraph."""
        start, before = 0, self._line
        while (at := text.find("\n", start)) >= 0:
            line, after = text[start:at].strip(), text[at + 1 :].lstrip(" \t")
            if not after:
                break
            broken = before + len(line) >= SHORT_LINE and (after[0].islower() or line[-1:] in (",", ";"))
            if not broken or _BULLET.match(after):
                return [at]
            start, before = at + 1, 0
        return []


def _next_item(text: str) -> list[int]:
    """Where a list begins or goes on in one line: with "1." behind a colon, with "2." behind "1."."""
    item = _ITEM.match(text)
    later = _LATER_ITEM.finditer(text) if item else ()
    found = [after.start() for after in later if item and int(after[1]) == int(item[1]) + 1]
    return [*found[:1], *_places(_FIRST_ITEM, text)[:1]]


def _places(boundary: re.Pattern[str], text: str) -> list[int]:
    """Where the text after each `boundary` begins."""
    return [match.end() for match in boundary.finditer(text)]
