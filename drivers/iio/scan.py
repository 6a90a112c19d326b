"""How the kernel lays out a scan: types of channels, where each lies, and raw numbers out of bytes. Pure.

Source: Linux, Documentation/ABI/testing/sysfs-bus-iio (``in_..._type``) and drivers/iio/industrialio-buffer.c (`iio_compute_scan_bytes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TYPE = re.compile(r"(be|le):([su])(\d+)/(\d+)(?:X(\d+))?>>(\d+)")
_STORAGE = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class ScanType:
    """``le:s13/16>>0``: byte order, sign, meaningful bits, bits in memory, repetitions, shift."""

    big_endian: bool
    signed: bool
    bits: int
    storage_bits: int
    repeat: int
    shift: int

    @property
    def size(self) -> int:
        """Bytes in the scan."""
        return self.storage_bits // 8 * self.repeat

    @property
    def dtype(self) -> str:
        return f"{'>' if self.big_endian else '<'}u{self.storage_bits // 8}"


def parse_type(text: str) -> ScanType:
    """Raises ValueError for what the kernel does not write.

    >>> parse_type("be:s12/16X2>>4")
    ScanType(big_endian=True, signed=True, bits=12, storage_bits=16, repeat=2, shift=4)
    """
    found = _TYPE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no type of a scan element, as le:s13/16>>0 is one")
    bits, storage, repeat, shift = int(found[3]), int(found[4]), int(found[5] or 1), int(found[6])
    if storage not in _STORAGE or not 0 < bits <= storage - shift or repeat < 1:
        raise ValueError(f"{text!r}: {bits} bits shifted by {shift} are not in {storage} bits of {', '.join(map(str, _STORAGE))}")
    return ScanType(found[1] == "be", found[2] == "s", bits, storage, repeat, shift)


def layout(elements: Sequence[tuple[str, ScanType]]) -> np.dtype[np.void]:
    """One scan as a structured type. `elements` in the order of their index; each is aligned to its own size, the whole to the largest.

    >>> layout([("x", parse_type("le:s16/16>>0")), ("timestamp", parse_type("le:s64/64>>0"))]).itemsize
    16
    """
    names, formats, offsets = [], [], []
    at, largest = 0, 1
    for name, kind in elements:
        at = -(-at // kind.size) * kind.size
        names.append(name)
        formats.append((kind.dtype, (kind.repeat,)) if kind.repeat > 1 else kind.dtype)
        offsets.append(at)
        at += kind.size
        largest = max(largest, kind.size)
    itemsize = -(-at // largest) * largest
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize})


def raw_numbers(column: NDArray[np.unsignedinteger], kind: ScanType) -> NDArray[np.int64]:
    """int64[n], or int64[n, repeat]: shifted, masked, and with its sign; an unsigned one of 64 bits wraps.

    >>> raw_numbers(np.array([0xFFF0, 0x7FF0], dtype="<u2"), parse_type("le:s12/16>>4")).tolist()
    [-1, 2047]
    """
    values = column.astype(np.uint64) >> np.uint64(kind.shift)
    if kind.bits < 64:
        values &= np.uint64((1 << kind.bits) - 1)
    numbers = values.astype(np.int64)
    if kind.signed and kind.bits < 64:
        sign = np.int64(1 << (kind.bits - 1))
        numbers = (numbers ^ sign) - sign
    return numbers


def unpack(data: bytes, scan: np.dtype[np.void], kinds: Mapping[str, ScanType]) -> dict[str, NDArray[np.int64]]:
    """Whole scans to columns of raw numbers; a part of a scan at the end is left out."""
    scans = np.frombuffer(data, dtype=scan, count=len(data) // scan.itemsize)
    return {name: raw_numbers(scans[name], kind) for name, kind in kinds.items()}
