"""Polls one Modbus unit; one Batch per poll."""

from __future__ import annotations

from math import floor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.config import ModbusOptions
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, Learnt, halves, items_of, plan
from drivers.modbus.wire import Refused, Wire
from gateway.contract import GOOD, Batch, Quality, SourceContext

OF_THE_ADDRESS = (1, 2, 3)  # illegal function, address, value; all other exceptions are the state the device is in
ASK_REFUSED_SECONDS = 60.0
_Answer: TypeAlias = tuple[NDArray[np.float64], NDArray[np.uint8]]


class ModbusSource:
    """See README.md. Raises ConfigError at once for an address that makes no sense."""

    def __init__(self, options: ModbusOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._items = items_of(context.tags, options)
        self._learnt = Learnt()
        self._wire = Wire(options)
        self._next_poll = 0.0
        self._ask_refused_at = 0.0
        self._replan()

    async def connect(self) -> None:
        await self._wire.connect()
        self._next_poll = self._context.clock.monotonic()

    async def read(self) -> Batch:
        await self._pace()
        due = self._due()
        refused: set[int] = set(self._learnt.refused) if due is self._blocks else set()
        cuts: set[int] = set(self._learnt.cuts)
        times: list[int] = []
        answers: list[_Answer] = []
        for block, decoder in due:
            answers.append(await self._ask(block, decoder, refused, cuts))
            times.append(self._context.clock.now_ns())
        self._learn(refused, cuts)
        if not answers:
            return Batch.of([], [], [])
        return Batch(
            np.concatenate([decoder.tag for _, decoder in due]),
            np.repeat(np.array(times, dtype=np.int64), [len(decoder.tag) for _, decoder in due]),
            np.concatenate([value for value, _ in answers]),
            np.concatenate([quality for _, quality in answers]),
        )

    async def close(self) -> None:
        self._wire.close()

    async def _pace(self) -> None:
        """Wait for the next point of the poll grid; points that have passed are skipped and counted."""
        clock = self._context.clock
        # With nothing to ask for, as fast as the device answers would be a loop without a pause.
        period = self._options.poll_seconds or (0.0 if self._blocks else 1.0)
        if period <= 0:
            return
        late = clock.monotonic() - self._next_poll
        if late > period:
            missed = floor(late / period)
            self._context.skipped(missed)
            self._next_poll += missed * period
        await clock.sleep(self._next_poll - clock.monotonic())
        self._next_poll += period

    def _due(self) -> list[tuple[Block, Decoder]]:
        """All blocks; what the device refuses is asked again once a minute, not at every poll."""
        if self._alone and self._context.clock.monotonic() >= self._ask_refused_at:
            self._ask_refused_at = self._context.clock.monotonic() + ASK_REFUSED_SECONDS
            return [*self._blocks, *self._alone]
        return self._blocks

    def _learn(self, refused: set[int], cuts: set[int]) -> None:
        learnt = Learnt(frozenset(refused), frozenset(cuts))
        if learnt != self._learnt:
            self._learnt = learnt
            self._replan()

    def _replan(self) -> None:
        blocks = [(block, Decoder(block)) for block in plan(self._items, self._options, self._learnt)]
        self._blocks = [entry for entry in blocks if entry[0].items[0].index not in self._learnt.refused]
        self._alone = [entry for entry in blocks if entry[0].items[0].index in self._learnt.refused]
        self._ask_refused_at = self._context.clock.monotonic() + ASK_REFUSED_SECONDS

    async def _ask(self, block: Block, decoder: Decoder, refused: set[int], cuts: set[int]) -> _Answer:
        """Values and qualities in the order of the block's items. What is refused for its address is halved until it is alone."""
        if self._options.pause:
            await self._context.clock.sleep(self._options.pause)
        try:
            value = decoder.decode(await self._wire.read(block))
        except Refused as exc:
            if exc.code in OF_THE_ADDRESS and len(block.items) > 1:
                return await self._ask_halves(block, refused, cuts)
            if exc.code in OF_THE_ADDRESS:
                refused.add(block.items[0].index)
            n = len(block.items)
            return np.full(n, np.nan), np.full(n, Quality.BAD_DEVICE, dtype=np.uint8)
        finite = np.isfinite(value)
        if finite.all():
            return value, np.full(len(value), GOOD, dtype=np.uint8)
        return np.where(finite, value, np.nan), np.where(finite, GOOD, Quality.BAD_NOT_FINITE).astype(np.uint8)

    async def _ask_halves(self, block: Block, refused: set[int], cuts: set[int]) -> _Answer:
        known = len(refused) + len(cuts)
        parts = halves(block)
        answers = [await self._ask(part, Decoder(part), refused, cuts) for part in parts]
        if len(refused) + len(cuts) == known:  # neither half is to blame: it is the gap between them
            cuts.add(parts[1].items[0].index)
        return np.concatenate([value for value, _ in answers]), np.concatenate([quality for _, quality in answers])
