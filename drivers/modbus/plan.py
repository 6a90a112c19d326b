"""Which reads it takes: tags into few blocks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modbus.config import DataType, ModbusOptions, ModbusTag, Order, Table, address
from gateway.contract import ConfigError, Tag

WORDS: dict[DataType, int] = {
    "bool": 1,
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One tag on the wire: `index` in the tag table, `start` from 0, `count` registers (or 1 coil)."""

    index: int
    table: Table
    start: int
    count: int
    dtype: DataType
    order: Order
    bit: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers or coils from `start`, and what lies in them."""

    table: Table
    start: int
    count: int
    items: tuple[Item, ...]


def items_of(tags: Sequence[Tag], options: ModbusOptions) -> list[Item]:
    """Raises ConfigError naming the tag whose address makes no sense."""
    return [_item(tag, options) for tag in tags]


def _item(tag: Tag, options: ModbusOptions) -> Item:
    given: ModbusTag = tag.options
    try:
        table, start = address(given, options.numbering)
    except ValueError as exc:
        raise ConfigError(f"{tag.path}: {exc}") from exc
    bits = table in ("coil", "discrete")
    dtype: DataType = given.as_ or ("bool" if bits or given.bit is not None else "uint16")
    if start + WORDS[dtype] > 65536:
        raise ConfigError(f"{tag.path}: {given.at} as {dtype} reaches beyond the last address")
    return Item(tag.index, table, start, WORDS[dtype], dtype, given.order or options.word_order, given.bit)


def plan(items: Sequence[Item], options: ModbusOptions, alone: frozenset[int] = frozenset()) -> list[Block]:
    """Few blocks that hold every item exactly once; a value is never cut.

    alone   indices of tags that are read in a block of their own (the device refuses their address)
    """
    blocks: list[Block] = []
    group: list[Item] = []
    end = 0
    for item in sorted((i for i in items if i.index not in alone), key=lambda i: (i.table, i.start, i.count)):
        most = options.max_coils if item.table in ("coil", "discrete") else options.max_registers
        fits = group and group[0].table == item.table and item.start - end <= options.max_gap
        if not fits or max(end, item.start + item.count) - group[0].start > most:
            if group:
                blocks.append(_block(group, end))
            group, end = [], 0
        group.append(item)
        end = max(end, item.start + item.count)
    if group:
        blocks.append(_block(group, end))
    return blocks + [_block([item], item.start + item.count) for item in items if item.index in alone]


def _block(items: list[Item], end: int) -> Block:
    return Block(items[0].table, items[0].start, end - items[0].start, tuple(items))
