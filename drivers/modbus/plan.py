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
    if not bits and WORDS[dtype] > options.max_registers:
        raise ConfigError(f"{tag.path}: {dtype} takes {WORDS[dtype]} registers, max_registers is {options.max_registers}")
    if start + WORDS[dtype] > 65536:
        raise ConfigError(f"{tag.path}: {given.at} as {dtype} reaches beyond the last address")
    return Item(tag.index, table, start, WORDS[dtype], dtype, given.order or options.word_order, given.bit)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the device's refusals taught, by tag index.

    refused   tags whose own address it refuses: they get a block of their own
    cuts      tags a new block begins at, because it refuses what lies in the gap before them
    """

    refused: frozenset[int] = frozenset()
    cuts: frozenset[int] = frozenset()


def plan(items: Sequence[Item], options: ModbusOptions, learnt: Learnt = Learnt()) -> list[Block]:
    """Few blocks that hold every item exactly once; a value is never cut."""
    blocks: list[Block] = []
    group: list[Item] = []
    end = 0
    alone: list[Block] = []
    for item in sorted(items, key=lambda i: (i.table, i.start, i.count)):
        if item.index in learnt.refused:  # nor is it read along as a gap
            alone.append(_block([item], item.start + item.count))
            blocks += [_block(group, end)] if group else []
            group, end = [], 0
            continue
        most = options.max_coils if item.table in ("coil", "discrete") else options.max_registers
        fits = group and group[0].table == item.table and item.start - end <= options.max_gap and item.index not in learnt.cuts
        if not fits or max(end, item.start + item.count) - group[0].start > most:
            if group:
                blocks.append(_block(group, end))
            group, end = [], 0
        group.append(item)
        end = max(end, item.start + item.count)
    if group:
        blocks.append(_block(group, end))
    return blocks + alone


def halves(block: Block) -> tuple[Block, Block]:
    """Two smaller requests for the same items."""
    middle = len(block.items) // 2
    first, second = (_block(items, max(i.start + i.count for i in items)) for items in (block.items[:middle], block.items[middle:]))
    return first, second


def _block(items: Sequence[Item], end: int) -> Block:
    return Block(items[0].table, items[0].start, end - items[0].start, tuple(items))
