"""The plan of reads: properties that hold for any tags and any limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.address import TABLES, Span
from drivers.modbus.config import WORDS, DataType, ModbusOptions
from drivers.modbus.plan import Item, Learnt, halves, plan


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    """Scattered, crowded, overlapping, in all tables."""
    found = []
    for index in range(draw(st.integers(1, 40))):
        table = draw(st.sampled_from(TABLES))
        dtype: DataType = "bool" if table in ("coil", "discrete") else draw(st.sampled_from([t for t in WORDS if t != "bool"]))
        start = draw(st.one_of(st.integers(0, 300), st.integers(0, 65536 - 4)))
        found.append(Item(index, table, start, WORDS[dtype], dtype, "ABCD", unit=draw(st.integers(1, 2))))
    return found


@st.composite
def limits(draw: st.DrawFn) -> ModbusOptions:
    return ModbusOptions(
        modbus="tcp://plc",
        max_gap=draw(st.integers(0, 120)),
        max_registers=draw(st.integers(4, 125)),
        max_coils=draw(st.integers(1, 2000)),
    )


@st.composite
def learnt(draw: st.DrawFn) -> Learnt:
    indices = st.frozensets(st.integers(0, 39), max_size=8)
    return Learnt(draw(indices), draw(indices))


@given(items(), limits(), learnt())
def test_every_item_is_in_exactly_one_block(items: list[Item], options: ModbusOptions, learnt: Learnt) -> None:
    planned = [item.index for block in plan(items, options, learnt) for item in block.items]
    assert sorted(planned) == [item.index for item in items]


@given(items(), limits(), learnt())
def test_no_block_is_too_long_and_no_value_is_cut(items: list[Item], options: ModbusOptions, learnt: Learnt) -> None:
    for block in plan(items, options, learnt):
        assert 1 <= block.count <= (options.max_coils if block.table in ("coil", "discrete") else options.max_registers)
        for item in block.items:
            assert (item.unit, item.table) == (block.unit, block.table)
            assert block.start <= item.start
            assert item.start + item.count <= block.start + block.count


@given(items(), limits())
def test_no_gap_is_wider_than_allowed(items: list[Item], options: ModbusOptions) -> None:
    for block in plan(items, options):
        read = {address for item in block.items for address in range(item.start, item.start + item.count)}
        holes = "".join("x" if address in read else " " for address in range(block.start, block.start + block.count))
        assert max(map(len, holes.split("x"))) <= options.max_gap


@given(items(), limits(), learnt())
def test_refused_tags_are_alone_and_cuts_begin_a_block(items: list[Item], options: ModbusOptions, learnt: Learnt) -> None:
    for block in plan(items, options, learnt):
        indices = [item.index for item in block.items]
        assert len(indices) == 1 or not learnt.refused & set(indices)
        assert not learnt.cuts & set(indices[1:])


@given(items(), limits(), learnt())
def test_refused_register_is_not_read_along_as_a_gap(items: list[Item], options: ModbusOptions, learnt: Learnt) -> None:
    refused = {(item.unit, item.table, item.start) for item in items if item.index in learnt.refused}
    for block in plan(items, options, learnt):
        read = {(i.unit, i.table, a) for i in block.items for a in range(i.start, i.start + i.count)}
        gaps = {(block.unit, block.table, a) for a in range(block.start, block.start + block.count)} - read
        assert not gaps & refused


@given(items(), limits())
def test_halves_hold_the_same_items_in_order(items: list[Item], options: ModbusOptions) -> None:
    for block in plan(items, options):
        if len(block.items) > 1:
            first, second = halves(block, options)
            assert (*first.items, *second.items) == block.items
            assert max(first.count, second.count) <= block.count


def test_thousand_neighbours_take_ten_requests() -> None:
    neighbours = [Item(i, "holding", i, 1, "uint16", "ABCD", None) for i in range(1000)]
    assert len(plan(neighbours, ModbusOptions(modbus="tcp://plc"))) == 10


def test_wide_gap_makes_two_requests_and_a_narrow_one_does_not() -> None:
    two = [Item(0, "holding", 0, 1, "uint16", "ABCD", None), Item(1, "holding", 10, 1, "uint16", "ABCD", None)]
    assert [block.count for block in plan(two, ModbusOptions(modbus="tcp://plc", max_gap=9))] == [11]
    assert [block.count for block in plan(two, ModbusOptions(modbus="tcp://plc", max_gap=8))] == [1, 1]


@given(items(), limits(), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=4))
def test_what_is_forbidden_is_never_read_along(items: list[Item], options: ModbusOptions, ranges: list[tuple[int, int]]) -> None:
    spans = [Span("holding", first, first + length) for first, length in ranges]
    items = [i for i in items if not any(i.table == s.table and i.start <= s.last and s.first < i.end for s in spans)]
    written = [f"holding {s.first}-{s.last}" for s in spans]
    options = options.model_copy(update={"numbering": "zero_based", "forbidden": written})
    planned = plan(items, options)
    assert sorted(item.index for block in planned for item in block.items) == sorted(item.index for item in items)
    for block in planned:
        assert not any(block.table == s.table and block.start <= s.last and s.first < block.start + block.count for s in spans)


def test_device_that_wants_one_request_per_tag_gets_them() -> None:
    three = [Item(i, "holding", i, 1, "uint16", "ABCD") for i in range(3)]
    assert [block.count for block in plan(three, ModbusOptions(modbus="tcp://plc", one_request_per_tag=True))] == [1, 1, 1]


def test_coils_that_must_start_at_zero_do_and_registers_do_not() -> None:
    both = [Item(0, "coil", 7, 1, "bool", "ABCD"), Item(1, "coil", 900, 1, "bool", "ABCD"), Item(2, "holding", 7, 1, "uint16", "ABCD")]
    blocks = plan(both, ModbusOptions(modbus="tcp://plc", coils_start_at_zero=True))
    assert [(block.table, block.start, block.count) for block in blocks] == [("coil", 0, 901), ("holding", 7, 1)]


def test_units_are_never_read_together() -> None:
    two = [Item(0, "holding", 0, 1, "uint16", "ABCD", unit=1), Item(1, "holding", 1, 1, "uint16", "ABCD", unit=2)]
    assert [(block.unit, block.count) for block in plan(two, ModbusOptions(modbus="tcp://plc"))] == [(1, 1), (2, 1)]
