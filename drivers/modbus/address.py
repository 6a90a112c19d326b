"""Addresses as manuals write them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Table: TypeAlias = Literal["coil", "discrete", "input", "holding"]
Numbering: TypeAlias = Literal["modicon", "zero_based", "one_based"]
TABLES: Final[tuple[Table, ...]] = ("coil", "discrete", "input", "holding")
_MODICON: dict[int, Table] = {0: "coil", 1: "discrete", 3: "input", 4: "holding"}
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,5}")
_CROSSED = re.compile(r"([134])[xX](\d{1,5})")
_SPAN = re.compile(r"(?:(coil|discrete|input|holding)\s+)?(\w+)(?:\s*-\s*(\w+))?")


def is_address(text: str) -> bool:
    """
    >>> is_address("0x000A"), is_address("4x0011"), is_address("4oo13")
    (True, True, False)
    """
    return bool(_HEX.fullmatch(text) or _CROSSED.fullmatch(text))


def protocol_address(at: int | str, table: Table | None, numbering: Numbering) -> tuple[Table, int]:
    """(table, protocol address from 0). Raises ValueError in the engineer's words.

    Text in hexadecimal is always the protocol address, as manuals that use it mean it; ``4x0011`` is always Modicon's 40011;
    a number is what `numbering` says.

    >>> protocol_address(40011, None, "modicon"), protocol_address("0x000A", None, "modicon"), protocol_address("4x11", None, "zero_based")
    (('holding', 10), ('holding', 10), ('holding', 10))
    """
    if isinstance(at, str) and _HEX.fullmatch(at):
        found, number = table or "holding", int(at, 16)
    elif isinstance(at, str) and (crossed := _CROSSED.fullmatch(at)):
        found, number = _MODICON[int(crossed[1])], int(crossed[2]) - 1
        if table not in (None, found):
            raise ValueError(f"{at} is {'an' if found == 'input' else 'a'} {found} address, table says {table}")
    elif isinstance(at, str):
        raise ValueError(f'{at!r} is no address; write 40011, "0x000A" or "4x0011"')
    elif numbering != "modicon":
        found, number = table or "holding", at - (numbering == "one_based")
    elif table is not None:
        found, number = table, at - 1
    else:
        digits = 100_000 if at >= 100_000 else 10_000
        group, number = divmod(at, digits)
        if group not in _MODICON:
            raise ValueError(f"{at} is no Modicon address; they begin with 0, 1, 3 or 4, for example 40011")
        found, number = _MODICON[group], number - 1
    if not 0 <= number <= 65535:
        raise ValueError(f"{at} is outside 65536 addresses")
    return found, number


def modicon(table: Table, number: int) -> str:
    """Back again, with six digits where five do not suffice.

    >>> modicon("holding", 10), modicon("input", 12000), modicon("coil", 4)
    ('40011', '312001', '00005')
    """
    group = {name: digit for digit, name in _MODICON.items()}[table]
    return f"{group}{number + 1:0{4 if number < 9999 else 5}d}"


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses `first` to `last` of a table, both included."""

    table: Table
    first: int
    last: int


def span(text: str, numbering: Numbering) -> Span:
    """``"40100-40120"``, or with the table where the numbering does not tell it: ``"input 100-120"``. Raises ValueError.

    >>> span("40100-40120", "modicon")
    Span(table='holding', first=99, last=119)
    """
    matched = _SPAN.fullmatch(text.strip())
    if matched is None:
        raise ValueError(f"{text!r} is no range of addresses; write 40100-40120 or input 100-120")
    table: Table | None = next((name for name in TABLES if name == matched[1]), None)
    found, first = protocol_address(as_given(matched[2]), table, numbering)
    other, last = protocol_address(as_given(matched[3] or matched[2]), table, numbering)
    if other != found or last < first:
        raise ValueError(f"{text!r} does not go from a lower to a higher address of one table")
    return Span(found, first, last)


def as_given(text: str) -> int | str:
    """A decimal number is a number, also where it came as text (a CSV file)."""
    return int(text) if text.isdecimal() else text
