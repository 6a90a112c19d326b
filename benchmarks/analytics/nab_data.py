"""Reads a folder of NAB's shape: ``data/<group>/<name>.csv`` and ``labels/combined_windows.json``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from benchmarks.analytics.nab_scorer import Series


class Absent(Exception):
    """The recordings are not there, or not of this shape; says what to do."""


def read(folder: Path) -> list[Series]:
    """All series of the folder by name; their times have no zone and are taken as UTC. Raises Absent."""
    labels, files = folder / "labels" / "combined_windows.json", sorted((folder / "data").glob("*/*.csv"))
    if not labels.is_file() or not files:
        raise Absent(
            f"{folder} is no NAB folder: it needs labels/combined_windows.json and data/<group>/<name>.csv (github.com/numenta/NAB)"
        )
    windows = json.loads(labels.read_text(encoding="utf-8"))
    return [_series(file, f"{file.parent.name}/{file.name}", windows) for file in files]


def _series(file: Path, name: str, windows: dict[str, list[list[str]]]) -> Series:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        stamps = [row["timestamp"].split(".")[0] for row in rows]
        value = np.array([float(row["value"]) for row in rows])
    except (KeyError, ValueError) as exc:
        raise Absent(f"{file}: needs the columns timestamp and value, {exc!r}") from exc
    first_row = {stamp: row for row, stamp in reversed(list(enumerate(stamps)))}
    try:
        spans = tuple((first_row[a.split(".")[0]], first_row[b.split(".")[0]]) for a, b in windows[name])
    except KeyError as exc:
        raise Absent(f"{name}: the labels name {exc}, which is not in {file}") from exc
    t_ns = np.array(stamps, dtype="datetime64[ns]").astype(np.int64)
    return Series(name, t_ns, value, spans)
