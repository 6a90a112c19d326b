"""From the bytes of replies to values: one compiled set of numpy operations per round of requests. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.plan import Block, Item
from gateway.contract import GOOD, Quality

_NUMPY: dict[str, str] = {
    "bool": "u2",
    "int16": "i2",
    "uint16": "u2",
    "bcd16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "bcd32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float64": "f8",
}
_REGISTER = np.dtype(">u2")
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Group:
    """Items of one type and order.

    rows       where their values go; a slice where they are neighbours
    count      of values
    offset     bytes before the first value, where all lie side by side
    scattered  else the positions of their registers, as they are sent
    dtype      of the bytes
    swapped    the bytes inside each register are turned round first, which leaves an order that numpy has a type for
    """

    rows: Rows | slice
    count: int
    offset: int
    scattered: Rows | None
    dtype: np.dtype[Any]
    swapped: bool
    bcd: bool


class Decoder:
    """Compiled for the blocks of one round.

    tag      int32[n] indices of the items, the order of `decode`'s results
    counts   [blocks] values of each block
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.tag = np.array([item.index for block in blocks for item in block.items], dtype=np.int32)
        self.counts = [len(block.items) for block in blocks]
        words, bits = _Layout(blocks, bits=False), _Layout(blocks, bits=True)
        self._coils, self._coil_rows = np.array(bits.positions, dtype=np.intp), np.array(bits.rows, dtype=np.intp)
        self._groups = _groups(words)
        self._texts = [(row, start, item) for row, start, item in words.entries if item.dtype == "text"]
        masked = [(row, start, item.bits) for row, start, item in words.entries if item.bits is not None]
        self._masked = np.array([row for row, _, _ in masked], dtype=np.intp)
        self._masked_words = np.array([start for _, start, _ in masked], dtype=np.intp)
        self._masked_turned = np.array([item.turned for _, _, item in words.entries if item.bits is not None], dtype=bool)
        self._shift = np.array([bits[0] for _, _, bits in masked], dtype=np.uint16)
        self._mask = np.array([(1 << (bits[1] - bits[0] + 1)) - 1 for _, _, bits in masked], dtype=np.uint16)
        self._swaps = any(group.swapped for group in self._groups)
        self._can_be_odd = any(item.dtype in ("float32", "float64", "bcd16", "bcd32") for _, _, item in words.entries)
        self._good = np.full(len(self.tag), GOOD, dtype=np.uint8)

    def decode(self, registers: bytes, coils: bytes = b"") -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """float64[n] and qualities uint8[n]; `registers` and `coils` are the payloads of the blocks, joined in their order.

        Integers beyond 2^53 lose their last digits, as any float64 does.
        """
        value = np.empty(len(self.tag))
        quality = self._good.copy()
        if len(self._coil_rows):
            value[self._coil_rows] = np.unpackbits(np.frombuffer(coils, dtype=np.uint8), bitorder="little")[self._coils]
        turned = _turned(registers) if self._swaps else registers
        for group in self._groups:
            value[group.rows] = _decode(turned if group.swapped else registers, group)
        if len(self._masked):
            found = np.frombuffer(registers, dtype=_REGISTER)[self._masked_words]
            value[self._masked] = (np.where(self._masked_turned, found.byteswap(), found) >> self._shift) & self._mask
        for row, start, item in self._texts:
            value[row], quality[row] = _text(registers[2 * start : 2 * (start + item.count)], item)
        if self._can_be_odd and 0 in np.isfinite(value).tobytes():  # half of what all() costs
            _mark(value, quality, self._groups)
        return value, quality


class _Layout:
    """Where things lie in the joined payloads of the blocks of registers, or of those of bits."""

    def __init__(self, blocks: Sequence[Block], *, bits: bool) -> None:
        self.entries: list[tuple[int, int, Item]] = []  # row of the result, position, item
        row = base = 0
        for block in blocks:
            if block.bits == bits:
                self.entries += [(row + i, base + item.start - block.start, item) for i, item in enumerate(block.items)]
                base += (block.count + 7) // 8 * 8 if bits else block.count
            row += len(block.items)

    @property
    def rows(self) -> list[int]:
        return [row for row, _, _ in self.entries]

    @property
    def positions(self) -> list[int]:
        return [position for _, position, _ in self.entries]


def _groups(layout: _Layout) -> list[_Group]:
    kinds: dict[tuple[np.dtype[Any], bool, bool], list[tuple[int, int, Item]]] = {}
    for row, start, item in layout.entries:
        if item.dtype != "text" and item.bits is None:
            little = item.order in ("DCBA", "CDAB") if item.count > 1 else item.turned
            swapped = item.count > 1 and item.order in ("CDAB", "BADC")
            dtype = np.dtype(f"{'<' if little else '>'}{_NUMPY[item.dtype]}")
            kinds.setdefault((dtype, swapped, item.dtype.startswith("bcd")), []).append((row, start, item))
    return [_group(entries, *kind) for kind, entries in kinds.items()]


def _group(entries: list[tuple[int, int, Item]], dtype: np.dtype[Any], swapped: bool, bcd: bool) -> _Group:
    rows = np.array([row for row, _, _ in entries], dtype=np.intp)
    starts = np.array([start for _, start, _ in entries], dtype=np.intp)
    registers = (starts[:, None] + np.arange(entries[0][2].count)).ravel()
    scattered = None if isinstance(_neighbours(registers), slice) else registers
    return _Group(_neighbours(rows), len(entries), 2 * int(starts[0]), scattered, dtype, swapped, bcd)


def _neighbours(positions: Rows) -> Rows | slice:
    """A slice, which numpy copies several times faster than it gathers."""
    if len(positions) and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _turned(registers: bytes) -> array[int]:
    """The two bytes of each register the other way round; a third of what numpy takes for so few."""
    turned = array("H", registers)
    turned.byteswap()
    return turned


def _decode(registers: bytes | array[int], group: _Group) -> NDArray[Any]:
    if group.scattered is None:
        found = np.frombuffer(registers, group.dtype, group.count, group.offset)
    else:
        found = np.frombuffer(registers, _REGISTER).take(group.scattered).view(group.dtype)
    return _bcd(found) if group.bcd else found


def _bcd(found: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Four bits a digit; NaN where one is no digit."""
    whole, total, fine = found.astype(np.uint64), np.zeros(len(found)), np.ones(len(found), dtype=bool)
    for place in range(found.dtype.itemsize * 2):
        digit = (whole >> np.uint64(4 * place)) & np.uint64(15)
        total += digit * 10.0**place
        fine &= digit <= 9
    return np.where(fine, total, np.nan)


def _text(raw: bytes, item: Item) -> tuple[float, int]:
    """Two characters a register, high byte first (BADC: low byte first), padded with zeros or blanks."""
    if item.turned:
        raw = bytes(raw[i ^ 1] for i in range(len(raw)))
    text = raw.split(b"\x00")[0].decode("latin-1").strip()
    for word, value in item.states:
        if word == text:
            return value, GOOD
    return float("nan"), Quality.BAD_TYPE


def _mark(value: NDArray[np.float64], quality: NDArray[np.uint8], groups: list[_Group]) -> None:
    """NaN and infinity are bad, each for its reason."""
    finite = np.isfinite(value)
    odd = ~finite & (quality == GOOD)
    quality[odd] = Quality.BAD_NOT_FINITE
    for group in groups:
        if group.bcd:
            quality[group.rows] = np.where(np.isnan(value[group.rows]), Quality.BAD_FORMAT, quality[group.rows])
    value[odd] = np.nan
