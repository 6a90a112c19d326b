"""A driver of somebody else that misbehaves; copied into a package of its own for the daemon to find."""

from __future__ import annotations

import asyncio
import os
from typing import Literal

import numpy as np

from gateway.contract import Batch, SourceContext, SourceOptions, SourcePlugin, TagOptions


class FaultyOptions(SourceOptions):
    """What it does at its tenth reading."""

    faulty: Literal["raises", "loops", "ends", "eats"]


class FaultyTag(TagOptions):
    """No options."""


class FaultySource:
    def __init__(self, options: FaultyOptions, context: SourceContext) -> None:
        self._options, self._context, self._count = options, context, 0

    async def connect(self) -> None:
        self._count = 0

    async def read(self) -> Batch:
        await asyncio.sleep(0.05)
        self._count += 1
        if self._count >= 10:
            await self._misbehave()
        index = np.array([tag.index for tag in self._context.tags], dtype=np.int32)
        return Batch.of(index, np.full(len(index), self._context.clock.now_ns()), np.full(len(index), float(self._count)))

    async def _misbehave(self) -> None:
        kept = []
        if self._options.faulty == "raises":
            raise RuntimeError("a bug")
        while self._options.faulty == "loops":
            pass
        while self._options.faulty == "eats":
            kept.append(bytearray(b"x" * 10_000_000))
        os._exit(3)

    async def close(self) -> None: ...


plugin = SourcePlugin(name="faulty", options=FaultyOptions, tag=FaultyTag, build=FaultySource)
