"""Options of the Modbus driver, and where a tag lies."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gateway.contract import Duration, SourceOptions, TagOptions

Table: TypeAlias = Literal["coil", "discrete", "input", "holding"]
DataType: TypeAlias = Literal["bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
Order: TypeAlias = Literal["ABCD", "CDAB", "BADC", "DCBA"]
_MODICON: dict[int, Table] = {0: "coil", 1: "discrete", 3: "input", 4: "holding"}


class ModbusOptions(SourceOptions):
    """One unit of one Modbus TCP endpoint."""

    modbus: str = Field(description="tcp://host[:port], port 502 if none is given")
    unit_id: int = Field(1, ge=0, le=255)
    poll_seconds: float = Field(1.0, ge=0, description="0 = as fast as the device answers")
    numbering: Literal["modicon", "zero_based", "one_based"] = Field(
        "modicon", description="modicon: 40011 is the eleventh holding register; the others need `table` at the tag"
    )
    word_order: Order = Field("ABCD", description="order of the bytes of a 32-bit value, as PLC manuals write it")
    max_gap: int = Field(8, ge=0, le=120, description="registers nobody asked for that may be read along to save a request")
    max_registers: int = Field(100, ge=1, le=125, description="per request")
    max_coils: int = Field(1000, ge=1, le=2000, description="per request")
    timeout: Duration = Field("1s", gt=0)  # type: ignore[assignment]
    pause: Duration = Field("0s", description="between two requests, for devices that need it")  # type: ignore[assignment]

    @field_validator("modbus")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            port = parts.port or 502
        except ValueError as exc:
            raise ValueError(f"{value!r} has no valid port") from exc
        if parts.scheme != "tcp" or not parts.hostname or parts.path not in ("", "/") or not 0 < port < 65536:
            raise ValueError(f"{value!r} is not supported; write tcp://host or tcp://host:port")
        return value

    @property
    def peer(self) -> tuple[str, int]:
        parts = urlsplit(self.modbus)
        return parts.hostname or "", parts.port or 502


class ModbusTag(TagOptions):
    """Where a value lies and what it is."""

    at: int = Field(ge=0, description="address as the manual of the device writes it, see numbering")
    as_: DataType | None = Field(None, alias="as", description="default: uint16 for registers, bool for coils")
    order: Order | None = Field(None, description="byte order of this tag, if it differs")
    table: Table | None = Field(None, description="where numbering is not modicon")
    bit: int | None = Field(None, ge=0, le=15, description="one bit of a register, 0 = least significant")

    @model_validator(mode="after")
    def _sensible(self, info: ValidationInfo) -> Self:
        if self.bit is not None and self.as_ not in (None, "bool"):
            raise ValueError(f"bit {self.bit} of a register is a bool, not {self.as_}")
        if self.kind == "waveform":
            raise ValueError("Modbus carries no waveforms")
        source = (info.context or {}).get("source")
        if isinstance(source, ModbusOptions):  # the loader knows it, so that a bad address is found before the start
            address(self, source.numbering)
        return self


def address(tag: ModbusTag, numbering: str) -> tuple[Table, int]:
    """(table, protocol address from 0); raises ValueError in the engineer's words.

    >>> address(ModbusTag(at=40011), "modicon"), address(ModbusTag(at=400011), "modicon")
    (('holding', 10), ('holding', 10))
    """
    if numbering != "modicon":
        table, number = tag.table or "holding", tag.at - (numbering == "one_based")
    elif tag.table is not None:
        table, number = tag.table, tag.at - 1
    else:
        digits = 100_000 if tag.at >= 100_000 else 10_000
        group, number = divmod(tag.at, digits)
        if group not in _MODICON:
            raise ValueError(f"{tag.at} is no Modicon address; they begin with 0, 1, 3 or 4, for example 40011")
        table, number = _MODICON[group], number - 1
    if not 0 <= number <= 65535:
        raise ValueError(f"{tag.at} is outside 65536 addresses")
    if table in ("coil", "discrete") and tag.as_ not in (None, "bool"):
        raise ValueError(f"a {'coil' if table == 'coil' else 'discrete input'} is a bool, not {tag.as_}")
    if table in ("input", "holding") and tag.as_ == "bool" and tag.bit is None:
        raise ValueError("a bool in a register needs bit: 0..15")
    return table, number
