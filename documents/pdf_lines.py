"""The lines of a page of a PDF with the type they are set in, which tells headings from text: a PDF has no other mark for them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pypdf import PageObject

HEADING_WORDS = 10
LARGER = 1.12  # times the size of the text: what is set so large is a heading
EDGE, MOST_PAGES = 2, 3  # lines at each end of a page, and pages on which one of them is a running head
SENTENCE_WORDS = 4  # a line of so many that ends like a sentence is no running head where its numbers differ
MARKED = 0.3  # share of a document's letters that may be bold if bold is to mean something

_BOLD = re.compile(r"bold|black|heavy|semibold|cmbx|demi", re.IGNORECASE)


class Printed(NamedTuple):
    """A line: its text, the size of its letters (points) and whether all of them are bold."""

    text: str
    size: float
    bold: bool


def printed_lines(page: "PageObject") -> Iterator[Printed]:
    """The lines of a page in the order in which they stand in the file."""
    pieces: list[tuple[str, float, bool]] = []

    def visit(text: str, cm: Sequence[float], tm: Sequence[float], font: dict[str, Any] | None, size: float) -> None:
        scale = abs(tm[3] or tm[0]) * abs(cm[3] or cm[0])
        pieces.append((text, round(size * (scale or 1.0), 1), bool(font and _BOLD.search(str(font.get("/BaseFont", ""))))))

    page.extract_text(visitor_text=visit)
    line: list[tuple[str, float, bool]] = []
    for text, size, bold in pieces:
        first, *others = text.split("\n")
        line.append((first, size, bold))
        for other in others:
            yield _joined(line)
            line = [(other, size, bold)]
    yield _joined(line)


def _joined(line: Sequence[tuple[str, float, bool]]) -> Printed:
    full = [(text, size, bold) for text, size, bold in line if text.strip()]
    return Printed(
        "".join(text for text, _, _ in line), max((size for _, size, _ in full), default=0.0), all(b for _, _, b in full)
    )


def parted(lines: Sequence[Printed]) -> tuple[str, str]:
    """The lines as plain text, with an empty line before and behind each heading, and the title that the first of them is ("" for
    none)."""
    letters = Counter[float]()
    for line in lines:
        letters[line.size] += len(line.text.strip())
    body = letters.most_common(1)[0][0] if letters else 0.0
    bold = sum(len(line.text.strip()) for line in lines if line.bold)
    means = bold <= MARKED * letters.total()
    found: list[tuple[bool, str, float]] = []
    for line in lines:
        heads = bool(line.text.strip()) and (line.size > LARGER * body or (line.bold and means)) and _short(line.text)
        if found and heads and found[-1][0] and found[-1][2] == line.size and not found[-1][1].endswith("\n"):
            found[-1] = (True, f"{found[-1][1]} {line.text.strip()}", line.size)
        else:
            found.append((heads, line.text, line.size))
    title = ""
    full = [place for place, (_, text, _) in enumerate(found) if text.strip()]
    if len(full) > 1 and found[full[0]][0] and found[full[1]][0] and found[full[0]][2] > found[full[1]][2]:
        title = found[full[0]][1].strip()
        found = found[full[1] :]
    return "\n".join(f"\n{text.strip()}\n" if heads else text for heads, text, _ in found), title


def without_running(pages: Sequence[Sequence[Printed]]) -> list[Printed]:
    """The lines of all pages without what stands at the top or the bottom of most of them: their running heads and numbers."""
    ends = [[place for place, line in enumerate(page) if line.text.strip()] for page in pages]
    edges = [{*full[:EDGE], *full[-EDGE:]} for full in ends]
    counts = Counter(_plain(page[place].text) for page, edge in zip(pages, edges, strict=True) for place in edge)
    often = max(MOST_PAGES, len(pages) // 2)
    return [
        line
        for page, edge in zip(pages, edges, strict=True)
        for place, line in enumerate(page)
        if place not in edge or counts[_plain(line.text)] < often
    ]


def _plain(text: str) -> str:
    """`text` without its numbers, which count pages; in a sentence they do not."""
    bare = text.strip()
    if bare.endswith((".", "!", "?")) and len(bare.split()) >= SENTENCE_WORDS:
        return bare
    return re.sub(r"\d+", "0", bare)


def _short(text: str) -> bool:
    return len(text.split()) <= HEADING_WORDS and text.strip()[-1] not in ".,;!…"
