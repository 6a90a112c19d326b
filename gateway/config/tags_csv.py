"""Long tag lists from CSV: a header with option names, one line per tag; what Excel writes in Europe is understood.

Columns that begin with # are for people: `lineside browse` writes what a tag reads now there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.document import CsvLine
from gateway.config.problems import did_you_mean

COMMENT = "#"
"""Columns whose name begins so are for people."""
_RANGE = re.compile(r"^\[?\s*([-+\d.eE]+)\s*(?:\.\.|,|;)\s*([-+\d.eE]+)\s*\]?$")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_COMMA_NUMBER = re.compile(r"^[-+]?\d+,\d+$")


@dataclass(frozen=True)
class CsvTag:
    """One line: the tag's name, its options as text, and where it stands."""

    name: str
    options: dict[str, Any]
    at: CsvLine


@dataclass(frozen=True)
class CsvProblem:
    """A line, or the header, that cannot be used; `cell` is the column's name."""

    at: CsvLine
    message: str
    hint: str = ""
    cell: str = ""


def read_tags(path: Path, raw: bytes, options: Iterable[str]) -> tuple[list[CsvTag], list[CsvProblem]]:
    """The tags of a file with this content, whose columns may be `options`.

    Empty cells are left out, so that defaults hold; empty lines are skipped.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        return [], [CsvProblem(CsvLine(str(path), line), "is not UTF-8", "save it as 'CSV UTF-8'")]
    return _Table(str(path), text, {"name", *options}).read()


class _Table:
    def __init__(self, file: str, text: str, known: set[str]) -> None:
        self._file, self._known = file, known
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._separator = ";" if self._lines[0].count(";") > self._lines[0].count(",") else ","
        self._problems: list[CsvProblem] = []

    def read(self) -> tuple[list[CsvTag], list[CsvProblem]]:
        rows = csv.reader((line + "\n" for line in self._lines), delimiter=self._separator)
        found: list[CsvTag] = []
        try:
            header = [cell.strip() for cell in next(rows)]
            if not self._header_is_usable(header):
                return [], self._problems
            found = [tag for row in rows if any(row) and (tag := self._tag(header, row, rows.line_num))]
        except csv.Error as exc:
            self._note(rows.line_num, str(exc))
        return found, self._problems

    def _header_is_usable(self, header: list[str]) -> bool:
        if "name" not in header:
            self._note(1, "the first line must be a header with a column 'name'", "for example name,at,as,unit")
            return False
        columns = self._columns(1, header, header)
        for i, name in enumerate(header):
            at = CsvLine(self._file, 1, self._lines[0], columns)
            if name.startswith(COMMENT):
                continue
            if name and name not in self._known:
                self._problems.append(CsvProblem(at, f"unknown column {name!r}", did_you_mean(name, self._known), name))
            elif name and name in header[:i]:
                self._problems.append(CsvProblem(at, f"two columns {name!r}", cell=name))
        return True

    def _tag(self, header: list[str], row: list[str], line: int) -> CsvTag | None:
        if not any(cell.strip() for cell in row):
            return None
        if len(row) > len(header):
            self._note(line, f"has {len(row)} cells, the header has {len(header)}", f"a {self._separator} inside a value needs quotes")
            return None
        options = {
            key: self._cell(key, text.strip()) for key, text in zip(header, row, strict=False) if text.strip() and key in self._known
        }
        name = str(options.pop("name", ""))
        return CsvTag(name, options, CsvLine(self._file, line, self._lines[line - 1], self._columns(line, header, row)))

    def _cell(self, key: str, text: str) -> Any:
        if key == "range":
            if self._separator == ";" and ".." in text:
                text = _DECIMAL_COMMA.sub(".", text)
            found = _RANGE.match(text)
            return [found[1], found[2]] if found else text
        if self._separator == ";" and _COMMA_NUMBER.match(text):
            return text.replace(",", ".")
        return text

    def _columns(self, line: int, header: list[str], row: list[str]) -> Mapping[str, int]:
        """Where the cells begin, from 1. A cell with quotes or line breaks inside is looked up as well as it can be."""
        text, start, found = self._lines[line - 1], 0, {}
        for name, cell in zip(header, row, strict=False):
            position = text.find(cell.strip(), start)
            if position >= 0 and cell.strip():
                found[name] = position + 1
                start = position + len(cell.strip())
        return found

    def _note(self, line: int, message: str, hint: str = "") -> None:
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        self._problems.append(CsvProblem(CsvLine(self._file, max(line, 1), text), message, hint))
