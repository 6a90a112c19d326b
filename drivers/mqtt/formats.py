"""Numbers written in bytes, and what may stand before them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.mqtt.times import LARGEST

Format: TypeAlias = Literal[
    "int8",
    "uint8",
    "int16le",
    "int16be",
    "uint16le",
    "uint16be",
    "int24le",
    "int24be",
    "int32le",
    "int32be",
    "uint32le",
    "uint32be",
    "int64le",
    "int64be",
    "uint64le",
    "uint64be",
    "float32le",
    "float32be",
    "float64le",
    "float64be",
    "json",
    "csv",
]
TEXT: frozenset[Format] = frozenset({"json", "csv"})
HeaderField: TypeAlias = Literal["t_ns", "t_us", "t_ms", "t_s", "sequence", "skip1", "skip2", "skip4", "skip8"]

_CODES = {"int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
_CODES |= {"float32": "f", "float64": "d"}
_HEADER: dict[HeaderField, str] = {"t_ns": "q", "t_us": "q", "t_ms": "q", "t_s": "d", "sequence": "I"}
_HEADER |= {"skip1": "x", "skip2": "2x", "skip4": "4x", "skip8": "8x"}
_NS: dict[HeaderField, int] = {"t_ns": 1, "t_us": 1_000, "t_ms": 1_000_000, "t_s": 1_000_000_000}


def order(kind: Format) -> str:
    """``<`` little or ``>`` big endian."""
    return ">" if kind.endswith("be") else "<"


def size(kind: Format) -> int:
    """Bytes of one number.

    >>> size("int24be"), size("float64le")
    (3, 8)
    """
    return 3 if kind.startswith("int24") else struct.calcsize(_code(kind))


def one(kind: Format) -> Callable[[bytes, int], float | int]:
    """Reads the number at a byte position; the caller has checked that it is there.

    >>> one("int24be")(b"..\\xff\\xff\\xfe", 2)
    -2
    """
    if kind.startswith("int24"):
        byteorder: Literal["big", "little"] = "big" if kind.endswith("be") else "little"
        return lambda data, at: int.from_bytes(data[at : at + 3], byteorder, signed=True)
    read = struct.Struct(_code(kind)).unpack_from
    return lambda data, at: read(data, at)[0]


def many(kind: Format, data: bytes) -> NDArray[Any]:
    """All the numbers; `len(data)` is a multiple of `size(kind)`."""
    if not kind.startswith("int24"):
        return np.frombuffer(data, dtype=np.dtype(_code(kind)))
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    wide = np.zeros((len(raw), 4), dtype=np.uint8)
    big = kind.endswith("be")
    wide[:, slice(0, 3) if big else slice(1, 4)] = raw
    found: NDArray[Any] = wide.view(">i4" if big else "<i4").ravel() >> 8
    return found


class Header:
    """What stands before the samples, in the byte order of the samples."""

    class Told(NamedTuple):
        """`t_ns` and `sequence` are None where the header has none."""

        t_ns: int | None
        sequence: int | None

    def __init__(self, fields: Sequence[HeaderField], kind: Format) -> None:
        self._layout = struct.Struct(order(kind) + "".join(_HEADER[name] for name in fields))
        self._names = [name for name in fields if not name.startswith("skip")]
        self.size = self._layout.size

    def read(self, payload: bytes) -> Told:
        """The payload has at least `size` bytes."""
        found = dict(zip(self._names, self._layout.unpack_from(payload), strict=True))
        sequence = found.pop("sequence", None)
        t_ns = next((_nanoseconds(value, _NS[name]) for name, value in found.items()), None)
        return self.Told(t_ns, sequence)


def _nanoseconds(value: float, factor: int) -> int | None:
    if isinstance(value, int):
        return min(max(value * factor, -LARGEST), LARGEST)
    return round(value * factor) if abs(value) < 9e9 else None


def _code(kind: Format) -> str:
    name = kind.removesuffix("le").removesuffix("be")
    return order(kind) + _CODES[name]
