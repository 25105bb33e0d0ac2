"""Markdown and HTML as lines that can be spoken: without code, navigation and scripts, tables row by row."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token

from documents.dialects import common, parted
from documents.headings import Bold, headed
from documents.sections import Line, looks_headed, table, unwrapped
from languages.base import KnowledgeWords

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_LEVELS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_UNSPOKEN = (
    "script style template nav aside footer pre noscript svg head select textarea video audio canvas object iframe noframes s del "
    "strike"
).split()
_INLINE = frozenset(  # elements that go on in the same line; every other one begins a line of its own
    (
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small span strike "
        "strong sub sup time tt u var wbr img input link meta"
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
_ROLES = frozenset("navigation menubar menu search".split())
_STRONG = frozenset(("b", "strong"))
_NOTE_MARK = re.compile(r"\[[^\]\n]{1,30}\]|[\^↑↩⤴]\ufe0e?|[*†‡]")  # that leads to a footnote, or back
_ANCHOR = re.compile(r"[#¶§🔗]?")  # a link beside a heading, to itself
_POWERS = {"2": "²", "3": "³"}
_WELDED = re.compile(r"[^\W\d_]{3}\Z")  # a word, to which a number would be put that is only set apart by its style
_PARAGRAPHS = 3  # in a form from which on it is a page, as ASP.NET makes them
_IN_MARKDOWN = tuple(name for name in _UNSPOKEN if name != "aside")  # Notion's boxes


def markdown_lines(source: str, language: KnowledgeWords) -> Iterator[Line]:
    """Code is left out: nobody can speak it. The title of a front matter is the heading of the whole where there is no other."""
    title, source = parted(source)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(common(source))
    if title and not any(token.type == "heading_open" and token.tag == "h1" for token in tokens):
        yield Line(1, title)
    yield from headed(_markdown_lines(tokens, language))


def _markdown_lines(tokens: Sequence[Token], language: KnowledgeWords) -> Iterator[Line | Bold]:
    quotes = 0
    cells: list[list[str]] | None = None  # of the table that is being read
    for before, token in zip([None, *tokens], tokens, strict=False):
        quotes += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type == "html_block":
            yield from html_lines(token.content, language, _IN_MARKDOWN)
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
            yield from _paragraph(token, quotes > 0, language)


def _paragraph(token: Token, quoted: bool, language: KnowledgeWords) -> Iterator[Line | Bold]:
    text = _plain(token)
    if not quoted and _all_strong(token) and "\n" not in text:
        yield Bold(text)
        return
    # How wide a line is that was wrapped is seen where it was written, with its links.
    yield from (Line(0, line, quoted) for line in unwrapped(text, language, token.content.split("\n")))


def _all_strong(token: Token) -> bool:
    """Whether all of a paragraph is one run of strong letters."""
    inner = [child.type for child in token.children or () if child.type != "text" or child.content.strip()]
    return inner[:1] == ["strong_open"] and inner[-1:] == ["strong_close"] and inner.count("strong_open") == 1


def _plain(token: Token) -> str:
    """The words of a line without its markup and what is struck out; a line end where one is written."""
    kinds = {"text": "", "code_inline": "", "softbreak": "\n", "hardbreak": "\n", "html_inline": "\n"}
    words, struck = list[str](), 0
    for child in token.children or ():
        struck += (child.type == "s_open") - (child.type == "s_close")
        if struck or child.type not in kinds:
            continue
        if child.type in ("text", "code_inline"):
            words.append(child.content)
        elif child.type != "html_inline" or _BREAK.fullmatch(child.content):
            words.append(kinds[child.type])
    return "".join(words).strip()


def html_lines(source: str, language: KnowledgeWords, unspoken: Sequence[str] = _UNSPOKEN) -> Iterator[Line]:
    """The text of a page. Its title is the heading of the whole where there is no `h1`.

    Raises ValueError where it nests too deep.
    """
    from selectolax.lexbor import LexborHTMLParser

    _measure(source)
    page = LexborHTMLParser(source)
    title = page.css_first("head title")
    title_text = " ".join(title.text().split()) if title is not None else ""
    page.strip_tags(list(unspoken), recursive=True)
    if page.body is None:
        return
    lines = _Lines(language)
    lines.read(page.body)
    lines.end()
    found = list(headed(lines.found))
    if title_text and not any(line.level == 1 for line in found):
        yield Line(1, title_text)
    yield from found


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
        self.found: list[Line | Bold] = []
        self._words: list[str] = []
        self._term = ""  # of a definition list, until its definition comes
        self._defined = ""  # the last that had one, which may have another
        self._strong = 0  # elements around that are bold
        self._plain = False  # some word of the line is not
        self._edge = False  # of an element within the line

    def read(self, node: "LexborNode", heads: bool = False) -> None:
        """`heads`: within a heading, where all is one line."""
        for child in node.iter(include_text=True):
            tag = child.tag or ""
            if tag == "-text":
                self._add(child.text(deep=False))
            elif tag == "br":
                self._words.append(" " if heads else "\n")
            elif tag.startswith(("-", "_", "!")) or _left_out(child, heads):
                continue
            elif tag == "sup" and child.text().strip() in _POWERS:
                self._add(_POWERS[child.text().strip()])
            elif heads or tag in _INLINE or ":" in tag:  # of Word: <o:p>
                self._strong += tag in _STRONG
                self._edge = tag not in ("sub", "sup")
                self.read(child, heads)
                self._edge = tag not in ("sub", "sup")
                self._strong -= tag in _STRONG
            else:
                self._block(child)

    def _add(self, text: str) -> None:
        text = re.sub(r"\s+", " ", text)
        welded = self._edge and self._words and _WELDED.search(self._words[-1]) and text[:1] in tuple("0123456789€$£")
        self._words.append(f" {text}" if welded else text)
        self._plain = self._plain or (not self._strong and bool(text.strip()))
        self._edge = False

    def _block(self, node: "LexborNode") -> None:
        self.end()
        if node.tag != "table" or not self._table(node):
            self.read(node, node.tag in _LEVELS)
        self.end(node.tag or "")
        self._defined = "" if node.tag in ("dl", "dt") else self._defined

    def end(self, tag: str = "") -> None:
        """The line of an element `tag` ends here."""
        text, self._words = "".join(self._words), []
        bold, self._plain = not self._plain, False
        for line in [" ".join(text.split())] if tag in _LEVELS else unwrapped(text, self._language):
            if tag in _LEVELS:
                self.found.append(Line(_LEVELS[tag], line))
            elif tag in ("dt", "summary", "button") and not line.endswith("?"):
                self._term = ", ".join(filter(None, (self._term, line.rstrip(":"))))
            elif tag in ("dt", "summary", "button"):
                self.found.append(Line(0, line, quoted=True))
            elif bold and tag in ("p", "div", "center") and line == text.strip() and not self._term:
                self.found.append(Bold(line))
            else:
                term = self._term or (self._defined if tag == "dd" else "")
                self.found.append(Line(0, f"{term}: {line}" if term else line))
                self._term, self._defined = "", term if tag == "dd" else self._defined

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


def _left_out(node: "LexborNode", heads: bool) -> bool:
    """Whether an element is no text: a mark of a footnote, a link to a heading itself, what is there to be clicked."""
    tag, attributes = node.tag, node.attributes
    if attributes.get("role") in _ROLES or "editsection" in (attributes.get("class") or ""):
        return True
    if tag in ("sup", "a"):
        text = node.text().strip()
        inside = (attributes.get("href") or "").startswith("#") or node.css_first("a[href^='#']") is not None
        return (
            (heads and tag == "a" and _ANCHOR.fullmatch(text) is not None)
            or (_NOTE_MARK.fullmatch(text) is not None and (inside or tag == "sup"))
            or (tag == "sup" and inside)
        )
    if tag == "form":
        return node.css_first("h1, h2, h3, table") is None and len(node.css("p")) < _PARAGRAPHS
    if tag == "button":
        return not heads and "aria-expanded" not in attributes and not node.text().strip().endswith("?")
    return tag == "dialog" and "open" not in attributes


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
