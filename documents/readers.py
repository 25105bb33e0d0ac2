"""A folder of Markdown, plain text, HTML, PDF, Word and CSV files as documents."""

import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from documents.characters import decoded
from documents.markup import html_lines, markdown_lines
from documents.pdf_lines import parted, printed_lines, without_running
from documents.plain import plain_lines, put_together
from documents.sections import Document, Line, compose
from documents.sheets import sheet_lines
from documents.word_boxes import whole
from languages.base import KnowledgeWords

log = logging.getLogger(__name__)

LARGEST = 32_000_000  # bytes of a file, and of what it unpacks to: more than a library of text
MOST_TAGS = 400_000  # of a Word document, which is some 1,000 pages; mammoth takes about 25 us and 500 bytes for each
NAMED = 10  # files that are named in one line of the log

Stamp = tuple[int, ...]  # size, times and place of a file: another one may be another content
Shelf = Mapping[Path, tuple[Stamp, Document]]  # what was read, by file

_OF_NOTION = re.compile(r"[ _-][0-9a-f]{32}\b")  # what its exports put behind the name of a page
_CODE = re.compile(r"^(?:import|export)\b[^\n]*(?:\n[^\n]+)*", re.MULTILINE)  # up to an empty line
_STYLES = "\n".join(
    ["p[style-name='Title'] => h1:fresh"]
    + [f"p[style-name='{name}'] => !" for name in ("TOC Heading", "Contents Heading")]
    + [f"p[style-name='{name} {level}'] => !" for name in ("toc", "Contents") for level in range(1, 10)]
)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w:.-]+)", re.I)


class NoDocuments(Exception):
    """There is no such folder, or nothing in it can be used; the message names it."""


def read_folder(folder: Path, language: KnowledgeWords, known: Shelf = {}) -> Shelf:  # noqa: B006 (never changed)
    """The documents of all files of READERS in `folder` and below, in the order of their names; what `known` holds of unchanged
    files is not read again. A file that cannot be read is reported and skipped; at the first reading those of other kinds are
    named.

    Raises NoDocuments when the folder is missing or nothing in it can be used.
    """
    if not folder.is_dir():
        raise NoDocuments(f"the knowledge folder {folder.absolute()} does not exist")
    paths, others = found_in(folder)
    if others and not known:
        names = ", ".join(path.relative_to(folder).as_posix() for path in others[:NAMED])
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        log.warning("in the knowledge folder %s these are of a kind that is not read: %s%s", folder, names, more)
    shelf: dict[Path, tuple[Stamp, Document]] = {}
    for path in paths:
        before = known.get(path)
        try:
            stamp = stamp_of(path)
            shelf[path] = before if before and before[0] == stamp else (stamp, read(path, folder, language))
        except Exception as error:  # whatever a parser makes of a broken file
            log.warning("knowledge file %s is skipped: %s", path, str(error) or repr(error))
            continue
        if not shelf[path][1].sections and before is not shelf[path]:
            log.warning("knowledge file %s is skipped: it holds no text", path)
    if not any(document.sections for _, document in shelf.values()):
        kinds = ", ".join(READERS)
        raise NoDocuments(f"the knowledge folder {folder.absolute()} holds no file ({kinds}) with text in it")
    return shelf


def found_in(folder: Path, level: int = logging.WARNING) -> tuple[list[Path], list[Path]]:
    """The files in `folder` and below that can be read, and those that cannot, in the order of their names. Links are followed;
    each file and folder counts once, whatever leads to it. What begins with a dot is hidden: so are the folders of a mounted
    ConfigMap, whose links are not. What cannot be looked at is logged at this `level`."""
    paths: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for above, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not _hidden(name) and _is_new(Path(above, name), seen, level))
        visible = [Path(above, name) for name in files if not _hidden(name)]
        # The file itself comes before links to it.
        paths += [path for path in sorted(visible, key=lambda path: (path.is_symlink(), path)) if _is_new(path, seen, level)]
    paths.sort()
    return [path for path in paths if has_reader(path)], [path for path in paths if not has_reader(path)]


def _hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name in ("Thumbs.db", "desktop.ini")  # Word's mark of an open file, and Windows' own


def _is_new(path: Path, seen: set[tuple[int, int]], level: int) -> bool:
    try:
        facts = path.stat()
    except OSError as error:
        log.log(level, "knowledge file %s is skipped: %s", path, error)
        return False
    identity = facts.st_dev, facts.st_ino
    if identity in seen:
        return False
    seen.add(identity)
    return True


def stamp_of(path: Path) -> Stamp:
    """What changes with the content of a file. Its size and the time that it carries may both stay: two releases all of whose times
    are set alike take each other's place, and a price has changed."""
    facts = path.stat()
    return (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def state_of(folder: Path) -> frozenset[tuple[Path, Stamp]]:
    """What tells whether any file of a folder has changed, without reading them."""
    state = set[tuple[Path, Stamp]]()
    for path in found_in(folder, logging.DEBUG)[0]:
        with suppress(OSError):  # it has gone meanwhile
            state.add((path, stamp_of(path)))
    return frozenset(state)


def has_reader(path: Path) -> bool:
    """Whether there is a reader for files of this name."""
    return path.suffix.lower() in READERS


def read(path: Path, folder: Path, language: KnowledgeWords) -> Document:
    """One file. Raises what its parser raises, and ValueError for one that is too large."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has more than {LARGEST // 1_000_000} MB")
    name = _OF_NOTION.sub("", path.relative_to(folder).with_suffix("").as_posix())
    return compose(READERS[path.suffix.lower()](path, language), name, language)


def markdown(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The lines of a Markdown file."""
    return markdown_lines(decoded(path.read_bytes()), language)


def components(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The lines of Markdown with components: without its imports and exports."""
    return markdown_lines(_CODE.sub("", decoded(path.read_bytes())), language)


def text(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The lines of a plain text."""
    return plain_lines(put_together(decoded(path.read_bytes())), path.stem, language)


def html(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The lines of a web page."""
    data = path.read_bytes()
    named = _CHARSET.search(data[:4096])
    charset = named[1].decode().lower() if named else ""
    if charset in ("iso-8859-1", "latin1", "us-ascii", "ascii"):
        charset = "cp1252"  # as browsers take it (https://encoding.spec.whatwg.org/#names-and-labels)
    return html_lines(decoded(data, "" if charset.startswith("utf-16") else charset), language)


def pdf(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The text of all pages; lines that are set larger or bolder than the rest are headings. A word that is divided at the end of a
    line is put together."""
    from pypdf import PdfReader

    reader = PdfReader(path)
    whole, first = parted(without_running([list(printed_lines(page)) for page in reader.pages]))
    return plain_lines(put_together(whole), (reader.metadata and reader.metadata.title) or first or path.stem, language)


def word(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """The lines of a Word document. Raises ValueError for one that unpacks to too much."""
    from mammoth import convert_to_html
    from mammoth.images import img_element

    _measure(path)
    with whole(path) as file:
        page = convert_to_html(file, style_map=_STYLES, convert_image=img_element(lambda image: {"src": ""}))
    yield from html_lines(page.value, language)


def _measure(path: Path) -> None:
    """A few KB may unpack to GB, whatever sizes the archive declares. Raises ValueError for one that unpacks to too much."""
    size = tags = 0
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            with archive.open(part) as file:
                while piece := file.read(65_536):
                    size += len(piece)
                    tags += piece.count(b"<")
                    if size > LARGEST:
                        raise ValueError(f"it unpacks to more than {LARGEST // 1_000_000} MB")
                    if tags > MOST_TAGS:
                        raise ValueError(f"it has more than {MOST_TAGS:,} tags: part it into several documents")


def sheet(path: Path, language: KnowledgeWords) -> Iterator[Line]:
    """A table, row by row."""
    return sheet_lines(decoded(path.read_bytes()), path.stem, path.suffix.lower() == ".tsv")


READERS: dict[str, Callable[[Path, KnowledgeWords], Iterator[Line]]] = {
    ".md": markdown,
    ".markdown": markdown,
    ".mdx": components,
    ".txt": text,
    ".html": html,
    ".htm": html,
    ".xhtml": html,
    ".pdf": pdf,
    ".docx": word,
    ".csv": sheet,
    ".tsv": sheet,
}
