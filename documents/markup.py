"""Markdown and HTML as lines that can be spoken: without code, navigation and scripts, tables row by row."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token

from documents.sections import Line, looks_headed, table, unwrapped
from languages.base import KnowledgeWords

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_LEVELS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_UNSPOKEN = ["script", "style", "template", "nav", "aside", "footer", "form", "pre", "noscript", "svg", "head"]
_INLINE = frozenset(  # elements that go on in the same line; every other one begins a line of its own
    (
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small span strike "
        "strong sub sup time tt u var wbr"
    ).split()
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # elements without an end
_ENDED = frozenset(
    "p li dt dd tr td th thead tbody tfoot colgroup option optgroup rp rt".split()
)  # by the next one of their kind
DEEPEST = 10_000  # elements in each other: the parser's time grows with the square of them, and takes 0.1 to 0.7 s for so many
WIDEST, TALLEST = 20, 200  # columns and rows that one cell may span
_NEAR = 20  # elements that were left open by mistake and are ended with the one around them
_TAG = re.compile(r"<(/?)([a-z][^\s/>]*)", re.I)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_CALLOUT = re.compile(r"^\[![\w-]+\][+-]?\s*")  # of GitHub and Obsidian


def markdown_lines(source: str, language: KnowledgeWords) -> Iterator[Line]:
    """Code is left out: nobody can speak it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(re.sub(r"\A---\r?\n.*?\n---\r?\n", "", source, flags=re.S))
    quotes = 0
    cells: list[list[str]] | None = None  # of the table that is being read
    for before, token in zip([None, *tokens], tokens, strict=False):
        quotes += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type == "html_block":
            yield from html_lines(token.content, language)
        elif token.type == "table_open":
            cells = []
        elif token.type == "tr_open" and cells is not None:
            cells.append([])
        elif token.type == "table_close" and cells is not None:
            yield from table(cells, headed=True)
            cells = None
        elif token.type == "inline" and cells is not None:
            cells[-1].append(" ".join(_plain(token).split()))
        elif token.type == "inline" and before is not None and before.type == "heading_open":
            yield Line(int(before.tag[1]), " ".join(_plain(token).split()))
        elif token.type == "inline":
            text = _CALLOUT.sub("", _plain(token)) if quotes else _plain(token)
            yield from (Line(0, line, quotes > 0) for line in unwrapped(text, language))


def _plain(token: Token) -> str:
    """The words of a line without its markup; a line end where one is meant."""
    kinds = {"text": "", "code_inline": "", "softbreak": " ", "hardbreak": "\n", "html_inline": "\n"}
    return "".join(
        child.content if child.type in ("text", "code_inline") else kinds[child.type]
        for child in token.children or ()
        if child.type in kinds and (child.type != "html_inline" or _BREAK.fullmatch(child.content))
    ).strip()


def html_lines(source: str, language: KnowledgeWords) -> Iterator[Line]:
    """The text of a page. Its title is the heading of the whole where there is no `h1`.

    Raises ValueError where it nests too deep.
    """
    from selectolax.lexbor import LexborHTMLParser

    _measure(source)
    page = LexborHTMLParser(source)
    title = page.css_first("head title")
    title_text = " ".join(title.text().split()) if title is not None else ""
    page.strip_tags(_UNSPOKEN, recursive=True)
    if page.body is None:
        return
    lines = _Lines(language)
    lines.read(page.body)
    lines.end()
    if title_text and not any(line.level == 1 for line in lines.found):
        yield Line(1, title_text)
    yield from lines.found


def _measure(source: str) -> None:
    """Follows the elements that are open, in a time that grows with the text. Rather too many count as open than too few. Raises
    ValueError where they nest too deep."""
    unnested = _VOID if re.search(r"<(svg|math)", source, re.I) else _VOID | _ENDED  # in a drawing all nest
    open_: list[str] = []
    for tag in _TAG.finditer(source):
        name = tag[2].lower()
        if name in unnested:
            continue
        if not tag[1]:
            open_.append(name)
            if len(open_) > DEEPEST:
                raise ValueError(f"more than {DEEPEST:,} elements are nested in each other")
            continue
        for place in range(len(open_) - 1, max(-1, len(open_) - 1 - _NEAR), -1):
            if open_[place] == name:
                del open_[place:]
                break
            if name in _INLINE and open_[place] not in _INLINE:
                break  # the end of a word's markup ends no paragraph


class _Lines:
    """What was read of a page so far: `found` whole lines, and the words of the one that is being read."""

    def __init__(self, language: KnowledgeWords) -> None:
        self._language = language
        self.found: list[Line] = []
        self._words: list[str] = []
        self._term = ""  # of a definition list, until its definition comes

    def read(self, node: "LexborNode") -> None:
        for child in node.iter(include_text=True):
            if child.tag == "-text":
                self._words.append(re.sub(r"\s+", " ", child.text(deep=False)))
            elif child.tag == "br":
                self._words.append("\n")
            elif child.tag in _INLINE:
                self.read(child)
            else:
                self._block(child)

    def _block(self, node: "LexborNode") -> None:
        self.end()
        if node.tag != "table" or not self._table(node):
            self.read(node)
        self.end(node.tag or "")

    def end(self, tag: str = "") -> None:
        """The line of an element `tag` ends here."""
        text, self._words = "".join(self._words), []
        for line in [" ".join(text.split())] if tag in _LEVELS else unwrapped(text, self._language):
            if tag in _LEVELS:
                self.found.append(Line(_LEVELS[tag], line))
            elif tag in ("dt", "summary") and not line.endswith("?"):
                self._term = line.rstrip(":")
            elif tag in ("dt", "summary"):
                self.found.append(Line(0, line, quoted=True))
            else:
                self.found.append(Line(0, f"{self._term}: {line}" if self._term else line))
                self._term = ""

    def _table(self, node: "LexborNode") -> bool:
        """Reads a table row by row, and tells whether it is one: others only arrange a page."""
        rows = [
            [cell for cell in row.iter() if cell.tag in ("td", "th")] for row in node.css("tr") if _table_of(row) == node.mem_id
        ]
        if max(map(len, rows), default=0) < 2 or node.css_first("table table, h1, h2, h3, h4, h5, h6") is not None:
            return False
        texts = list(_columns(rows, self._language))
        named = all(cell.tag == "th" for cell in rows[0])
        for caption in node.css("caption"):
            self.found.extend(Line(0, line) for line in unwrapped(_text(caption, self._language), self._language))
        self.found.extend(table(texts, named or looks_headed(texts, numbers_below=True)))
        return True


def _table_of(row: "LexborNode") -> int:
    above = row.parent
    while above is not None and above.tag != "table":
        above = above.parent
    return above.mem_id if above is not None else 0


def _columns(rows: list[list["LexborNode"]], language: KnowledgeWords) -> Iterator[list[str]]:
    """The words of each row's cells, by column. A cell that spans rows is in all of them, and so is a heading that spans columns;
    another cell that does is in the first."""
    spanning: dict[int, tuple[int, str]] = {}  # by column: rows that a cell from above still spans, and its words
    for row in rows:
        words: list[str] = []
        left = {at: (tall - 1, text) for at, (tall, text) in spanning.items() if tall > 1}
        for cell in row:
            while len(words) in spanning:
                words.append(spanning[len(words)][1])
            text, tall = _text(cell, language), _span(cell, "rowspan", TALLEST)
            for number in range(_span(cell, "colspan", WIDEST)):
                words.append(text if number == 0 or cell.tag == "th" else "")
                if tall > 1:
                    left[len(words) - 1] = (tall - 1, words[-1])
        while len(words) in spanning:
            words.append(spanning[len(words)][1])
        spanning = left
        yield words


def _span(cell: "LexborNode", name: str, most: int) -> int:
    written = (cell.attributes.get(name) or "1").strip()
    return min(max(int(written), 1), most) if re.fullmatch(r"\d{1,6}", written, re.ASCII) else 1


def _text(node: "LexborNode", language: KnowledgeWords) -> str:
    """The words of a cell, with a space between what stands in lines of its own."""
    inner = _Lines(language)
    inner.read(node)
    inner.end()
    return " ".join(line.text for line in inner.found)
