"""Tables in files of comma separated values, as spreadsheets and databases write them."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from documents.sections import Line, looks_headed, table

LONGEST_CELL = 32_000_000  # characters: as many as a file may have
LOOKED_AT = 200  # rows that tell by what the cells are parted
_PARTED_BY = ",;\t|"  # the first of those that fit equally well
_SAID = re.compile(r"\A\"?sep=(.)\"?\n", re.IGNORECASE)  # as Excel writes it
_YEAR = re.compile(r"(?:19|20)\d\d")


def sheet_lines(source: str, title: str, tabs: bool = False) -> Iterator[Line]:
    """A table, row by row; `tabs`: its name says what parts its cells."""
    csv.field_size_limit(LONGEST_CELL)
    said = _SAID.match(source)
    source = source[said.end() :] if said else source
    rows = _rows(source, said[1] if said else _parted_by(source, "\t" + _PARTED_BY if tabs else _PARTED_BY))
    filled = sorted({at for row in rows for at, cell in enumerate(row) if cell})
    rows = [[row[at] if at < len(row) else "" for at in filled] for row in rows if any(row)]
    while len(rows) > 2 and len(filled) > 1 and _count(rows[0]) == 1 < _count(rows[1]) and rows[0][0]:
        title = rows.pop(0)[0].lstrip("# ")  # a title above the table
    yield Line(1, title)
    if _two_heads(rows):
        rows = [_joined(rows[0], rows[1]), *rows[2:]]
        yield from table(rows, True)
    else:
        yield from table(rows, looks_headed(rows) or _heads_with_years(rows))


def _rows(source: str, parted_by: str) -> list[list[str]]:
    reader = csv.reader(source.splitlines(keepends=True), delimiter=parted_by, skipinitialspace=parted_by != "\t")
    return [[" ".join(cell.split()) for cell in row] for row in reader]


def _parted_by(source: str, candidates: str) -> str:
    """What most rows have equally often, and more than once."""
    best, fits = candidates[0], 0.0
    for one in candidates:
        reader = csv.reader(source.splitlines(keepends=True), delimiter=one, skipinitialspace=one != "\t")
        sizes = [len(row) for row, _ in zip(reader, range(LOOKED_AT), strict=False) if any(cell.strip() for cell in row)]
        size, count = max(Counter(size for size in sizes if size > 1).items(), key=lambda pair: pair[1], default=(0, 0))
        fit = count / max(1, len(sizes))
        if size and fit > fits + 0.05:
            best, fits = one, fit
    return best


def _count(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _two_heads(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the columns are named in two rows without numbers, of which one leaves out the name of the first column."""
    if len(rows) < 3 or _numbers(rows[0]) or _numbers(rows[1]) or not any(map(_numbers, rows[2:])):
        return False
    return not rows[0][0] or not rows[1][0]


def _joined(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """Both names of each column; that of a group stands over its first column alone."""
    names, group = list[str](), ""
    for above, below in zip_longest(upper, lower, fillvalue=""):
        group = above or (group if below else "")
        names.append(" ".join(filter(None, (group, below))))
    return names


def _numbers(row: Sequence[str]) -> bool:
    return any(any(map(str.isdigit, cell)) for cell in row)


def _heads_with_years(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns by years, of which no other row has any."""
    if len(rows) < 2 or len(rows[0]) < 2 or not all(rows[0]) or _numbers(rows[0][:1]):
        return False
    years = [at for at, cell in enumerate(rows[0]) if _YEAR.fullmatch(cell)]
    others = all(at in years or not _numbers([cell]) for at, cell in enumerate(rows[0]))
    return bool(years) and others and not any(_YEAR.fullmatch(row[at]) for row in rows[1:] for at in years if at < len(row))
