"""From rows to readings and records. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any
from zoneinfo import ZoneInfo

from drivers.rows.options import RowOptions, RowRecord, RowTag
from drivers.rows.places import Steps, is_empty, steps, walk
from drivers.rows.row import Refused, Row
from drivers.rows.times import TimeReader
from drivers.rows.values import number
from gateway.contract import Batch, Item, Record, RecordSpec, Tag


@dataclass(slots=True)
class Taken:
    """What rows gave, in their order. `readings`: (tag, t_ns, value, quality)."""

    readings: list[tuple[int, int, float, int]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    rows: int = 0

    def items(self) -> list[Item]:
        """One Batch, then the records."""
        batch: list[Item] = [Batch.of(*zip(*self.readings, strict=True))] if self.readings else []
        return [*batch, *self.records]


class Mapper:
    """Compiled once for the tags and records of a source."""

    def __init__(self, options: RowOptions, tags: Sequence[Tag], records: Sequence[RecordSpec]) -> None:
        self._strict = options.unmatched == "refuse"
        self._decimal = options.decimal
        self._tags = [_TagPlace(tag, options) for tag in tags]
        self._records = [_RecordPlace(record, options) for record in records]

    @property
    def dates(self) -> bool:
        """There are records without a configured time: they get that of their coming, and it makes them what they are."""
        return not all(record.dated for record in self._records)

    @property
    def columns(self) -> list[str]:
        """Top-level names without which no row can be taken at all: of tags and records that `match` nothing."""
        always = [place for place in (*self._tags, *self._records) if not place.match]
        found = {path[0]: None for place in always for path in place.paths if path and isinstance(path[0], str)}
        return list(found)

    def take(self, row: Row, now_ns: int, into: Taken) -> None:
        """All a row gives, or nothing and why. `now_ns` is its time where none is configured."""
        readings = []
        into.rows += 1
        try:
            records = [record.record(row.fields, now_ns) for record in self._records if record.holds(row.fields)]
            for tag in self._tags:
                raw = walk(row.fields, tag.value)
                if not is_empty(raw) and tag.holds(row.fields):
                    value, quality = number(raw, self._decimal, tag.states)
                    readings.append((tag.index, tag.t_ns(row.fields, now_ns), value, quality))
        except _Refusal as exc:
            into.refused.append(Refused(row.where, str(exc)))
            return
        if not records and not readings and self._strict:
            into.refused.append(Refused(row.where, "no tag and no record takes it"))
        into.records += records
        into.readings += readings


class _Refusal(Exception):
    """Of one row, in a clause."""


class _Place:
    """What tags and records have in common: which rows, and their time."""

    paths: list[Steps]

    def __init__(self, options: RowTag | RowRecord, source: RowOptions) -> None:
        self.match = [(steps(place), list(wanted)) for place, wanted in (options.match or {}).items()]
        places = options.time or source.time
        self._named = " and ".join(places or [])
        found = [steps(place) for place in places or []]
        self.paths = [*found]
        unit = options.time_unit or source.time_unit
        self._time = TimeReader(found, unit, source.time_format, ZoneInfo(source.timezone)) if found else None

    @property
    def dated(self) -> bool:
        return self._time is not None

    def holds(self, fields: Mapping[str, Any]) -> bool:
        return all(_is_one_of(walk(fields, path), wanted) for path, wanted in self.match)

    def t_ns(self, fields: Mapping[str, Any], now_ns: int) -> int:
        if self._time is None:
            return now_ns
        t_ns = self._time(fields)
        if t_ns is None:
            raise _Refusal(f"no time in {self._named}")
        return t_ns


class _TagPlace(_Place):
    def __init__(self, tag: Tag, source: RowOptions) -> None:
        options: RowTag = tag.options
        super().__init__(options, source)
        self.index, self.states = tag.index, options.states
        self.value = steps(options.value or tag.name)
        self.paths.append(self.value)


class _RecordPlace(_Place):
    def __init__(self, spec: RecordSpec, source: RowOptions) -> None:
        options: RowRecord = spec.options
        super().__init__(options, source)
        self._source, self._numbers, self._decimal = spec.path, options.numbers, source.decimal
        self.paths += [(name,) for name in options.numbers]

    def record(self, fields: dict[str, Any], now_ns: int) -> Record:
        t_ns = self.t_ns(fields, now_ns)
        if self._numbers:
            fields = {**fields, **{name: self._number(name, fields[name]) for name in self._numbers if not is_empty(fields.get(name))}}
        return Record(source=self._source, t_ns=t_ns, fields=fields)

    def _number(self, name: str, raw: Any) -> float | int:
        value, _ = number(raw, self._decimal, None)
        if isnan(value):
            raise _Refusal(f"{raw!r} in {name} is no number")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _is_one_of(raw: Any, wanted: list[Any]) -> bool:
    """A cell is text, so 1 in the configuration is also "1" in a row."""
    return raw in wanted or (isinstance(raw, str) and any(raw.strip() == _as_text(each) for each in wanted))


def _as_text(wanted: Any) -> str:
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
