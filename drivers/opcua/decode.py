"""Many values, from their bytes to columns.

The library makes six objects per value; at 20,000 values a second that alone is an eighth of a core. Nearly every value
of a machine is a scalar of fixed size, so one walk finds where each value lies and what its layout is, and numpy reads
all values of one layout at once. What has no fixed size (text, arrays, structures) is left as bytes in `Columns.others`.

Source: OPC UA Part 6, 5.2.2.17 (DataValue), 5.2.2.16 (Variant); Part 4, 7.25.2 (DataChangeNotification), Part 11, 6.6.2 (HistoryData).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from drivers.opcua.values import EPOCH_TICKS, LONGEST_TICKS, OVERFLOW_BITS, SEVERITY_SHIFT, time_ns
from drivers.opcua.wire import BOOLEAN, DATE, Malformed, Reader, Told
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality

VALUE, STATUS, SOURCE_TIME, SERVER_TIME, SOURCE_PICO, SERVER_PICO = 1, 2, 4, 8, 16, 32
_FIELDS = (  # in the order they are written in
    (STATUS, "status", "<u4"),
    (SOURCE_TIME, "source", "<i8"),
    (SOURCE_PICO, "source_pico", "<u2"),
    (SERVER_TIME, "server", "<i8"),
    (SERVER_PICO, "server_pico", "<u2"),
)
NUMBERS = {1: "u1", 2: "i1", 3: "u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8", 9: "<u8", 10: "<f4", 11: "<f8", 13: "<i8"}
OTHERS = {14: "V16", 19: "V4"}  # GUID, status code: of fixed size, but no numbers
_QUALITY = np.array([GOOD, UNCERTAIN, BAD, BAD], dtype=np.uint8)  # by severity
HANDLE = 4  # bytes of the client handle in front of each value of a notification; the server's history has none
_BY_HAND = -1


@dataclass(frozen=True, slots=True)
class Columns:
    """The values of one notification, in its order.

    handle     int64[n]    client handle; 0 in a history
    t_ns       int64[n]    source time, else server time, else ours
    value      float64[n]  NaN where bad
    quality    uint8[n]
    overflow   rows whose status says that the server's queue lost older values
    undecoded  values behind one that could not be decoded
    others     by row: what is no scalar of fixed size; its row has a quality, and no value yet
    """

    handle: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    overflow: int = 0
    undecoded: int = 0
    others: dict[int, Told] = field(default_factory=dict)


def decode(body: bytes, now_ns: int, prefix: int = HANDLE) -> Columns:
    """Columns of a DataChangeNotification's body, or with ``prefix=0`` of HistoryData's; `now_ns` for values without any time.

    Raises nothing.
    """
    told = int.from_bytes(body[:4], "little", signed=True) if len(body) >= 4 else 0
    count = min(max(told, 0), len(body) // (prefix + 1))
    keys, starts, others = _walk(body, count, prefix)
    n = len(keys)
    out = Columns(np.zeros(n, np.int64), np.full(n, now_ns), np.full(n, np.nan), np.full(n, BAD, np.uint8), others=others)
    raw = np.frombuffer(body, dtype=np.uint8)
    key_of, start_of = np.array(keys, dtype=np.int64), np.array(starts, dtype=np.int64)
    overflow = 0
    for key in set(keys) - {_BY_HAND}:
        layout = _layout(key, prefix)
        assert layout is not None  # noqa: S101  `_walk` gives no key without one
        rows = np.flatnonzero(key_of == key)
        fields = raw[start_of[rows, None] + np.arange(layout.itemsize)].view(layout)[:, 0]
        overflow += _fill(out, rows, fields, key & 0xFF, now_ns)
    for row, item in others.items():
        if prefix:
            out.handle[row] = int.from_bytes(body[starts[row] : starts[row] + HANDLE], "little")
        out.t_ns[row] = time_ns(item, now_ns)
        missing = BAD if item.raw is None else int(Quality.BAD_TYPE)
        out.quality[row] = missing if item.status >> SEVERITY_SHIFT < 2 else BAD
        overflow += item.status & OVERFLOW_BITS == OVERFLOW_BITS
    return replace(out, overflow=overflow, undecoded=count - n)


def _walk(body: bytes, count: int, prefix: int) -> tuple[list[int], list[int], dict[int, Told]]:
    """(layout key, position) of each item, and by row what has no layout; ends where nothing can be decoded."""
    keys: list[int] = []
    starts: list[int] = []
    others: dict[int, Told] = {}
    sizes: dict[int, int] = {}
    position, end, reader = 4, len(body), Reader(body)
    while len(keys) < count and position + prefix < end:
        mask = body[position + prefix]
        key = mask << 8 | body[position + prefix + 1] if mask & VALUE and position + prefix + 1 < end else mask << 8
        size = sizes.get(key)
        if size is None:
            layout = _layout(key, prefix)
            size = sizes[key] = 0 if layout is None else layout.itemsize
        after = position + size
        if size == 0:
            key, reader.at = _BY_HAND, position + prefix  # one for all: what it may read is of the whole body
            try:
                others[len(keys)] = reader.told()
            except Malformed:
                break
            after = reader.at
        if after > end:
            break
        keys.append(key)
        starts.append(position)
        position = after
    return keys, starts, others


@cache
def _layout(key: int, prefix: int) -> np.dtype[np.void] | None:
    """Layout of one item by ``encoding mask << 8 | variant type``; None if these do not fix its size."""
    mask, kind = divmod(key, 256)
    if mask > 0x3F:
        return None
    fields = [("handle", "<u4")] if prefix else []
    fields.append(("mask", "u1"))
    if mask & VALUE:
        fields.append(("kind", "u1"))
        if kind:
            code = NUMBERS.get(kind) or OTHERS.get(kind)
            if code is None:
                return None
            fields.append(("value", code))
    return np.dtype(fields + [(name, code) for bit, name, code in _FIELDS if mask & bit])


def _fill(out: Columns, rows: NDArray[np.int64], fields: NDArray[np.void], kind: int, now_ns: int) -> int:
    """Write the values of one layout into their rows; returns how many say that the server's queue ran over."""
    names = fields.dtype.names or ()
    status = fields["status"] if "status" in names else np.zeros(len(rows), np.uint32)
    quality = _QUALITY[status >> SEVERITY_SHIFT]
    if kind in NUMBERS and "value" in names:
        value = numbers(fields["value"], kind)
        quality = np.where((quality < BAD) & ~np.isfinite(value), np.uint8(Quality.BAD_NOT_FINITE), quality)
        out.value[rows] = np.where(quality < BAD, value, np.nan)
    else:
        missing = Quality.BAD_TYPE if kind in OTHERS and "value" in names else Quality.BAD
        quality = np.where(quality < BAD, np.uint8(missing), quality)
    if "handle" in names:
        out.handle[rows] = fields["handle"]
    out.quality[rows] = quality
    out.t_ns[rows] = _times(fields, names, now_ns)
    return int(((status & OVERFLOW_BITS) == OVERFLOW_BITS).sum())


def numbers(column: NDArray[np.generic], kind: int) -> NDArray[np.float64]:
    """float64[n]: truth is 1 and 0, a date is seconds since 1970 (NaN for the year 1601: the server knows none)."""
    if kind == BOOLEAN:
        truth: NDArray[np.float64] = (column != 0).astype(np.float64)
        return truth
    if kind == DATE:
        ticks = column.astype(np.int64)
        seconds: NDArray[np.float64] = np.where(ticks > 0, (ticks - EPOCH_TICKS) / 1e7, np.nan)
        return seconds
    plain: NDArray[np.float64] = column.astype(np.float64)
    return plain


def _times(fields: NDArray[np.void], names: Iterable[str], now_ns: int) -> NDArray[np.int64]:
    """int64[n]: as `values.time_ns`, but with all the digits the server sent: 100 ns, and picoseconds in units of 10 ps."""
    t_ns = np.full(len(fields), now_ns, dtype=np.int64)
    for name in ("server", "source"):
        if name in names:
            ticks = fields[name]
            told = np.clip(np.maximum(ticks, 0) - EPOCH_TICKS, -LONGEST_TICKS, LONGEST_TICKS) * 100
            if f"{name}_pico" in names:
                told = told + np.minimum(fields[f"{name}_pico"], 9_999) // 100
            t_ns = np.where(ticks > 0, told, t_ns)
    return t_ns
