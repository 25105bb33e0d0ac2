"""Documents as sections that can be searched and spoken."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from documents.characters import tidy
from languages.base import KnowledgeWords

TAIL = 16  # characters of a sentence among which a short form at its end is looked for
LONGEST = 160  # words of a section; a longer one is cut between sentences (the embedding reads 256 tokens)
LONGEST_SENTENCE = 60  # words; a longer one is cut: it would be 20 s of speech, and no one question's answer
LISTED = 3  # lines that all begin like sentences are a list, not wrapped text
FULL_LINE, FULL_SHARE = 40, 0.75  # a wrapped line of plain text has so many characters, and this share of the widest one's

# A sentence ends at its mark, when the next begins like one. Initials and common short forms do not end it.
_END = re.compile(r"(?:(?<=[.!?…؟])|(?<=[.!?…][\"'”’)]))\s+|(?<=。)")

_LEADERS = re.compile(r" ?(?:[.·_] ?){4,}")  # in a line whose spaces are single
_BULLET = re.compile(
    r"^(?:(?:[-*•‣–—o]|\d{1,2}[.)])\s+|[•‣·●▪■◦○□►▶➢➤✓✔»☐☑☒\ue000-\uf8ff]\s*)?(?:\[[ xX]?\]\s+)?(?=[\w\"“'€$£(])"
)


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading. `context` is its heading and those above it (below the document's own title); `asked` are
    questions that it answers, written as a quoted line under the heading: they are searched but never spoken."""

    id: str
    title: str
    context: str
    sentences: tuple[str, ...]
    asked: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of its sentences."""
        return " ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class Document:
    """A file as sections with headings."""

    title: str
    sections: tuple[Section, ...]


class Row(str):
    """A sentence made of a row of a table: it says all it has to say, and its neighbours are about something else."""


class Line(NamedTuple):
    """What a file holds, in order: a heading of `level` 1 to 6, or (0) a paragraph, a list item or a row. `quoted`: it was
    written as a quotation."""

    level: int
    text: str
    quoted: bool = False


def compose(lines: Iterable[Line], name: str, language: KnowledgeWords) -> Document:
    """The document made of `lines`. Section ids are `name#heading-slug`, `-2`, `-3` ... where that is taken."""
    title, ids = "", dict[str, int]()
    sections: list[Section] = []
    for headings, body in _blocks(lines, language):
        title = title or (headings[0] if headings else "")
        path = [heading for heading in headings[1:] or headings if heading] or [name]
        asks = [line.quoted and _asks(line.text, language) for line in body]
        asked = tuple(
            question for line, one in zip(body, asks, strict=True) if one for question in sentences(line.text, language)
        )
        said = [sentence for line, one in zip(body, asks, strict=True) if not one for sentence in _said(line.text, language)]
        for part in _cut(said):
            sections.append(Section(_unique(f"{name}#{slug(path[-1])}", ids), path[-1], ": ".join(path), part, asked))
    return Document(title or name, tuple(sections))


def _labelled(lines: Iterable[Line], language: KnowledgeWords) -> Iterator[Line]:
    """The lines as they are searched and spoken, "Q:" and "A:" taken off."""
    asked = False
    for line in lines:
        text = tidy(line.text)
        question = language.question_label.match(text)
        if not line.level and question and text.endswith("?"):
            asked = True
            yield Line(0, text[question.end() :], quoted=True)
            continue
        if asked and (answer := language.answer_label.match(text)):
            text = text[answer.end() :]
        asked = False
        yield line._replace(text=Row(text) if isinstance(line.text, Row) else text)


def _blocks(lines: Iterable[Line], language: KnowledgeWords) -> Iterator[tuple[list[str], list[Line]]]:
    """The lines under each heading, with the path of headings to it."""
    levels: list[Line] = []
    body: list[Line] = []
    answered = False  # something stands below a question
    for line in _labelled(lines, language):
        if line.level:
            answered = False
            yield [heading.text for heading in levels], body
            levels = [*(above for above in levels if above.level < line.level), line]
            body = []
        elif line.text:
            asks = line.quoted and _asks(line.text, language)
            if asks and answered:  # another question, with an answer of its own
                yield [heading.text for heading in levels], body
                body, answered = [], False
            answered = answered or (not asks and any(one.quoted and _asks(one.text, language) for one in body[-1:]))
            body.append(line)
    yield [heading.text for heading in levels], body


def _asks(text: str, language: KnowledgeWords) -> bool:
    """Whether a quotation holds questions and nothing else: they are what the section answers."""
    return all(sentence.endswith("?") for sentence in sentences(text, language))


def _said(text: str, language: KnowledgeWords) -> list[str]:
    """The sentences of a line, of which none is longer than LONGEST_SENTENCE."""
    ended = _ended(text)
    if isinstance(text, Row):
        return [Row(part) for part in _shortened(ended)]
    return [part for sentence in sentences(ended, language) for part in _shortened(sentence)]


def _ended(text: str) -> str:
    return text if text.rstrip("\"'”’)")[-1:] in tuple(".!?…:;؟。") else text + "."


def _shortened(sentence: str) -> Iterator[str]:
    """A sentence that is too long, cut behind the last comma that leaves no part too long, or behind a word."""
    words = sentence.split()
    while len(words) > LONGEST_SENTENCE:
        commas = [
            at for at, word in enumerate(words[:LONGEST_SENTENCE], 1) if word[-1] in ",;:" and at >= LONGEST_SENTENCE // 3
        ]
        at = commas[-1] if commas else LONGEST_SENTENCE
        yield " ".join(words[:at])
        words = words[at:]
    yield " ".join(words)


def sentences(text: str, language: KnowledgeWords) -> list[str]:
    """`text` cut into sentences."""
    found: list[list[str]] = []
    for piece in _END.split(text.strip()):
        if not piece:
            continue
        begins = piece.lstrip("\"'“‘([")[:1]
        tail = found[-1][-1][-TAIL:] if found else ""
        open_ = language.short.search(tail) or (begins.isdigit() and language.before_number.search(tail))
        if found and (open_ or not begins.isalnum() or begins.islower()):
            found[-1].append(piece)
        else:
            found.append([piece])
    return [" ".join(parts) for parts in found]


def unwrapped(paragraph: str, language: KnowledgeWords, written: Sequence[str] = ()) -> list[str]:
    """The statements of a paragraph of plain text: lines that were wrapped are put together, lines of a list are not. Leader dots
    between a thing and its price become a colon. `written` are the lines before their markup was taken off: how wide they were
    tells which were wrapped."""
    found: list[str] = []
    lines = [_LEADERS.sub(": ", " ".join(line.split())) for line in paragraph.split("\n")]
    sources = written if len(written) == len(lines) else lines
    full = [(line, source) for line, source in zip(lines, sources, strict=True) if line]
    widest = max((len(source) for _, source in full), default=0)
    if len(full) >= LISTED and all(line[0].isupper() or line[0].isdigit() for line, _ in full):
        widest = 10 * len(paragraph)  # no line is full: of wrapped text some begin in mid-sentence
    before = ("", "")
    for line, source in full:
        item = _BULLET.sub("", line)
        if found and item == line and _goes_on(before, (line, source), widest, language):
            found[-1] += " " + line
        else:
            found.append(item)
        before = (line, source)
    return found


def _goes_on(before: tuple[str, str], after: tuple[str, str], widest: int, language: KnowledgeWords) -> bool:
    """Whether a line of plain text goes on in the next: by how that begins, by how this ends, or because it is full. Both are given
    as they are and as they were written."""
    line, width = before[0], len(before[1])
    if after[0][0].islower() or after[0][0] in "(&" or language.open_line.search(line):
        return True
    next_word = after[1].split(None, 1)[0] if after[1].strip() else ""
    full = width >= max(FULL_LINE, FULL_SHARE * widest) or (width >= FULL_LINE and width + 1 + len(next_word) > widest)
    return full and not line[-1].isdigit() and line[-1] not in "€$£%:"


def row(head: Sequence[str], cells: Sequence[str]) -> Row:
    """A row of a table as a sentence: its first cell, then each other one behind its heading."""
    named = [f"{above} {cell}".strip() for above, cell in zip_longest(head[1:], cells[1:], fillvalue="") if cell]
    first = cells[0].rstrip(":") if cells else ""
    return Row(f"{first}: {', '.join(named)}" if first and named else first or ", ".join(named))


def table(rows: Sequence[Sequence[str]], headed: bool) -> Iterator[Line]:
    """The rows of a table as lines; `headed`: the first one names the columns."""
    head = rows[0] if headed and rows else ()
    for cells in rows[1:] if headed and len(rows) > 1 else rows:
        if len(cells) > 1 and cells[0].endswith("?"):  # a question and its answer
            yield Line(0, cells[0], quoted=True)
            yield from (Line(0, cell) for cell in cells[1:] if cell)
        elif any(cells):
            yield Line(0, row(head if cells is not head else (), cells))


def looks_headed(rows: Sequence[Sequence[str]], numbers_below: bool = False) -> bool:
    """Whether the first row of a table of which nothing more is known names the columns: it has a word for each and no number.
    `numbers_below`: and some other row has one."""
    if len(rows) < 2 or len(rows[0]) < 2 or not all(rows[0]):
        return False
    if any(any(map(str.isdigit, cell)) for cell in rows[0]):
        return False
    return not numbers_below or any(any(map(str.isdigit, cell)) for cells in rows[1:] for cell in cells)


def inside(title: str, text: str) -> str:
    """`title` as it stands inside a sentence: only what `text` spells with a capital in mid-sentence keeps it."""
    first = title.split()[0]
    if first[1:] != first[1:].lower() or re.search(rf"(?<=[a-z,] ){re.escape(first)}\b", text):
        return title
    return first.lower() + title[len(first) :]


def slug(text: str) -> str:
    """A name for an address, made from a heading."""
    return re.sub(r"\W+", "-", text.lower()).strip("-") or "section"


def _unique(wanted: str, taken: dict[str, int]) -> str:
    """`taken` has for each name the last number that was put behind it: of a long file all sections may have one name."""
    found, number = wanted, taken.get(wanted, 1)
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    taken[wanted] = number
    taken.setdefault(found, 1)
    return found


def _cut(whole: list[str]) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    words = 0
    for sentence in whole:
        length = len(sentence.split())
        if part and words + length > LONGEST:
            yield tuple(part)
            part, words = [], 0
        part.append(sentence)
        words += length
    if part:
        yield tuple(part)


def overlapping(sentences: Sequence[str], sizes: Sequence[int], most: int) -> list[str]:
    """`sentences` in stretches that are no larger than `most` together, but for a sentence that is larger by itself. Each begins in
    the middle of the one before."""
    found, start = [], 0
    while start < len(sentences):
        end = start + 1
        while end < len(sentences) and sum(sizes[start : end + 1]) <= most:
            end += 1
        found.append(" ".join(sentences[start:end]))
        if end == len(sentences):
            break
        start = max(start + 1, (start + end + 1) // 2)
    return found
