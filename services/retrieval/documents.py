"""Documents as sections that can be searched and spoken."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

TAIL = 16  # characters of a sentence among which a short form at its end is looked for
LONGEST = 160  # words of a section; a longer one is cut between sentences (the embedding reads 256 tokens)

# A sentence ends at its mark, when the next begins like one. Initials and common short forms do not end it.
_END = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+(?=[\"'“‘(]?[A-Z0-9])")
_SHORT = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|approx|Inc|Ltd|U\.S))\.[\"'”’)]*\s*$")


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
        return " ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    sections: tuple[Section, ...]


Block = tuple[list[str], list[str], list[str]]  # a heading's path, its paragraphs and its quoted paragraphs


def compose(blocks: Iterable[Block], name: str) -> Document:
    """The document made of `blocks`. Section ids are `name#heading-slug`, `-2`, `-3` ... where that is taken."""
    title, ids = "", set[str]()
    sections: list[Section] = []
    for headings, body, quoted in blocks:
        title = title or (headings[0] if headings else "")
        path = headings[1:] or headings or [name]
        asked = tuple(question for line in quoted for question in sentences(line))
        for part in _cut([sentence for line in body for sentence in sentences(line)]):
            sections.append(Section(_unique(f"{name}#{slug(path[-1])}", ids), path[-1], ": ".join(path), part, asked))
    return Document(title or name, tuple(sections))


def sentences(text: str) -> list[str]:
    """`text` cut into sentences."""
    found: list[list[str]] = []
    for piece in _END.split(text.strip()):
        if found and _SHORT.search(found[-1][-1][-TAIL:]):
            found[-1].append(piece)
        elif piece:
            found.append([piece])
    return [" ".join(parts) for parts in found]


def inside(title: str, text: str) -> str:
    """`title` as it stands inside a sentence: only what `text` spells with a capital in mid-sentence keeps it."""
    first = title.split()[0]
    if first[1:] != first[1:].lower() or re.search(rf"(?<=[a-z,] ){re.escape(first)}\b", text):
        return title
    return first.lower() + title[len(first) :]


def slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-") or "section"


def _unique(wanted: str, taken: set[str]) -> str:
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    taken.add(found)
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
