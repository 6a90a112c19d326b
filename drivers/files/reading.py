"""One file, row by row, in portions: it may be larger than the memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from drivers.files.config import FilesOptions, Form
from drivers.rows.documents import document_rows, line_rows
from drivers.rows.places import steps
from drivers.rows.row import Refused, Row, Unreadable
from drivers.rows.table import table_rows

MOST_JSON_BYTES = 64_000_000
MOST_LINE_CHARACTERS = 1_000_000


class OpenFile:
    """Raises OSError when it cannot be opened."""

    def __init__(self, path: Path, form: Form, options: FilesOptions, needed: list[str]) -> None:
        with path.open("rb") as file:
            self._encoding = encoding_of(file.read(3), options.encoding)
        self._file = path.open(encoding=self._encoding or "utf-8", newline="" if form == "csv" else None)
        self._line = 0
        self._rows = self._read(form, options, needed)

    def take(self, most: int) -> tuple[list[Row | Refused], Unreadable | None]:
        """The next rows, none at the end; and why there are no more of them, if that is not the end."""
        rows: list[Row | Refused] = []
        try:
            for row in islice(self._rows, most):
                rows.append(row)  # noqa: PERF402  what came before the fault counts
        except Unreadable as exc:
            return rows, exc
        except UnicodeDecodeError as exc:
            why = f"byte {exc.object[exc.start]:#x} is not {self._encoding.removesuffix('-sig')}; say encoding: cp1252 or what it is"
            return rows, Unreadable(f"after line {self._line}" if self._line else "", why)
        return rows, None

    def close(self) -> None:
        self._file.close()

    def _read(self, form: Form, options: FilesOptions, needed: list[str]) -> Iterator[Row | Refused]:
        if not self._encoding:
            it_is = "is not UTF-16; leave out encoding, or say" if options.encoding == "utf-16" else "is UTF-16; say encoding: utf-16, or"
            raise Unreadable("", f"by its first bytes it {it_is} what it is")
        if form == "csv":
            yield from table_rows(self._lines(self._file), options.delimiter, needed)
        elif form == "ndjson":
            yield from line_rows(line.encode() for line in self._lines(self._file))
        else:
            text = self._file.read(MOST_JSON_BYTES + 1)
            if len(text) > MOST_JSON_BYTES:
                raise Unreadable("", f"more than {MOST_JSON_BYTES // 1_000_000} MB; a JSON document is read whole, write NDJSON")
            yield from document_rows(text.encode(), steps(options.rows) if options.rows else ())

    def _lines(self, file: IO[str]) -> Iterator[str]:
        while line := file.readline(MOST_LINE_CHARACTERS):
            self._line += 1
            if len(line) == MOST_LINE_CHARACTERS:
                raise Unreadable(f"line {self._line}", f"longer than {MOST_LINE_CHARACTERS} characters")
            yield line


def encoding_of(head: bytes, said: str) -> str:
    """How to read a file that begins with these bytes: a BOM knows better than the configuration. Empty: not as that says.

    >>> encoding_of(b"at;", "utf-8"), encoding_of(b"\\xff\\xfea", "cp1252"), encoding_of(b"a\\0t", "utf-16"), encoding_of(b"a\\0t", "utf-8")
    ('utf-8', 'utf-16', 'utf-16-le', '')
    """
    for bom, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if head.startswith(bom):
            return encoding
    wide = {(False, True): "utf-16-le", (True, False): "utf-16-be"}.get((head[:1] == b"\0", head[1:2] == b"\0"), "")
    if said == "utf-16":
        return wide if head else said
    return "" if wide else said
