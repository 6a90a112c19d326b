"""CSV as spreadsheets and MES write it, row by row. Pure."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from drivers.rows.row import Refused, Row, Unreadable

_SIGNS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
MOST_COLUMNS = 2_000
_SPARE = 5  # a preamble is not looked for beyond so many empty lines


def table_rows(lines: Iterable[str], delimiter: str = "auto", needed: Sequence[str] = ()) -> Iterator[Row | Refused]:
    """One row per line below the header, as texts by column; empty lines are left out, a line of another width is refused.

    needed   columns that must be in the header
    raises Unreadable   no header, a column is missing or twice, or quotes that do not end
    """
    source = iter(lines)
    first, skipped = _first(source)
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own way to say it
        sign = first.strip()[-1]
        first, more = _first(source)
        skipped += 1 + more
    else:
        sign = _sign(first, delimiter)
    reader = csv.reader(chain([first], source), delimiter=sign, strict=True, skipinitialspace=True)
    at = 0
    try:
        header = [name.strip() for name in next(reader)]
        _check(header, needed)
        width, used = len(header), max((at for at, name in enumerate(header, start=1) if name), default=0)
        for cells in reader:
            at, begin = reader.line_num, at or 1
            row = _row(cells, header, width, used, f"line {begin + 1 + skipped}")
            if row is not None:
                yield row
    except csv.Error as exc:
        raise Unreadable(f"line {reader.line_num + skipped}", f"no CSV: {exc}") from exc


def _first(source: Iterator[str]) -> tuple[str, int]:
    """The first line that is not empty, and how many were before it."""
    for number, line in enumerate(source):
        if line.strip(" \t\r\n;,"):
            return line, number
        if number >= _SPARE:
            break
    raise Unreadable("line 1", "is empty; the first line must name the columns")


def _sign(header: str, delimiter: str) -> str:
    """
    >>> _sign('"a;b",c,d', "auto"), _sign("a", "auto"), _sign("a|b", "tab")
    (',', ',', '\\t')
    """
    if delimiter != "auto":
        return _SIGNS[delimiter]
    bare = "".join(header.split('"')[::2])
    return max(_SIGNS.values(), key=bare.count)


def _check(header: Sequence[str], needed: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise Unreadable("line 1", f"more than {MOST_COLUMNS:,} columns")
    named = [name for name in header if name]
    if any("\0" in name for name in named):
        raise Unreadable("line 1", "there are NUL bytes in it, as in a text that is UTF-16 and read as another")
    if twice := next((name for name, times in Counter(named).items() if times > 1), None):
        raise Unreadable("line 1", f"two columns are named {twice!r}")
    if missing := next((name for name in needed if name not in named), None):
        raise Unreadable("line 1", f"no column {missing!r}; there are {', '.join(named)}")


def _row(cells: list[str], header: Sequence[str], width: int, used: int, where: str) -> Row | Refused | None:
    """`used`: columns up to the last one that has a name."""
    if not any(cell.strip() for cell in cells):
        return None
    if "\0" in "".join(cells):
        return Refused(where, "NUL bytes instead of text, as a writer leaves them whose power failed")
    while len(cells) > width and not cells[-1].strip():  # a sign at the end of the line
        cells.pop()
    if len(cells) != width:
        if used <= len(cells) < width:
            return Row(where, {name: cell for name, cell in zip(header, cells, strict=False) if name})
        return Refused(where, f"{len(cells)} cells, the header has {width}")
    return Row(where, {name: cell for name, cell in zip(header, cells, strict=True) if name})
