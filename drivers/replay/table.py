"""CSV recordings, long (one reading a line) and wide (one moment a line), read in portions."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, tzinfo
from math import nan
from pathlib import Path
from typing import Protocol

from drivers.replay.cells import to_ns, to_reading
from drivers.replay.recording import Piece, Rows, column, piece
from gateway.contract import Batch, ConfigError, Quality, Tag

LINES = 2_000  # per portion: some milliseconds of parsing
_BAD_LINE = (nan, int(Quality.BAD_FORMAT))


class CsvRecording:
    """Opens the file and reads its header; a line that is not as the header says is bad, never an exception.

    raises OSError       it cannot be opened
    raises ConfigError   its header does not fit the tags
    """

    def __init__(self, path: Path, time: str, tags: Sequence[Tag], zone: tzinfo = UTC) -> None:
        self._file = path.open(encoding="utf-8-sig", errors="replace", newline="")
        self._lines = csv.reader(self._file)
        try:
            header = [name.strip() for name in next(self._lines, [])]
            self._format = _format(header, time, tags, zone)
        except (csv.Error, ConfigError) as exc:
            self._file.close()
            raise ConfigError(f"{path}: {exc}") from exc

    def take(self) -> Piece | None:
        """May be without readings, where a portion has none of ours."""
        rows, ended = Rows(), False
        for _ in range(LINES):
            try:
                line = next(self._lines)
            except StopIteration:
                ended = True
                break
            except csv.Error:  # for example a field of a megabyte
                rows.lost += 1
                continue
            if line:
                self._format.read(line, rows)
        if ended and not rows.tag and not rows.lost:
            return None
        return piece(Batch.of(rows.tag, rows.t_ns, rows.value, rows.quality), rows.lost)

    def close(self) -> None:
        self._file.close()


class _Format(Protocol):
    def read(self, line: list[str], rows: Rows) -> None:
        """Append the readings of a line that is not empty."""


def _format(header: list[str], time: str, tags: Sequence[Tag], zone: tzinfo) -> _Format:
    if any("\0" in name for name in header):
        raise ConfigError("is not UTF-8 but UTF-16; save it as 'CSV UTF-8'")
    if time not in header:
        raise ConfigError(f"no column {time!r} with the time; there are {', '.join(header) or 'none'}")
    if len(set(header)) < len(header):
        raise ConfigError("two columns have one name")
    if {"tag", "value"} <= set(header):
        return _Long(header, time, tags, zone)
    missing = [tag for tag in tags if column(tag) not in header]
    if missing:
        raise ConfigError(f"no column {column(missing[0])!r} for {missing[0].path}; there are {', '.join(header)}")
    return _Wide(header, time, tags, zone)


class _Long:
    """``time,tag,value[,quality]``; tags nobody configured are left out."""

    def __init__(self, header: list[str], time: str, tags: Sequence[Tag], zone: tzinfo) -> None:
        self._width, self._zone = len(header), zone
        self._time, self._tag, self._value = header.index(time), header.index("tag"), header.index("value")
        self._quality = header.index("quality") if "quality" in header else None
        self._indices: dict[str, list[int]] = {}
        for tag in tags:
            self._indices.setdefault(column(tag), []).append(tag.index)

    def read(self, line: list[str], rows: Rows) -> None:
        whole = len(line) == self._width
        t_ns = to_ns(line[self._time], self._zone) if len(line) > self._time else None
        indices = self._indices.get(line[self._tag].strip(), ()) if len(line) > self._tag else None
        if t_ns is None or indices is None:
            rows.lost += 1
            return
        quality = line[self._quality] if whole and self._quality is not None else ""
        reading = to_reading(line[self._value], quality) if whole else _BAD_LINE
        if reading is not None:
            for index in indices:
                rows.add(index, t_ns, reading)


class _Wide:
    """``time,<column>,<column>...``; an empty cell is no reading."""

    def __init__(self, header: list[str], time: str, tags: Sequence[Tag], zone: tzinfo) -> None:
        self._zone = zone
        self._width, self._time = len(header), header.index(time)
        self._tags = [(header.index(column(tag)), tag.index) for tag in tags]

    def read(self, line: list[str], rows: Rows) -> None:
        whole = len(line) == self._width
        t_ns = to_ns(line[self._time], self._zone) if len(line) > self._time else None
        if t_ns is None:
            rows.lost += 1
            return
        for position, index in self._tags:
            reading = to_reading(line[position]) if whole else _BAD_LINE
            if reading is not None:
                rows.add(index, t_ns, reading)
