"""From the bytes of a reply to values: one compiled set of numpy operations per block. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.config import DataType, Order
from drivers.modbus.plan import Block, Item

_NUMPY: dict[DataType, str] = {
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "float32": ">f4",
    "int64": ">i8",
    "uint64": ">u8",
    "float64": ">f8",
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Items of one type and order: `positions` in the block's items, `gather` byte offsets [items, bytes]."""

    positions: NDArray[np.intp]
    gather: NDArray[np.intp]
    dtype: str


class Decoder:
    """Compiled for one block.

    tag      int32[n] tag-table indices, the order of `decode`'s result
    """

    def __init__(self, block: Block) -> None:
        self.tag = np.array([item.index for item in block.items], dtype=np.int32)
        self._bits = block.table in ("coil", "discrete")
        self._offsets = np.array([item.start - block.start for item in block.items], dtype=np.intp)
        self._groups = [] if self._bits else _groups(block)
        masked = [(i, item.bit) for i, item in enumerate(block.items) if item.bit is not None]
        self._masked = np.array([i for i, _ in masked], dtype=np.intp)
        self._shift = np.array([bit for _, bit in masked], dtype=np.uint16)

    def decode(self, payload: bytes) -> NDArray[np.float64]:
        """float64[n]. `payload`: the register bytes of the reply, or its packed coil bits.

        Integers beyond 2^53 lose their last digits, as any float64 does.
        """
        raw = np.frombuffer(payload, dtype=np.uint8)
        if self._bits:
            return np.unpackbits(raw, bitorder="little")[self._offsets].astype(np.float64)
        if len(self._groups) == 1:
            value = self._decode_group(raw, self._groups[0])
        else:
            value = np.empty(len(self.tag))
            for group in self._groups:
                value[group.positions] = self._decode_group(raw, group)
        if len(self._masked):
            words = raw.view(">u2")[self._offsets[self._masked]]
            value[self._masked] = (words >> self._shift) & 1
        return value

    @staticmethod
    def _decode_group(raw: NDArray[np.uint8], group: _Group) -> NDArray[np.float64]:
        return raw[group.gather].view(group.dtype)[:, 0].astype(np.float64)


def _groups(block: Block) -> list[_Group]:
    kinds: dict[tuple[str, Order], list[int]] = {}
    for i, item in enumerate(block.items):
        dtype = "uint16" if item.dtype == "bool" else item.dtype
        kinds.setdefault((_NUMPY[dtype], item.order), []).append(i)
    return [
        _Group(np.array(rows, dtype=np.intp), np.array([_bytes_of(block.items[i], block, order) for i in rows], dtype=np.intp), dtype)
        for (dtype, order), rows in kinds.items()
    ]


def _bytes_of(item: Item, block: Block, order: Order) -> list[int]:
    """Where the item's bytes lie in the reply, most significant first."""
    words = list(range(item.start - block.start, item.start - block.start + item.count))
    if order in ("CDAB", "DCBA"):
        words.reverse()
    swapped = order in ("BADC", "DCBA")
    return [2 * word + (byte ^ swapped) for word in words for byte in (0, 1)]
