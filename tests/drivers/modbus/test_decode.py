"""Decoding against `struct`, for every type and order."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.config import DataType, Order, Table
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import WORDS, Block, Item

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
_ORDERS: list[Order] = ["ABCD", "CDAB", "BADC", "DCBA"]


def wire(value: Any, dtype: DataType, order: Order) -> bytes:
    """The registers of a device that keeps its values in `order`, written the slow way."""
    big = struct.pack(f">{_FORMATS[dtype]}", value)
    words = [big[i : i + 2] for i in range(0, len(big), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


def values(dtype: DataType) -> st.SearchStrategy[Any]:
    if dtype.startswith("float"):
        return st.floats(width=32 if dtype == "float32" else 64)
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return st.integers(0, 2**bits - 1) if dtype.startswith("u") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def readings(draw: st.DrawFn) -> list[tuple[DataType, Order, Any, int]]:
    """(type, order, value, unused registers before it)."""
    found = []
    for _ in range(draw(st.integers(1, 15))):
        dtype = draw(st.sampled_from(list(_FORMATS)))
        found.append((dtype, draw(st.sampled_from(_ORDERS)), draw(values(dtype)), draw(st.integers(0, 3))))
    return found


@given(readings(), st.integers(0, 60_000))
def test_every_type_in_every_order_is_what_struct_says(readings: list[tuple[DataType, Order, Any, int]], start: int) -> None:
    payload, items = b"", []
    for index, (dtype, order, value, gap) in enumerate(readings):
        payload += b"\xa5\x5a" * gap
        items.append(Item(index, "holding", start + len(payload) // 2, WORDS[dtype], dtype, order, None))
        payload += wire(value, dtype, order)
    decoded = Decoder(Block("holding", start, len(payload) // 2, tuple(items))).decode(payload)
    np.testing.assert_array_equal(decoded, np.array([float(value) for _, _, value, _ in readings]))


def test_abcd_is_big_endian_as_manuals_write_it() -> None:
    block = Block("holding", 0, 2, (Item(0, "holding", 0, 2, "float32", "ABCD", None),))
    assert Decoder(block).decode(bytes([0x42, 0x4E, 0x00, 0x00])).tolist() == [51.5]


@given(st.integers(0, 0xFFFF))
def test_every_bit_of_a_register_is_a_tag(word: int) -> None:
    items = tuple(Item(bit, "holding", 7, 1, "bool", "ABCD", bit) for bit in range(16))
    decoded = Decoder(Block("holding", 7, 1, items)).decode(struct.pack(">H", word))
    assert decoded.tolist() == [float(word >> bit & 1) for bit in range(16)]


def test_bits_and_numbers_of_one_block_do_not_mix() -> None:
    items = (
        Item(0, "holding", 0, 1, "uint16", "ABCD", None),
        Item(1, "holding", 0, 1, "bool", "ABCD", 2),
        Item(2, "holding", 1, 1, "int16", "ABCD", None),
    )
    assert Decoder(Block("holding", 0, 2, items)).decode(struct.pack(">Hh", 5, -3)).tolist() == [5.0, 1.0, -3.0]


@pytest.mark.parametrize("table", ["coil", "discrete"])
@given(bits=st.lists(st.booleans(), min_size=1, max_size=70))
def test_coils_are_packed_from_the_least_significant_bit(table: Table, bits: list[bool]) -> None:
    items = tuple(Item(i, table, 100 + i, 1, "bool", "ABCD", None) for i in range(len(bits)))
    number = sum(bit << i for i, bit in enumerate(bits))
    payload = number.to_bytes((len(bits) + 7) // 8, "little")
    assert Decoder(Block(table, 100, len(bits), items)).decode(payload).tolist() == [float(bit) for bit in bits]


def test_whole_numbers_are_exact_up_to_two_to_the_53rd() -> None:
    block = Block("holding", 0, 4, (Item(0, "holding", 0, 4, "uint64", "ABCD", None),))
    assert Decoder(block).decode(struct.pack(">Q", 2**53)).tolist() == [2.0**53]
