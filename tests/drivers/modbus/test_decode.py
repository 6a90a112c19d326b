"""Decoding against `struct`, for every type and order."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.address import Table
from drivers.modbus.config import WORDS, DataType, Order
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, Item
from gateway.contract import GOOD, Quality

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


def values_of(block: Block, payload: bytes) -> np.ndarray[Any, Any]:
    return Decoder([block]).decode(b"" if block.bits else payload, payload if block.bits else b"")[0]


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
    decoded = values_of(Block("holding", start, len(payload) // 2, tuple(items)), payload)
    wanted = np.array([float(value) for _, _, value, _ in readings])
    np.testing.assert_array_equal(decoded, np.where(np.isfinite(wanted), wanted, np.nan))  # what is not finite is bad, and NaN


@pytest.mark.parametrize("order", _ORDERS)
@pytest.mark.parametrize("dtype", list(_FORMATS))
@pytest.mark.parametrize("gap", [0, 1])
def test_neighbours_over_several_blocks_are_taken_at_once(dtype: DataType, order: Order, gap: int) -> None:
    words, blocks, payload = WORDS[dtype], [], b""
    for number in range(3):
        items = tuple(Item(4 * number + i, "holding", 200 * number + i * (words + gap), words, dtype, order) for i in range(4))
        blocks.append(Block("holding", 200 * number, 4 * (words + gap), items))
        payload += b"".join(wire(100 * number + i, dtype, order) + b"\xff\xff" * gap for i in range(4))
    value, quality = Decoder(blocks).decode(payload)
    assert value.tolist() == [100 * number + i for number in range(3) for i in range(4)]
    assert quality.tolist() == [GOOD] * 12


def test_abcd_is_big_endian_as_manuals_write_it() -> None:
    block = Block("holding", 0, 2, (Item(0, "holding", 0, 2, "float32", "ABCD", None),))
    assert values_of(block, bytes([0x42, 0x4E, 0x00, 0x00])).tolist() == [51.5]


@given(st.integers(0, 0xFFFF))
def test_every_bit_of_a_register_is_a_tag(word: int) -> None:
    items = tuple(Item(bit, "holding", 7, 1, "bool", "ABCD", (bit, bit)) for bit in range(16))
    decoded = values_of(Block("holding", 7, 1, items), struct.pack(">H", word))
    assert decoded.tolist() == [float(word >> bit & 1) for bit in range(16)]


def test_bits_and_numbers_of_one_block_do_not_mix() -> None:
    items = (
        Item(0, "holding", 0, 1, "uint16", "ABCD", None),
        Item(1, "holding", 0, 1, "bool", "ABCD", (2, 2)),
        Item(2, "holding", 1, 1, "int16", "ABCD", None),
    )
    assert values_of(Block("holding", 0, 2, items), struct.pack(">Hh", 5, -3)).tolist() == [5.0, 1.0, -3.0]


@pytest.mark.parametrize("table", ["coil", "discrete"])
@given(bits=st.lists(st.booleans(), min_size=1, max_size=70))
def test_coils_are_packed_from_the_least_significant_bit(table: Table, bits: list[bool]) -> None:
    items = tuple(Item(i, table, 100 + i, 1, "bool", "ABCD", None) for i in range(len(bits)))
    number = sum(bit << i for i, bit in enumerate(bits))
    payload = number.to_bytes((len(bits) + 7) // 8, "little")
    assert values_of(Block(table, 100, len(bits), items), payload).tolist() == [float(bit) for bit in bits]


def test_whole_numbers_are_exact_up_to_two_to_the_53rd() -> None:
    block = Block("holding", 0, 4, (Item(0, "holding", 0, 4, "uint64", "ABCD", None),))
    assert values_of(block, struct.pack(">Q", 2**53)).tolist() == [2.0**53]


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(0, 15))
def test_some_bits_of_a_register_are_a_number(word: int, one: int, other: int) -> None:
    first, last = min(one, other), max(one, other)
    block = Block("holding", 0, 1, (Item(0, "holding", 0, 1, "uint16", "ABCD", (first, last)),))
    assert values_of(block, struct.pack(">H", word)).tolist() == [int(f"{word:016b}"[::-1][first : last + 1][::-1], 2)]


@given(st.integers(0, 99_999_999), st.sampled_from(_ORDERS))
def test_bcd_is_read_digit_by_digit(number: int, order: Order) -> None:
    payload = wire(int(f"{number:08d}", 16), "uint32", order)
    assert values_of(Block("input", 0, 2, (Item(0, "input", 0, 2, "bcd32", order),)), payload).tolist() == [number]


def test_bcd_with_a_digit_above_nine_is_bad_and_its_neighbour_is_not() -> None:
    items = (Item(0, "holding", 0, 1, "bcd16", "ABCD"), Item(1, "holding", 1, 1, "bcd16", "ABCD"))
    value, quality = Decoder([Block("holding", 0, 2, items)]).decode(bytes([0x12, 0x3A, 0x12, 0x34]))
    assert quality.tolist() == [Quality.BAD_FORMAT, GOOD]
    assert value[1] == 1234


@pytest.mark.parametrize(
    ("raw", "order", "value", "quality"),
    [
        (b"RUN\x00\x00\x00", "ABCD", 1.0, GOOD),
        (b"STOP  ", "ABCD", 0.0, GOOD),
        (b"UR\x00N\x00\x00", "BADC", 1.0, GOOD),
        (b"\xff\xfe\xfd\xfc\xfb\xfa", "ABCD", None, Quality.BAD_TYPE),
        (b"\x00RUN\x00\x00", "ABCD", None, Quality.BAD_TYPE),
    ],
)
def test_text_is_what_its_states_say(raw: bytes, order: Order, value: float | None, quality: int) -> None:
    item = Item(0, "holding", 0, 3, "text", order, states=(("RUN", 1.0), ("STOP", 0.0)))
    values, qualities = Decoder([Block("holding", 0, 3, (item,))]).decode(raw)
    assert qualities.tolist() == [quality]
    assert values[0] == value or (value is None and np.isnan(values[0]))


def test_blocks_of_registers_and_of_coils_are_decoded_together() -> None:
    blocks = [
        Block("coil", 3, 9, (Item(0, "coil", 3, 1, "bool", "ABCD"), Item(1, "coil", 11, 1, "bool", "ABCD"))),
        Block("holding", 5, 2, (Item(2, "holding", 6, 1, "uint16", "ABCD"),)),
        Block("discrete", 0, 1, (Item(3, "discrete", 0, 1, "bool", "ABCD"),)),
        Block("input", 0, 2, (Item(4, "input", 0, 2, "float32", "CDAB"),)),
    ]
    decoder = Decoder(blocks)
    value, _ = decoder.decode(struct.pack(">HH", 1, 7) + wire(2.5, "float32", "CDAB"), bytes([0x00, 0x01, 0x01]))
    assert dict(zip(decoder.tag.tolist(), value.tolist(), strict=True)) == {0: 0, 1: 1, 2: 7, 3: 1, 4: 2.5}


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_marked_one_by_one_and_without_a_warning() -> None:
    numbers = [math.inf, -math.inf, math.nan, 1.7e308, 1.7e308, -0.0]
    items = tuple(Item(i, "holding", 4 * i, 4, "float64", "ABCD") for i in range(len(numbers)))
    value, quality = Decoder([Block("holding", 0, 24, items)]).decode(struct.pack(">6d", *numbers))
    assert quality.tolist() == [Quality.BAD_NOT_FINITE] * 3 + [GOOD] * 3
    assert np.isnan(value[:3]).all()
    assert value[3:].tolist() == numbers[3:]
