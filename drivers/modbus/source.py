"""Polls one Modbus unit; one Batch per poll."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.config import ModbusOptions
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, items_of, plan
from drivers.modbus.wire import Refused, Wire
from gateway.contract import GOOD, Batch, Quality, SourceContext

ILLEGAL_ADDRESS, BUSY = 2, (5, 6)
RETRY_REFUSED_SECONDS = 60.0


class ModbusSource:
    """See README.md. Raises ConfigError at once for an address that makes no sense."""

    def __init__(self, options: ModbusOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._items = items_of(context.tags, options)
        self._refused: frozenset[int] = frozenset()
        self._ask_refused_at = 0.0
        self._wire = Wire(options)
        self._next_poll = 0.0
        self._replan()

    async def connect(self) -> None:
        await self._wire.connect()
        self._next_poll = self._context.clock.monotonic()

    async def read(self) -> Batch:
        await self._pace()
        clock = self._context.clock
        tags: list[NDArray[np.int32]] = []
        times: list[int] = []
        values: list[NDArray[np.float64]] = []
        qualities: list[NDArray[np.uint8]] = []
        due = self._due()
        refused: set[int] = set(self._refused) if due is self._blocks else set()
        for block, decoder in due:
            value, quality = await self._read(block, decoder, refused)
            tags.append(decoder.tag)
            times.append(clock.now_ns())
            values.append(value)
            qualities.append(quality)
        if refused != self._refused:
            self._refused = frozenset(refused)
            self._replan()
        if not tags:
            return Batch.of([], [], [])
        return Batch(
            np.concatenate(tags),
            np.repeat(np.array(times, dtype=np.int64), [len(tag) for tag in tags]),
            np.concatenate(values),
            np.concatenate(qualities),
        )

    async def close(self) -> None:
        self._wire.close()

    async def _pace(self) -> None:
        """Wait for the next point of the poll grid; points that have passed are skipped and counted."""
        period, clock = self._options.poll_seconds, self._context.clock
        if period <= 0:
            return
        late = clock.monotonic() - self._next_poll
        if late > period:
            missed = floor(late / period)
            self._context.dropped("late_poll", missed * len(self._items))
            self._next_poll += missed * period
        await clock.sleep(self._next_poll - clock.monotonic())
        self._next_poll += period

    def _replan(self) -> None:
        blocks = [(block, Decoder(block)) for block in plan(self._items, self._options, self._refused)]
        self._blocks = [entry for entry in blocks if entry[0].items[0].index not in self._refused]
        self._alone = [entry for entry in blocks if entry[0].items[0].index in self._refused]
        self._ask_refused_at = self._context.clock.monotonic() + RETRY_REFUSED_SECONDS

    def _due(self) -> list[tuple[Block, Decoder]]:
        """All blocks; what the device refuses is asked again once a minute, not at every poll."""
        if self._alone and self._context.clock.monotonic() >= self._ask_refused_at:
            self._ask_refused_at = self._context.clock.monotonic() + RETRY_REFUSED_SECONDS
            return [*self._blocks, *self._alone]
        return self._blocks

    async def _read(self, block: Block, decoder: Decoder, refused: set[int]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Values and qualities in the order of the block's items; halves the block to find the address it is refused for."""
        if self._options.pause:
            await self._context.clock.sleep(self._options.pause)
        try:
            value = decoder.decode(await self._wire.read(block))
        except Refused as exc:
            n = len(block.items)
            if exc.code not in BUSY and n > 1:
                first, second = self._halves(block)
                parts = [await self._read(half, Decoder(half), refused) for half in (first, second)]
                return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
            if exc.code not in BUSY:
                refused.add(block.items[0].index)
            return np.full(n, np.nan), np.full(n, Quality.BAD_DEVICE, dtype=np.uint8)
        finite = np.isfinite(value)
        if finite.all():
            return value, np.full(len(value), GOOD, dtype=np.uint8)
        return np.where(finite, value, np.nan), np.where(finite, GOOD, Quality.BAD_NOT_FINITE).astype(np.uint8)

    @staticmethod
    def _halves(block: Block) -> tuple[Block, Block]:
        middle = len(block.items) // 2
        halves = []
        for items in (block.items[:middle], block.items[middle:]):
            start = items[0].start
            halves.append(replace(block, start=start, count=max(i.start + i.count for i in items) - start, items=items))
        return halves[0], halves[1]
