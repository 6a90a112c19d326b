"""From a value in engineering units to the message that sets it. Pure."""

from __future__ import annotations

import struct

from drivers.modbus.config import DataType, ModbusOptions, ModbusTag
from drivers.modbus.messages import Request, write_coil, write_registers
from drivers.modbus.plan import item_of
from gateway.contract import ConfigError, Tag

_EXACT = 1e-9  # of a number that is whole but for what scale and offset leave
_FORMATS: dict[DataType, str] = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}


def request_to_write(tag: Tag, options: ModbusOptions, value: float) -> Request:
    """Function 5 for a coil, 6 for one register, 16 for several. Raises ConfigError for what the tag cannot hold, exactly: what is
    written is what the limits were for, and what the audit says."""
    given: ModbusTag = tag.options
    item = item_of(tag, options)
    if given.writable is None or item.bits is not None or item.table in ("discrete", "input") or item.dtype == "text":
        raise ConfigError(f"{tag.path} is not writable")
    raw = (value - given.offset) / given.scale
    if item.table == "coil":
        if raw not in (0, 1):
            raise ConfigError(f"{tag.path}: a coil is 0 or 1, not {value:g}")
        return write_coil(item.unit, item.start, raw == 1)
    try:
        big = _packed(raw, item.dtype)
    except (struct.error, OverflowError, ValueError) as exc:
        raise ConfigError(f"{tag.path}: {value:g} does not fit into {item.dtype} (raw {raw:g})") from exc
    if item.dtype not in ("float32", "float64") and abs(raw - round(raw)) > _EXACT * max(1.0, abs(raw)):
        nearest = round(raw) * given.scale + given.offset
        raise ConfigError(f"{tag.path}: {item.dtype} cannot hold {value:g}, the nearest it can is {nearest:g}")
    if item.turned:
        big = b"".join(big[i : i + 2][::-1] for i in range(0, len(big), 2))
    words = list(struct.unpack(f">{len(big) // 2}H", big))
    return write_registers(item.unit, item.start, words[::-1] if item.order in ("CDAB", "DCBA") else words)


def _packed(raw: float, dtype: DataType) -> bytes:
    """Big-endian; raises ValueError, OverflowError, struct.error."""
    if dtype in ("float32", "float64"):
        return struct.pack(f">{_FORMATS[dtype]}", raw)
    if dtype in ("bcd16", "bcd32"):
        digits = 4 if dtype == "bcd16" else 8
        if not 0 <= round(raw) < 10**digits:
            raise ValueError(raw)
        return bytes.fromhex(f"{round(raw):0{digits}d}")
    return struct.pack(f">{_FORMATS[dtype]}", round(raw))
