"""When which group of tags is read: periods on a grid, late ones skipped, and what a round has gathered so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import NamedTuple

import numpy as np

from drivers.modbus.decode import Decoder
from drivers.modbus.messages import Request, read
from drivers.modbus.plan import Block
from gateway.contract import Batch, Clock, Quality

NOMINAL_SECONDS = 1.0
"""The period of those who poll as fast as they can, where they stand beside others; and of those who have nothing to ask."""


ASK_REFUSED_SECONDS = 60.0


class Reading:
    """The requests of one round, compiled."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = list(blocks)
        self.requests: list[Request] = [read(block.unit, block.table, block.start, block.count) for block in blocks]
        self.decoder = Decoder(self.blocks)


class Got(NamedTuple):
    """What came for one block. `bad` are the indices of its items that have no value, each with its quality."""

    payload: bytes
    t_ns: int
    bad: Mapping[int, Quality] = {}


@dataclass
class Group:
    """Tags of one period.

    normal       what is read at each round
    alone        what the device refuses: read along once a minute
    due          next point of the grid
    under_way    what this round reads, and `got` so far
    asked        something was really asked in this round
    """

    period: float
    normal: Reading = field(default_factory=lambda: Reading(()))
    alone: Reading = field(default_factory=lambda: Reading(()))
    due: float = 0.0
    ask_alone_at: float = 0.0
    under_way: Reading | None = None
    got: list[Got] = field(default_factory=list)
    asked: bool = False

    @property
    def deadline(self) -> float:
        """Of the round under way, or of the one that is due."""
        return self.due if self.under_way else self.due + (self.period or NOMINAL_SECONDS)

    def begin(self, now: float, skipped: Callable[[int], None]) -> None:
        """A round starts; points of the grid that have passed are skipped and counted."""
        if self.period and now - self.due > self.period:
            missed = floor((now - self.due) / self.period)
            skipped(missed)
            self.due += missed * self.period
        self.due = self.due + self.period if self.period else now + NOMINAL_SECONDS
        self.under_way, self.got, self.asked = self.normal, [], False
        if self.alone.blocks and now >= self.ask_alone_at:
            self.ask_alone_at = now + ASK_REFUSED_SECONDS
            self.under_way = Reading([*self.normal.blocks, *self.alone.blocks])

    def end(self, now: float) -> Batch:
        """The round as a batch; columns in the order of the blocks."""
        reading, got = self.under_way or self.normal, self.got
        self.under_way, self.got = None, []
        if not self.period:
            self.due = now if self.asked else now + NOMINAL_SECONDS
        value, quality = reading.decoder.decode(*_joined(reading.blocks, got))
        for one in got:
            for index, why in one.bad.items():
                rows = reading.decoder.tag == index
                value[rows], quality[rows] = np.nan, why
        times = np.repeat(np.array([one.t_ns for one in got], dtype=np.int64), reading.decoder.counts)
        return Batch(reading.decoder.tag, times, value, quality)


def _joined(blocks: Sequence[Block], got: Sequence[Got]) -> tuple[bytes, bytes]:
    return (
        b"".join([one.payload for block, one in zip(blocks, got, strict=True) if not block.bits]),
        b"".join([one.payload for block, one in zip(blocks, got, strict=True) if block.bits]),
    )


def size(block: Block) -> int:
    """Bytes of the payload of its answer."""
    return (block.count + 7) // 8 if block.bits else 2 * block.count


def nothing(block: Block, t_ns: int, why: Quality = Quality.BAD_DEVICE) -> Got:
    """All items of the block are bad."""
    return Got(bytes(size(block)), t_ns, dict.fromkeys((item.index for item in block.items), why))


def pieced(block: Block, parts: Sequence[tuple[Block, Got]]) -> Got:
    """One answer from those of its parts, with zeros where nothing was read; the time is that of the last. Parts may overlap."""
    wide = np.zeros(block.count, dtype="u1" if block.bits else ">u2")
    bad: dict[int, Quality] = {}
    for part, got in parts:
        raw = np.frombuffer(got.payload, dtype="u1" if block.bits else ">u2")
        fields = np.unpackbits(raw, bitorder="little") if block.bits else raw
        for item in part.items:
            if item.index not in got.bad:
                wide[item.start - block.start :][: item.count] = fields[item.start - part.start :][: item.count]
        bad |= got.bad
    return Got((np.packbits(wide, bitorder="little") if block.bits else wide).tobytes(), parts[-1][1].t_ns, bad)


def pick(groups: Sequence[Group], clock: Clock) -> Group | None:
    """Of those under way or due, the one with the earliest deadline."""
    now = clock.monotonic()
    ready = [group for group in groups if group.under_way is not None or group.due <= now]
    return min(ready, key=lambda group: group.deadline, default=None)
