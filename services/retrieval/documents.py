"""A folder of Markdown as sections that can be searched and spoken."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.base import ServiceUnavailable

log = logging.getLogger(__name__)

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


def read_folder(folder: Path) -> list[Document]:
    """The documents of all .md files in `folder` and below, in the order of their names. A file that cannot be read is reported
    and skipped. Raises ServiceUnavailable when the folder is missing or nothing in it can be used."""
    if not folder.is_dir():
        raise ServiceUnavailable("retrieval", f"the knowledge folder {folder.absolute()} does not exist")
    documents = []
    for path in sorted(folder.rglob("*.md")):
        try:
            document = parse(path.read_text(encoding="utf-8-sig"), path.relative_to(folder).with_suffix("").as_posix())
        except (OSError, UnicodeDecodeError) as error:
            log.warning("knowledge file %s is skipped: %s", path, error)
            continue
        if document.sections:
            documents.append(document)
        else:
            log.warning("knowledge file %s is skipped: it holds no text", path)
    if not documents:
        raise ServiceUnavailable("retrieval", f"the knowledge folder {folder.absolute()} holds no .md file with text in it")
    return documents


def parse(markdown: str, name: str) -> Document:
    """One Markdown text. Section ids are `name#heading-slug`, `-2`, `-3` ... where that is taken."""
    title, path, ids = "", [], set[str]()
    sections: list[Section] = []
    for headings, body, quoted in _blocks(markdown):
        title = title or (headings[0] if headings else "")
        path = headings[1:] or headings or [name]
        asked = tuple(question for line in quoted for question in sentences(line))
        for part in _cut([sentence for line in body for sentence in sentences(line)]):
            sections.append(Section(_unique(f"{name}#{slug(path[-1])}", ids), path[-1], ": ".join(path), part, asked))
    return Document(title or name, tuple(sections))


def sentences(text: str) -> list[str]:
    """`text` cut into sentences."""
    found: list[str] = []
    for piece in _END.split(text.strip()):
        if found and _SHORT.search(found[-1]):
            found[-1] += " " + piece
        elif piece:
            found.append(piece)
    return found


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


def _blocks(markdown: str) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """Each heading's path, its paragraphs and its quoted paragraphs. Code and HTML are left out: nobody can speak them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(re.sub(r"\A---\n.*?\n---\n", "", markdown, flags=re.S))
    levels: list[tuple[int, str]] = []
    body: list[str] = []
    quoted: list[str] = []
    depth = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        depth += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type != "inline":
            continue
        if before is not None and before.type == "heading_open":
            yield [text for _, text in levels], body, quoted
            level = int(before.tag[1])
            levels = [*((above, text) for above, text in levels if above < level), (level, _plain(token))]
            body, quoted = [], []
        else:
            (quoted if depth else body).append(_ended(_plain(token)))
    yield [text for _, text in levels], body, quoted


def _plain(token: Token) -> str:
    """The words of a line without its markup."""
    kinds = {"text": "", "code_inline": "", "softbreak": " ", "hardbreak": " "}
    return "".join(child.content or kinds[child.type] for child in token.children or () if child.type in kinds).strip()


def _ended(line: str) -> str:
    return line if not line or line[-1] in ".!?…:;" else line + "."
