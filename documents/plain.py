"""Plain text as lines: paragraphs, headings over them, questions and answers."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from documents.headings import is_short
from documents.markup import markdown_lines
from documents.sections import Line, unwrapped
from languages.base import KnowledgeWords

_RULE = re.compile(r"\A(?:([=~*_#^+.-])\1{2,}|(?:[*_=-][ \t]){2,20}[*_=-])\Z")
_GAPS = re.compile(r"\A[|+]?-{2,200}(?:[ \t|+]{1,40}-{2,200}){1,60}[|+]?\Z")  # under the columns of a table
_COLUMNS = re.compile(r"\S(?: {2,}|\t)\s*\S")
_MARKDOWN = re.compile(r"^#{1,6} \S", re.MULTILINE)
_DIVIDED = re.compile(r"(?<!\w)([^\W\d_]{2,40})[-\u00ad\u2010]\n[ \t]*([a-zß-öø-ÿ][^\W\d_]{0,40})")
_WORDS = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_QUOTED = re.compile(r"^(?:>[ \t]?){1,9}", re.MULTILINE)
_LOUD = 4  # letters of a line in capitals from which it may be a heading


def plain_lines(source: str, title: str, language: KnowledgeWords) -> Iterator[Line]:
    """Paragraphs are parted by empty lines and rules. A heading is underlined, in capitals, or a short line without a full stop
    that stands alone above a paragraph; a question above its answer is one that the text answers."""
    yield Line(1, title)
    if len(_MARKDOWN.findall(source)) > 1:
        yield from markdown_lines(source, language)
        return
    blocks = list(_blocks(_QUOTED.sub("", source)))
    heads = [sure or _is_heading(paragraph) for sure, paragraph in blocks]
    found: list[Line] = []
    for (sure, paragraph), head, below in zip(blocks, heads, [*heads, True][1:], strict=True):
        if sure or (head and not below):
            found.append(Line(2, " ".join(paragraph.split()).rstrip(":")))
        else:
            found += [Line(0, line) for line in unwrapped(paragraph, language)]
    yield from _answered(found)


def _answered(lines: Sequence[Line]) -> Iterator[Line]:
    """A line that is a question, with text below that is none, is one that the text answers."""
    for line, below in pairwise([*lines, Line(1, "")]):
        asks = not line.level and line.text.endswith("?") and not below.level and not below.text.endswith("?")
        yield line._replace(quoted=asks)


def _blocks(source: str) -> Iterator[tuple[bool, str]]:
    """Paragraphs, and (True) what is a heading by how it is set."""
    lines: list[str] = []
    for line in [*source.split("\n"), ""]:
        bare = line.strip()
        if _GAPS.match(bare):
            continue
        if not bare or (_RULE.match(bare) and bare != "..."):
            underlined = bool(bare) and len(lines) == 1 and is_short(lines[0]) and not _COLUMNS.search(lines[0].strip())
            if lines:
                yield from [(True, lines[0])] if underlined else _loud("\n".join(lines))
            lines = []
        else:
            lines.append(line)


def _loud(paragraph: str) -> Iterator[tuple[bool, str]]:
    """A paragraph, parted from a heading in capitals at its top."""
    first, _, rest = paragraph.partition("\n")
    letters = sum(map(str.isalpha, first))
    heads = letters >= _LOUD and first.isupper() and is_short(first) and not any(map(str.isdigit, first))
    if heads and rest and not rest.isupper():
        yield from ((True, first), (False, rest))
    else:
        yield False, paragraph


def _is_heading(paragraph: str) -> bool:
    return "\n" not in paragraph.strip() and is_short(paragraph) and paragraph.strip()[-1] != "?"


def put_together(text: str) -> str:
    """`text` with words that were divided at the end of a line as one. A hyphen stays that the word has anyway: elsewhere in the
    text, or because both its parts are words there."""
    others = frozenset(word.lower() for word in _WORDS.findall(_DIVIDED.sub(" ", text)))

    def whole(found: re.Match[str]) -> str:
        left, right = found[1], found[2]
        hyphened = f"{left}-{right}"
        keeps = hyphened.lower() in others or (left.lower() in others and right.lower() in others)
        return hyphened if keeps and (left + right).lower() not in others else left + right

    return _DIVIDED.sub(whole, text)
