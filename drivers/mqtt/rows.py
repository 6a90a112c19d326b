"""Lines of comma separated values: a reading for each line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from math import nan

from drivers.mqtt.config import MqttTag
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.times import to_ns
from drivers.mqtt.values import BAD_FORMAT, word
from gateway.contract import BAD, GOOD, UNCERTAIN, Tag

MOST_ROWS = 100_000


class CsvDecoder:
    """Columns by number (from 1) or by their name in the first line. With ``;`` between them a comma is a decimal point."""

    def __init__(self, tag: Tag) -> None:
        options: MqttTag = tag.options
        assert options.column is not None  # noqa: S101  MqttTag checked it; this tells mypy
        self._index, self._states, self._unit = tag.index, options.states, options.time_unit
        self._column, self._time, self._separator = options.column, options.time_column, options.separator
        self._headed = isinstance(self._column, str) or isinstance(self._time, str)

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        rows = self._rows(payload)
        head = rows.pop(0) if rows and self._headed else []
        value_at, time_at = _position(self._column, head), _position(self._time, head)
        if not rows or len(rows) > MOST_ROWS or value_at is None or (time_at is None and self._time is not None):
            into.readings.append((self._index, now_ns, nan, BAD_FORMAT))
            return
        for row in rows:
            into.readings.append((self._index, *self._reading(row, value_at, time_at, retained, now_ns)))

    def _rows(self, payload: bytes) -> list[list[str]]:
        try:
            lines = payload.decode("utf-8-sig").splitlines()
            return [row for row in csv.reader(lines, delimiter=self._separator, skipinitialspace=True) if row]
        except (UnicodeDecodeError, csv.Error):
            return []

    def _reading(self, row: Sequence[str], value_at: int, time_at: int | None, retained: bool, now_ns: int) -> tuple[int, float, int]:
        if max(value_at, time_at or 0) >= len(row):
            return now_ns, nan, BAD_FORMAT
        value, quality = word(self._decimal(row[value_at]), self._states)
        if time_at is None:
            return now_ns, value, UNCERTAIN if retained and quality == GOOD else quality
        told = to_ns(self._decimal(row[time_at]), self._unit)
        if told is None:
            return now_ns, nan, quality if quality >= BAD else BAD_FORMAT
        return told, value, quality

    def _decimal(self, text: str) -> str:
        text = text.strip()
        return text.replace(",", ".") if self._separator == ";" and (self._states is None or text not in self._states) else text


def _position(column: int | str | None, head: Sequence[str]) -> int | None:
    if isinstance(column, str):
        names = [name.strip() for name in head]
        return names.index(column) if column in names else None
    return None if column is None else column - 1
