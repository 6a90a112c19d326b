"""The binary encoding, read within the bytes that are there: a length is compared with what is left before anything is made of it.

Source: OPC UA Part 6, 5.2. Everything raises Malformed for what is none of it, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from asyncua import ua

EPOCH_1601 = datetime(1601, 1, 1, tzinfo=UTC)
LAST_TICKS = 2_650_467_743_990_000_000  # 9999-12-31T23:59:59
FIXED = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 4, 11: 8, 13: 8, 14: 16, 19: 4}
"""Bytes of the built-in types that always take as many."""
BOOLEAN, DATE, GUID, STRUCTURE, VALUE, VARIANT, DIAGNOSTIC = 1, 13, 14, 22, 23, 24, 25
MOST_READS = 300_000
"""Of one reader, about a second: a message of megabytes may consist of parts of one byte. Arrays of numbers are one part each."""
_DEEPEST = 8
_SCALARS = {2: "<b", 3: "<B", 4: "<h", 5: "<H", 6: "<i", 7: "<I", 8: "<q", 9: "<Q", 10: "<f", 11: "<d", 19: "<I"}


class Malformed(ValueError):
    """These bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A Variant before anybody looked into it. `body`: one value, or with `array` an Int32 of how many and the values."""

    kind: int
    array: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """A DataValue: times in ticks of 100 ns since 1601 and in tens of picoseconds; 0 is none."""

    raw: Raw | None
    status: int
    source: int
    source_pico: int
    server: int
    server_pico: int


class Reader:
    """A position in bytes."""

    __slots__ = ("_data", "_end", "_reads", "at")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data, self.at, self._end, self._reads = data, at, len(data), 0

    @property
    def left(self) -> int:
        return self._end - self.at

    def take(self, size: int) -> bytes:
        if not 0 <= size <= self._end - self.at:
            raise Malformed(f"{size} bytes announced, {self._end - self.at} are there")
        self._reads += 1
        if self._reads > MOST_READS:
            raise Malformed(f"more than {MOST_READS:,} parts")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def count(self, smallest: int = 1) -> int:
        """How many follow; none for a null array. Each takes at least `smallest` bytes, so there cannot be more than fit."""
        count = max(0, self.number("<i"))
        if count * smallest > self.left:
            raise Malformed(f"{count} elements announced in {self.left} bytes")
        return int(count)

    def octets(self) -> bytes | None:
        size = self.number("<i")
        return None if size < 0 else self.take(size)

    def text(self) -> str | None:
        octets = self.octets()
        return None if octets is None else octets.decode("utf-8", "replace")

    def node(self) -> str:
        """As people write it: ``i=85``, ``ns=2;s=Load``."""
        encoding = self.number("<B")
        kind, namespace = encoding & 0x3F, 0
        if kind == 0:
            found = f"i={self.number('<B')}"
        elif kind == 1:
            namespace, found = self.number("<B"), f"i={self.number('<H')}"
        elif kind in (2, 3, 4, 5):
            namespace = self.number("<H")
            readers: dict[int, Callable[[], str]] = {
                2: lambda: f"i={self.number('<I')}",
                3: lambda: f"s={self.text() or ''}",
                4: lambda: f"g={UUID(bytes_le=self.take(16))}",
                5: lambda: f"b={(self.octets() or b'').hex()}",
            }
            found = readers[kind]()
        else:
            raise Malformed(f"no node id begins with {encoding}")
        if encoding & 0x80:
            self.text()
        if encoding & 0x40:
            self.take(4)
        return f"ns={namespace};{found}" if namespace else found

    def localized(self) -> str | None:
        mask = self.number("<B")
        if mask & 1:
            self.text()
        return self.text() if mask & 2 else None

    def extension(self) -> tuple[str, bytes]:
        """(type id, body); an empty body where there is none."""
        kind, encoding = self.node(), self.number("<B")
        return kind, (self.octets() or b"") if encoding else b""

    def diagnostic(self, depth: int = 0) -> None:
        _shallow(depth)
        mask = self.number("<B")
        for bit in (1, 2, 4, 8):
            if mask & bit:
                self.take(4)
        if mask & 16:
            self.text()
        if mask & 32:
            self.take(4)
        if mask & 64:
            self.diagnostic(depth + 1)

    def header(self) -> int:
        """Reads type id and ResponseHeader; returns the service's result."""
        self.node()
        self.take(12)
        result = self.number("<I")
        self.diagnostic()
        for _ in range(self.count(4)):
            self.text()
        self.extension()
        return int(result)

    def scalar(self, kind: int, depth: int = 0) -> Any:
        """One value of a built-in type, as JSON has it: times and node ids are text, octets are hexadecimal."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        return self._other(kind, depth)

    def _other(self, kind: int, depth: int) -> Any:
        readers: dict[int, Callable[[], Any]] = {
            0: lambda: None,
            BOOLEAN: lambda: self.number("<B") != 0,
            12: self.text,
            DATE: lambda: moment(self.number("<q")),
            GUID: lambda: str(UUID(bytes_le=self.take(16))),
            15: lambda: None if (octets := self.octets()) is None else octets.hex(),
            16: self.text,
            17: self.node,
            18: self.node,
            20: lambda: (self.take(2), self.text())[1],
            21: self.localized,
            STRUCTURE: lambda: (self.extension(), None)[1],
            VALUE: lambda: json_of(self.told(depth + 1).raw),
            VARIANT: lambda: json_of(self.variant(depth + 1)),
            DIAGNOSTIC: lambda: self.diagnostic(depth + 1),
        }
        if kind not in readers:
            raise Malformed(f"no built-in type has the number {kind}")
        return readers[kind]()

    def variant(self, depth: int = 0) -> Raw | None:
        """Finds where a Variant ends; nothing is made of its elements."""
        _shallow(depth)
        encoding = self.number("<B")
        kind, array, start = encoding & 0x3F, bool(encoding & 0x80), self.at
        if array:
            self._skip_array(kind, depth)
        else:
            self.scalar(kind, depth)
        body = self._data[start : self.at]
        if encoding & 0x40:
            self.take(4 * self.count(4))
        return Raw(kind, array, body) if kind else None

    def _skip_array(self, kind: int, depth: int) -> None:
        size = FIXED.get(kind)
        count = self.count(size or 1)
        if size:
            self.take(count * size)
        elif kind == 0 and count:
            raise Malformed("an array of nothing")
        else:
            for _ in range(count):
                self.scalar(kind, depth)

    def told(self, depth: int = 0) -> Told:
        """A DataValue (5.2.2.17), in the order of the specification."""
        _shallow(depth)
        mask = self.number("<B")
        if mask > 0x3F:
            raise Malformed(f"no DataValue has the mask {mask}")
        raw = self.variant(depth + 1) if mask & 1 else None
        rest = [self.number(layout) if mask & bit else 0 for bit, layout in ((2, "<I"), (4, "<q"), (16, "<H"), (8, "<q"), (32, "<H"))]
        return Told(raw, *rest)


def _shallow(depth: int) -> None:
    if depth > _DEEPEST:
        raise Malformed("nested too deeply")


def json_of(raw: Raw | None) -> Any:
    """A Variant's value; None for structures and for nothing."""
    if raw is None:
        return None
    reader = Reader(raw.body)
    if raw.array:
        return [reader.scalar(raw.kind) for _ in range(reader.count(FIXED.get(raw.kind, 1)))]
    return reader.scalar(raw.kind)


def moment(ticks: int) -> str | None:
    """RFC 3339 with microseconds; None for the year 1601, which is how servers say that they know none."""
    if ticks <= 0:
        return None
    return (EPOCH_1601 + timedelta(microseconds=min(ticks, LAST_TICKS) // 10)).isoformat().replace("+00:00", "Z")


def check(result: int) -> None:
    """Raises the library's error of a bad status code."""
    ua.StatusCode(result).check()
