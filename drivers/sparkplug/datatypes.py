"""Values of metrics to numbers and their quality, by datatype: Sparkplug 3.0, section 6.4.16. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import GOOD, Quality

BAD_TYPE, BAD_FORMAT, BAD_LENGTH = int(Quality.BAD_TYPE), int(Quality.BAD_FORMAT), int(Quality.BAD_LENGTH)
BAD_NOT_FINITE = int(Quality.BAD_NOT_FINITE)
NAMES = (
    "Unknown",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float",
    "Double",
    "Boolean",
    "String",
    "DateTime",
    "Text",
    "UUID",
    "DataSet",
    "Bytes",
    "File",
    "Template",
    "PropertySet",
    "PropertySetList",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
    "FloatArray",
    "DoubleArray",
    "BooleanArray",
    "StringArray",
    "DateTimeArray",
)
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
_NUMBERS = frozenset(range(1, 12)) | {13}
BOOLEANS, STRINGS = 32, 33
_ELEMENTS = {22: "i1", 23: "<i2", 24: "<i4", 25: "<i8", 26: "u1", 27: "<u2", 28: "<u4", 29: "<u8", 30: "<f4", 31: "<f8", 34: "<i8"}


def number(raw: Any, datatype: int, states: Mapping[str, float] | None = None) -> tuple[float, int]:
    """(value, quality) of what one of the value fields holds; what is no number is NaN with the reason.

    Signed integers stand in unsigned fields, in two's complement of their own width or of the field's; a DateTime is in milliseconds.

    >>> number(0xFF, 1), number(0xFFFFFFFE, 1), number("RUN", 12, {"RUN": 1.0})
    ((-1.0, 0), (-2.0, 0), (1.0, 0))
    """
    kind = raw.__class__
    if kind is float:
        return (raw, GOOD) if isfinite(raw) else (nan, BAD_NOT_FINITE)
    if kind is int:
        return float(signed(raw, datatype)), GOOD
    if kind is bool:
        return float(raw), GOOD
    if kind is str and states is not None:
        return (states[raw], GOOD) if raw in states else (nan, BAD_FORMAT)
    return nan, BAD_FORMAT if raw is None or datatype in _NUMBERS else BAD_TYPE


def signed(raw: int, datatype: int) -> int:
    """An integer as its datatype means it.

    >>> signed(2**64 - 5, 4), signed(2**64 - 5, 8)
    (-5, 18446744073709551611)
    """
    bits = _SIGNED.get(datatype)
    if bits is None:
        return raw
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def array(raw: Any, datatype: int) -> NDArray[np.float64] | None:
    """float64[n] of a packed array, little endian; None if it is none, or not whole.

    >>> array(bytes([3, 0, 0, 0, 0b10100000]), BOOLEANS)
    array([1., 0., 1.])
    """
    if raw.__class__ is not bytes:
        return None
    if datatype == BOOLEANS:
        count = struct.unpack_from("<I", raw)[0] if len(raw) >= 4 else 0
        bits = np.unpackbits(np.frombuffer(raw, np.uint8, offset=4)) if len(raw) >= 4 else np.zeros(0, np.uint8)
        return bits[:count].astype(np.float64) if 0 <= len(bits) - count < 8 and len(raw) >= 4 else None
    dtype = np.dtype(_ELEMENTS.get(datatype, "V0"))
    if not dtype.itemsize or len(raw) % dtype.itemsize:
        return None
    return np.frombuffer(raw, dtype).astype(np.float64)


def texts(raw: Any) -> list[str]:
    """Elements of a StringArray: each ends with a zero byte."""
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]] if raw.__class__ is bytes else []


def element(raw: Any, datatype: int, at: int, states: Mapping[str, float] | None) -> tuple[float, int]:
    """(value, quality) of one element of an array."""
    if datatype == STRINGS:
        words = texts(raw)
        return number(words[at], 12, states) if at < len(words) else (nan, BAD_LENGTH)
    found = array(raw, datatype)
    if found is None:
        return nan, BAD_FORMAT if datatype in _ELEMENTS or datatype == BOOLEANS else BAD_TYPE
    return number(float(found[at]), 10) if at < len(found) else (nan, BAD_LENGTH)
