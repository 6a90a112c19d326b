"""Long tag lists from CSV: a header with option names, one line per tag; what Excel writes in Europe is understood."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RANGE = re.compile(r"^\s*\[?\s*([-+\d.eE]+)\s*(?:\.\.|,)\s*([-+\d.eE]+)\s*\]?\s*$")


@dataclass(frozen=True)
class CsvTag:
    """One line: the tag's name, its options as text, and where it stands."""

    name: str
    options: dict[str, Any]
    line: int


class BadCsv(Exception):
    """The file cannot be used at all; `line` is where."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


def read_tags(path: Path) -> list[CsvTag]:
    """Raises BadCsv, OSError. Empty cells are left out, so defaults hold; empty lines are skipped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadCsv(1, "is not UTF-8; save it as 'CSV UTF-8'") from exc
    separator = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    rows = csv.reader(text.splitlines(), delimiter=separator)
    header = [cell.strip() for cell in next(rows, [])]
    if "name" not in header:
        raise BadCsv(1, "the first line must be a header with a column 'name'")
    found = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(header):
            raise BadCsv(rows.line_num, f"has {len(row)} cells, the header has {len(header)} (a comma inside a value needs quotes)")
        cells = {key: _cell(key, cell.strip()) for key, cell in zip(header, row, strict=False) if cell.strip()}
        found.append(CsvTag(str(cells.pop("name", "")), cells, rows.line_num))
    return found


def _cell(key: str, text: str) -> Any:
    if key == "range" and (match := _RANGE.match(text)):
        return [match[1], match[2]]
    return text
