"""Options of the Modbus driver, and where a tag lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from drivers.modbus.address import Numbering, Span, Table, as_given, is_address, protocol_address, span
from drivers.modbus.endpoint import Endpoint, endpoint
from gateway.contract import Duration, SourceOptions, TagOptions

DataType: TypeAlias = Literal[
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bcd16", "bcd32", "text"
]
Order: TypeAlias = Literal["ABCD", "CDAB", "BADC", "DCBA"]
WORDS: dict[DataType, int] = {
    "bool": 1,
    "int16": 1,
    "uint16": 1,
    "bcd16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "bcd32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
_ROLLS_OVER: dict[DataType, int] = {"uint16": 2**16, "uint32": 2**32, "bcd16": 10**4, "bcd32": 10**8}
_OF_THE_LINE = ("pause", "pause_after_connect", "ca", "certificate", "key")
_GROUP = r"^[a-z][a-z0-9_-]{0,31}$"
At = Annotated[int | str, BeforeValidator(lambda at: as_given(at.strip()) if isinstance(at, str) else at, json_schema_input_type=int | str)]
UnitId = Annotated[int, Field(ge=0, le=255)]


class ModbusOptions(SourceOptions):
    """One or more units behind one endpoint."""

    modbus: str = Field(description="tcp://host[:502], rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1, ascii, rtu+tcp, ascii+tcp, tls")
    unit_id: UnitId = Field(1, description="of all tags that name no other")
    poll_seconds: float = Field(1.0, ge=0, description="of the default group; 0 = as fast as the device answers")
    groups: dict[Annotated[str, Field(pattern=_GROUP)], Annotated[Duration, Field(gt=0)]] = Field(
        default_factory=dict, max_length=16, description="further periods by name, for tags that say group"
    )
    numbering: Numbering = Field(
        "modicon", description="modicon: 40011 is the eleventh holding register; the others need `table` at the tag"
    )
    word_order: Order = Field("ABCD", description="order of the bytes of a 32-bit value, as PLC manuals write it")
    max_gap: int = Field(8, ge=0, le=120, description="registers nobody asked for that may be read along to save a request")
    max_registers: int = Field(100, ge=1, le=125, description="per request")
    max_coils: int = Field(1000, ge=1, le=2000, description="per request")
    forbidden: list[str] = Field(default_factory=list, description="addresses that are never read along: 40100-40120")
    one_request_per_tag: bool = Field(False, description="for devices that answer nothing else")
    coils_start_at_zero: bool = Field(False, description="every read of coils or discrete inputs begins at the first one")
    timeout: Duration = Field("1s", gt=0, description="for one answer")  # type: ignore[assignment]
    pause: Duration = Field("0s", le=10, description="of the line, between an answer and the next request")  # type: ignore[assignment]
    pause_after_connect: Duration = Field("0s", le=60, description="before the first request")  # type: ignore[assignment]
    turnaround: Duration = Field("10ms", description="how long a unit thinks; only for `lineside plan`")  # type: ignore[assignment]
    ca: Path | None = Field(None, description="certificates (PEM) to trust beside none other; default: those of the system")
    certificate: Path | None = Field(None, description="our own certificate (PEM), where the device asks for one")
    key: Path | None = Field(None, description="its key (PEM), if it is not in the same file")

    @field_validator("modbus")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        endpoint(value)
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.endpoint.tls and (self.ca or self.certificate or self.key):
            raise ValueError("certificates are used with tls:// only")
        if self.key and not self.certificate:
            raise ValueError("key needs certificate")
        spans = self.spans
        if self.coils_start_at_zero and any(part.table in ("coil", "discrete") for part in spans):
            raise ValueError("coils_start_at_zero reads all coils from the first on, so none can be forbidden")
        return self

    @property
    def endpoint(self) -> Endpoint:
        return endpoint(self.modbus)

    @property
    def terms(self) -> dict[str, object]:
        """What all who share a line must agree on, by option."""
        return {"modbus": self.endpoint} | {name: getattr(self, name) for name in _OF_THE_LINE}

    @property
    def spans(self) -> list[Span]:
        """What is forbidden; raises ValueError."""
        return [span(text, self.numbering) for text in self.forbidden]


class ModbusTag(TagOptions):
    """Where a value lies and what it is."""

    at: At = Field(description="address as the manual writes it, see numbering; hexadecimal in quotes")
    as_: DataType | None = Field(None, alias="as", description="default: uint16 for registers, bool for coils")
    order: Order | None = Field(None, description="byte order of this tag, if it differs")
    table: Table | None = Field(None, description="where numbering is not modicon")
    unit_id: UnitId | None = Field(None, description="if it differs from the source's")
    group: str | None = Field(None, description="one of the source's groups; default: every poll_seconds")
    bit: int | None = Field(None, ge=0, le=15, description="one bit of a register, 0 = least significant")
    bits: tuple[int, int] | None = Field(None, description="first and last bit of a number inside a register")
    registers: int | None = Field(None, ge=1, le=125, description="length of a text, two characters each")
    states: dict[str, float] | None = Field(None, min_length=1, description="what a text means as a number: {RUN: 1, STOP: 0}")
    scale_from: At | None = Field(None, description="address of a register with the power of ten to multiply by (int16)")
    rolls_over_at: int | None = Field(
        None, ge=0, description="the value goes on growing where the device begins again; default of counters: by type; 0 = never"
    )

    @field_validator("at", "scale_from")
    @classmethod
    def _address(cls, value: At | None) -> At | None:
        """Where the mistake is told at its own place; the rest of the tag decides about the rest."""
        if isinstance(value, str) and not is_address(value):
            raise ValueError(f'{value!r} is no address; write 40011, "0x000A" or "4x0011"')
        return value

    @field_validator("bits", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        """``3-5`` as a CSV cell holds it."""
        return value.split("-") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _sensible(self, info: ValidationInfo) -> Self:
        if self.kind == "waveform":
            raise ValueError("Modbus carries no waveforms")
        _check_bits(self)
        _check_text(self)
        source = (info.context or {}).get("source")
        if isinstance(source, ModbusOptions):  # the loader knows it, so that a bad address is found before the start
            place(self, source)
        return self

    @property
    def roll_over(self) -> int:
        """Where the raw value begins again; 0 = it does not."""
        if self.rolls_over_at is not None:
            return self.rolls_over_at
        whole = self.bit is None and self.bits is None
        return _ROLLS_OVER.get(self.as_ or "uint16", 0) if self.kind == "counter" and whole else 0

    @property
    def words(self) -> int:
        return self.registers or WORDS.get(self.as_ or "uint16", 1)


def _check_bits(tag: ModbusTag) -> None:
    if tag.bit is not None and tag.bits is not None:
        raise ValueError("bit or bits, not both")
    if tag.bit is not None and tag.as_ not in (None, "bool"):
        raise ValueError(f"bit {tag.bit} of a register is a bool, not {tag.as_}")
    if tag.bits is not None and not 0 <= tag.bits[0] <= tag.bits[1] <= 15:
        raise ValueError("bits go from the lower to the higher, 0 to 15: [3, 5]")
    if tag.bits is not None and tag.as_ not in (None, "uint16"):
        raise ValueError(f"bits of a register are a uint16, not {tag.as_}")


def _check_text(tag: ModbusTag) -> None:
    if tag.as_ == "text" and (tag.registers is None or tag.states is None):
        raise ValueError("a text needs its length in registers, and states: what its words mean as numbers")
    if tag.as_ != "text" and (tag.registers is not None or tag.states is not None):
        raise ValueError("registers and states belong to as: text")
    if tag.as_ == "text" and tag.scale_from is not None:
        raise ValueError("a text has no scale_from")


def place(tag: ModbusTag, source: ModbusOptions) -> tuple[Table, int]:
    """(table, protocol address from 0) of a tag of this source; raises ValueError in the engineer's words."""
    table, start = address(tag, source.numbering)
    bits = table in ("coil", "discrete")
    most = source.max_coils if bits else source.max_registers
    if not bits and tag.words > most:
        raise ValueError(f"{tag.as_} takes {tag.words} registers, max_registers is {most}")
    if start + tag.words > 65536:
        raise ValueError(f"{tag.at} as {tag.as_} reaches beyond the last address")
    if bits and source.coils_start_at_zero and start >= most:
        raise ValueError(f"{tag.at} cannot be read from the first coil on: max_coils is {most}")
    for part in source.spans:
        if part.table == table and start <= part.last and part.first < start + tag.words:
            raise ValueError(f"{tag.at} is forbidden")
    if tag.group is not None and tag.group not in source.groups:
        raise ValueError(f"there is no group {tag.group!r}; the source has {', '.join(source.groups) or 'none'}")
    exponent = scale_place(tag, source.numbering, table)
    if exponent is not None and exponent[0] in ("coil", "discrete"):
        raise ValueError(f"scale_from {tag.scale_from} is no register")
    if tag.writable is not None:
        _check_writable(tag, table)
    return table, start


def scale_place(tag: ModbusTag, numbering: Numbering, table: Table) -> tuple[Table, int] | None:
    """Of the register with its exponent, in the tag's own table unless its address says another."""
    if tag.scale_from is None:
        return None
    hexadecimal = isinstance(tag.scale_from, str) and tag.scale_from[:2].lower() == "0x"
    return protocol_address(tag.scale_from, tag.table or (table if numbering != "modicon" or hexadecimal else None), numbering)


def address(tag: ModbusTag, numbering: Numbering) -> tuple[Table, int]:
    """As `place`, without the source's limits.

    >>> address(ModbusTag(at=40011), "modicon"), address(ModbusTag(at=400011), "modicon")
    (('holding', 10), ('holding', 10))
    """
    table, number = protocol_address(tag.at, tag.table, numbering)
    if table in ("coil", "discrete"):
        what = "a coil" if table == "coil" else "a discrete input"
        if tag.as_ not in (None, "bool"):
            raise ValueError(f"{what} is a bool, not {tag.as_}")
        if tag.bit is not None or tag.bits is not None or tag.scale_from is not None:
            raise ValueError(f"{what} has no bit, bits or scale_from")
    elif tag.as_ == "bool" and tag.bit is None:
        raise ValueError("a bool in a register needs bit: 0..15")
    return table, number


def _check_writable(tag: ModbusTag, table: Table) -> None:
    if table in ("discrete", "input"):
        raise ValueError(f"{'a discrete input' if table == 'discrete' else 'an input register'} cannot be written")
    if tag.bit is not None or tag.bits is not None:
        raise ValueError("bits of a register cannot be written without touching the others")
    if tag.as_ == "text" or tag.scale_from is not None:
        raise ValueError("a text, or a value with scale_from, cannot be written")
