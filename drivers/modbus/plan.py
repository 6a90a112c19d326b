"""Which reads it takes: tags into few blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from drivers.modbus.address import Span, Table, modicon
from drivers.modbus.config import DataType, ModbusOptions, ModbusTag, Order, place, scale_place
from gateway.contract import ConfigError, Tag


@dataclass(frozen=True, slots=True)
class Item:
    """One value on the wire: `start` from 0, `count` registers (or 1 coil).

    index    in the tag table; negative: a register with an exponent, which is no tag
    bits     first and last bit of a number inside a register
    states   what a text means
    """

    index: int
    table: Table
    start: int
    count: int
    dtype: DataType
    order: Order
    bits: tuple[int, int] | None = None
    unit: int = 1
    group: str = ""
    states: tuple[tuple[str, float], ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def turned(self) -> bool:
        """The two bytes of each register come the other way round."""
        return self.order in ("BADC", "DCBA")

    @property
    def place(self) -> str:
        """``40011``, as it would be in Modicon's numbering."""
        return modicon(self.table, self.start)


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers or coils of one unit from `start`, and what lies in them."""

    table: Table
    start: int
    count: int
    items: tuple[Item, ...]
    unit: int = 1

    @property
    def bits(self) -> bool:
        return self.table in ("coil", "discrete")


@dataclass(frozen=True, slots=True)
class Map:
    """items     of the tags, then of the registers with exponents
    exponents   index of a tag to index of its exponent
    """

    items: tuple[Item, ...]
    exponents: dict[int, int] = field(default_factory=dict)


def read_map(tags: Sequence[Tag], options: ModbusOptions) -> Map:
    """Raises ConfigError naming the tag whose address makes no sense."""
    items = [item_of(tag, options) for tag in tags]
    seen: dict[tuple[object, ...], Item] = {}
    exponents: dict[int, int] = {}
    for tag, item in zip(tags, items, strict=True):
        at = scale_place(tag.options, options.numbering, item.table)
        if at is not None:
            table, start = at
            key = (item.unit, item.group, table, start, item.turned)
            seen.setdefault(key, Item(-1 - len(seen), table, start, 1, "int16", item.order, None, item.unit, item.group))
            exponents[tag.index] = seen[key].index
    return Map((*items, *seen.values()), exponents)


def item_of(tag: Tag, options: ModbusOptions) -> Item:
    """Raises ConfigError."""
    given: ModbusTag = tag.options
    try:
        table, start = place(given, options)
    except ValueError as exc:
        raise ConfigError(f"{tag.path}: {exc}") from exc
    one_bit = table in ("coil", "discrete") or given.bit is not None
    bits = (given.bit, given.bit) if given.bit is not None else given.bits
    return Item(
        tag.index,
        table,
        start,
        given.words,
        given.as_ or ("bool" if one_bit else "uint16"),
        given.order or options.word_order,
        bits,
        options.unit_id if given.unit_id is None else given.unit_id,
        given.group or "",
        tuple((given.states or {}).items()),
    )


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the device's refusals taught, by index.

    refused   items whose own address it refuses: they get a block of their own
    cuts      items a new block begins at, because it refuses what lies in the gap before them
    """

    refused: frozenset[int] = frozenset()
    cuts: frozenset[int] = frozenset()


def plan(items: Iterable[Item], options: ModbusOptions, learnt: Learnt = Learnt()) -> list[Block]:
    """Few blocks that hold every item exactly once; a value is never cut, what is forbidden never read along."""
    spans = options.spans
    blocks: list[Block] = []
    alone: list[Block] = []
    group: list[Item] = []
    for item in sorted(items, key=lambda i: (i.unit, i.table, i.start, i.count)):
        refused = item.index in learnt.refused  # nor is it read along as a gap
        if group and (refused or item.index in learnt.cuts or not _fits(group, item, options, spans)):
            blocks.append(block_of(group, options))
            group = []
        if refused:
            alone.append(block_of([item], options))
        else:
            group.append(item)
    if group:
        blocks.append(block_of(group, options))
    return blocks + alone


def _fits(group: Sequence[Item], item: Item, options: ModbusOptions, spans: Sequence[Span]) -> bool:
    """May `item` be read together with `group`, which begins before it?"""
    first, end = group[0], max(i.end for i in group)
    if options.one_request_per_tag or (first.unit, first.table) != (item.unit, item.table):
        return False
    coils = item.table in ("coil", "discrete")
    if coils and options.coils_start_at_zero:
        return max(end, item.end) <= options.max_coils
    if any(part.table == item.table and part.first < item.start and part.last >= end for part in spans):
        return False
    most = options.max_coils if coils else options.max_registers
    return item.start - end <= options.max_gap and max(end, item.end) - first.start <= most


def block_of(items: Sequence[Item], options: ModbusOptions) -> Block:
    """The request that reads these neighbours."""
    first = items[0]
    from_zero = options.coils_start_at_zero and first.table in ("coil", "discrete")
    start = 0 if from_zero else first.start
    return Block(first.table, start, max(i.end for i in items) - start, tuple(items), first.unit)


def halves(block: Block, options: ModbusOptions) -> tuple[Block, Block]:
    """Two smaller requests for the same items."""
    middle = len(block.items) // 2
    return block_of(block.items[:middle], options), block_of(block.items[middle:], options)
