"""A folder of Markdown, plain text, HTML and PDF as documents."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.base import ServiceUnavailable
from services.retrieval.documents import Block, Document, compose

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

log = logging.getLogger(__name__)

HEADING_WORDS = 8  # a line of plain text that stands alone is a heading up to so many

Stamp = tuple[int, int]  # size and time of a file: another one is another content
Shelf = Mapping[Path, tuple[Stamp, Document]]  # what was read, by file

_KINDS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_SPOKEN = "h1, h2, h3, h4, h5, h6, p, li, td, dt, dd, figcaption"
_UNSPOKEN = ["script", "style", "template", "nav", "aside", "footer", "form", "pre", "noscript"]


def read_folder(folder: Path, known: Shelf = {}) -> Shelf:  # noqa: B006 (never changed)
    """The documents of all files of READERS in `folder` and below, in the order of their names; what `known` holds of unchanged
    files is not read again. A file that cannot be read is reported and skipped.

    Raises ServiceUnavailable when the folder is missing or nothing in it can be used.
    """
    if not folder.is_dir():
        raise ServiceUnavailable("retrieval", f"the knowledge folder {folder.absolute()} does not exist")
    shelf: dict[Path, tuple[Stamp, Document]] = {}
    for path in sorted(path for path in folder.rglob("*") if readable(path)):
        try:
            facts = path.stat()
            stamp = (facts.st_size, facts.st_mtime_ns)
            before = known.get(path)
            shelf[path] = before if before and before[0] == stamp else (stamp, read(path, folder))
        except Exception as error:  # whatever a parser makes of a broken file
            log.warning("knowledge file %s is skipped: %s", path, error)
            continue
        if not shelf[path][1].sections and before is not shelf[path]:
            log.warning("knowledge file %s is skipped: it holds no text", path)
    if not any(document.sections for _, document in shelf.values()):
        kinds = ", ".join(READERS)
        raise ServiceUnavailable(
            "retrieval", f"the knowledge folder {folder.absolute()} holds no file ({kinds}) with text in it"
        )
    return shelf


def readable(path: Path) -> bool:
    """Whether there is a reader for files of this name."""
    return path.suffix.lower() in READERS


def read(path: Path, folder: Path) -> Document:
    """One file. Raises what its parser raises."""
    name = path.relative_to(folder).with_suffix("").as_posix()
    return compose(READERS[path.suffix.lower()](path), name)


def markdown(path: Path) -> Iterator[Block]:
    """Code and HTML are left out: nobody can speak them. Quoted paragraphs are questions that the section answers."""
    return blocks_of(_markdown_lines(path.read_text(encoding="utf-8-sig")))


def text(path: Path) -> Iterator[Block]:
    """Paragraphs are parted by empty lines; a short one without a full stop is a heading."""
    return blocks_of(_plain_lines(path.read_text(encoding="utf-8-sig"), path.stem))


def html(path: Path) -> Iterator[Block]:
    """The text of headings, paragraphs, lists and tables. The encoding is the one the page names, else UTF-8."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(path.read_bytes())
    title = page.css_first("title")
    page.strip_tags(_UNSPOKEN, recursive=True)
    lines = [(_KINDS.get(node.tag or "", 0), " ".join(node.text().split())) for node in page.css(_SPOKEN) if not _nested(node)]
    if title is not None and not any(level == 1 for level, _ in lines):
        lines.insert(0, (1, title.text().strip()))
    return blocks_of((level, line, False) for level, line in lines if line)


def pdf(path: Path) -> Iterator[Block]:
    """The text of all pages. A word that is divided at the end of a line is put together."""
    from pypdf import PdfReader

    reader = PdfReader(path)
    pages = "\n".join(page.extract_text() for page in reader.pages)
    whole = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", pages)
    return blocks_of(_plain_lines(whole, (reader.metadata and reader.metadata.title) or path.stem))


READERS: dict[str, Callable[[Path], Iterator[Block]]] = {
    ".md": markdown,
    ".txt": text,
    ".html": html,
    ".htm": html,
    ".pdf": pdf,
}


def blocks_of(lines: Iterable[tuple[int, str, bool]]) -> Iterator[Block]:
    """Lines (heading level or 0, text, whether it is quoted) under their headings."""
    levels: list[tuple[int, str]] = []
    body: list[str] = []
    asked: list[str] = []
    for level, line, quoted in lines:
        if level:
            yield [heading for _, heading in levels], body, asked
            levels = [*((above, heading) for above, heading in levels if above < level), (level, line)]
            body, asked = [], []
        else:
            (asked if quoted else body).append(_ended(line))
    yield [heading for _, heading in levels], body, asked


def _markdown_lines(source: str) -> Iterator[tuple[int, str, bool]]:
    tokens = MarkdownIt("commonmark").enable("table").parse(re.sub(r"\A---\n.*?\n---\n", "", source, flags=re.S))
    depth = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        depth += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type == "inline":
            heading = before is not None and before.type == "heading_open"
            yield int(before.tag[1]) if before is not None and heading else 0, _plain(token), depth > 0


def _plain_lines(source: str, title: str) -> Iterator[tuple[int, str, bool]]:
    yield 1, title, False
    for paragraph in re.split(r"\n\s*\n", source):
        line = " ".join(paragraph.split())
        heading = line and len(line.split()) <= HEADING_WORDS and line[-1] not in ".!?…,;" and "\n" not in paragraph.strip()
        if line:
            yield 2 if heading else 0, line.rstrip(":") if heading else line, False


def _nested(node: "LexborNode") -> bool:
    """Whether an outer node of those that are read holds this one: its text is there already."""
    above = node.parent
    while above is not None:
        if above.tag in ("p", "li", "td", "dt", "dd", *_KINDS):
            return True
        above = above.parent
    return False


def _plain(token: Token) -> str:
    """The words of a line without its markup."""
    kinds = {"text": "", "code_inline": "", "softbreak": " ", "hardbreak": " "}
    return "".join(child.content or kinds[child.type] for child in token.children or () if child.type in kinds).strip()


def _ended(line: str) -> str:
    return line if not line or line[-1] in ".!?…:;" else line + "."
