"""Headings that are only set in bold type: as people make them who use no styles."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from documents.sections import Line

HEADING_WORDS = 8  # a line that stands alone above a paragraph is a heading up to so many
LEAST = 2  # bold lines above paragraphs in a document, from which they are its headings; a single one may be a warning


class Bold(NamedTuple):
    """A paragraph all of whose letters are bold."""

    text: str


def headed(lines: Iterable[Line | Bold]) -> Iterator[Line]:
    """The lines with what bold ones are: questions that the text below answers, headings, or text as any other."""
    found = list(lines)
    heads = [at for at, line in enumerate(found) if isinstance(line, Bold) and _heads(line.text, found[at + 1 : at + 2])]
    are_headings = frozenset(heads if len(heads) >= LEAST else ())
    level = 1
    for at, line in enumerate(found):
        if not isinstance(line, Bold):
            level = line.level or level
            yield line
        elif at in are_headings:
            yield Line(min(6, level + 1), " ".join(line.text.split()).rstrip(":"))
        else:
            yield Line(0, line.text, quoted=line.text.endswith("?"))


def _heads(text: str, below: Sequence[Line | Bold]) -> bool:
    """Whether a bold line may be a heading: a short one without numbers, above text. What is called so must not need to be said:
    a price or a telephone number is no heading."""
    plain = bool(below) and not isinstance(below[0], Bold) and below[0].level == 0
    return plain and is_short(text) and not any(map(str.isdigit, text)) and text[-1:] != "?"


def is_short(text: str) -> bool:
    """Whether a line is as short as a heading, and no sentence."""
    return 0 < len(text.split()) <= HEADING_WORDS and text.strip()[-1] not in ".!…,;"
