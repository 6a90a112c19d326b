"""A driver of somebody else that reads once and then computes for ever, or takes all memory it can get."""

from __future__ import annotations

import asyncio
from typing import Literal

from gateway.contract import Batch, SourceContext, SourceOptions, SourcePlugin, TagOptions


class Options(SourceOptions):
    looping: Literal["loop", "eat"]


class LoopingSource:
    def __init__(self, options: Options, context: SourceContext) -> None:
        self._options, self._context, self._reads = options, context, 0

    async def connect(self) -> None:
        self._reads = 0

    async def read(self) -> Batch:
        await asyncio.sleep(0.5)
        self._reads += 1
        kept = []
        while self._reads > 1:
            if self._options.looping == "eat":
                kept.append(bytearray(1 << 20))
        return Batch.of([tag.index for tag in self._context.tags], self._context.clock.now_ns(), 0.0)

    async def close(self) -> None: ...


plugin = SourcePlugin(name="looping", options=Options, tag=TagOptions, build=LoopingSource)
