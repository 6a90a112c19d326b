"""A data change notification, from its bytes to columns.

The library makes six objects per value; at 20,000 values a second that alone is an eighth of a core. Nearly every value
of a machine is a scalar of fixed size, so one walk finds where each value lies and what its layout is, and numpy reads
all values of one layout at once. What has no fixed size (text, arrays, structures) goes through the library, item by item.

Source: OPC UA Part 6, 5.2.2.17 (DataValue), 5.2.2.16 (Variant); Part 4, 7.25.2 (DataChangeNotification).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError
from numpy.typing import NDArray

from drivers.opcua.values import EPOCH_TICKS, LONGEST_TICKS, OVERFLOW_BITS, SEVERITY_SHIFT, reading, status_of, time_ns
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality

VALUE, STATUS, SOURCE_TIME, SERVER_TIME, SOURCE_PICO, SERVER_PICO = 1, 2, 4, 8, 16, 32
_FIELDS = (  # in the order they are written in
    (STATUS, "status", "<u4"),
    (SOURCE_TIME, "source", "<i8"),
    (SOURCE_PICO, "source_pico", "<u2"),
    (SERVER_TIME, "server", "<i8"),
    (SERVER_PICO, "server_pico", "<u2"),
)
NUMBERS = {1: "u1", 2: "i1", 3: "u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8", 9: "<u8", 10: "<f4", 11: "<f8"}
OTHERS = {13: "V8", 14: "V16", 19: "V4"}  # date, GUID, status code: of fixed size, but no numbers
_QUALITY = np.array([GOOD, UNCERTAIN, BAD, BAD], dtype=np.uint8)  # by severity
SMALLEST = 5  # bytes of an item: handle and a mask that says that there is nothing else
BOOLEAN = 1
_BY_LIBRARY = -1
_COUNT = struct.Struct("<i").unpack_from
_NOT_DECODED = (UaError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError, struct.error)


@dataclass(frozen=True, slots=True)
class Columns:
    """The values of one notification, in its order.

    handle     int64[n]    client handle
    t_ns       int64[n]    source time, else server time, else ours
    value      float64[n]  NaN where bad
    quality    uint8[n]
    overflow   values whose status says that the server's queue lost older ones
    undecoded  values behind one that could not be decoded
    """

    handle: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    overflow: int = 0
    undecoded: int = 0


def decode(body: bytes, now_ns: int) -> Columns:
    """Columns of a DataChangeNotification's body; `now_ns` for values without any time. Raises nothing."""
    told = _COUNT(body)[0] if len(body) >= 4 else 0
    count = min(max(told, 0), len(body) // SMALLEST)
    keys, starts, slow = _walk(body, count)
    n = len(keys)
    out = Columns(np.zeros(n, np.int64), np.full(n, now_ns), np.full(n, np.nan), np.full(n, BAD, np.uint8))
    raw = np.frombuffer(body, dtype=np.uint8)
    key_of, start_of = np.array(keys, dtype=np.int64), np.array(starts, dtype=np.int64)
    overflow = 0
    for key in set(keys) - {_BY_LIBRARY}:
        layout = _layout(key)
        assert layout is not None  # noqa: S101  `_walk` gives no key without one
        rows = np.flatnonzero(key_of == key)
        fields = raw[start_of[rows, None] + np.arange(layout.itemsize)].view(layout)[:, 0]
        overflow += _fill(out, rows, fields, key & 0xFF, now_ns)
    for row, item in slow.items():
        out.handle[row], out.t_ns[row] = item.ClientHandle, time_ns(item.Value, now_ns)
        out.value[row], out.quality[row] = reading(item.Value)
        overflow += status_of(item.Value) & OVERFLOW_BITS == OVERFLOW_BITS
    return Columns(out.handle, out.t_ns, out.value, out.quality, overflow, count - n)


def _walk(body: bytes, count: int) -> tuple[list[int], list[int], dict[int, Any]]:
    """(layout key, position) of each item, and by row what the library had to decode; ends where nothing can be decoded."""
    keys: list[int] = []
    starts: list[int] = []
    slow: dict[int, Any] = {}
    sizes: dict[int, int] = {}
    position, end = 4, len(body)
    while len(keys) < count and position + SMALLEST <= end:
        mask = body[position + 4]
        key = mask << 8 | body[position + 5] if mask & VALUE and position + SMALLEST < end else mask << 8
        size = sizes.get(key)
        if size is None:
            layout = _layout(key)
            size = sizes[key] = 0 if layout is None else layout.itemsize
        after = position + size
        if size == 0:
            key = _BY_LIBRARY
            after, item = _by_library(body, position)
            if item is None:
                break
            slow[len(keys)] = item
        if after > end:
            break
        keys.append(key)
        starts.append(position)
        position = after
    return keys, starts, slow


@cache
def _layout(key: int) -> np.dtype[np.void] | None:
    """Layout of one item by ``encoding mask << 8 | variant type``; None if these do not fix its size."""
    mask, kind = divmod(key, 256)
    if mask > 0x3F:
        return None
    fields = [("handle", "<u4"), ("mask", "u1")]
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
        value = (fields["value"] != 0 if kind == BOOLEAN else fields["value"]).astype(np.float64)
        quality = np.where((quality < BAD) & ~np.isfinite(value), np.uint8(Quality.BAD_NOT_FINITE), quality)
        out.value[rows] = np.where(quality < BAD, value, np.nan)
    else:
        missing = Quality.BAD_TYPE if kind in OTHERS and "value" in names else Quality.BAD
        quality = np.where(quality < BAD, np.uint8(missing), quality)
    out.handle[rows] = fields["handle"]
    out.quality[rows] = quality
    out.t_ns[rows] = _times(fields, names, now_ns)
    return int(((status & OVERFLOW_BITS) == OVERFLOW_BITS).sum())


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


def _by_library(body: bytes, position: int) -> tuple[int, Any]:
    """(position behind the item, the item), or (position, None) if the library cannot decode it."""
    buffer = ua.utils.Buffer(body, position)
    try:
        item = struct_from_binary(ua.MonitoredItemNotification, buffer)
    except _NOT_DECODED:
        return position, None
    return buffer.cur_pos, item
