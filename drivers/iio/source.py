"""Reads a sensor's buffer in pieces and gives blocks; reads slow channels one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import nan
from typing import Any, TypeVar

from drivers.iio.blocks import Blocks, Scaled
from drivers.iio.config import IioOptions
from drivers.iio.device import TIMESTAMP, Device
from gateway.contract import GOOD, Batch, Item, NotConnected, Quality, SourceContext, Waveform

T = TypeVar("T")
SILENT_SECONDS = 5.0
DRAIN_SECONDS = 0.1


class IioSource:
    """See README.md. The kernel is asked on asyncio's executor, by one call at a time: a slow bus must not hold the loop."""

    def __init__(self, options: IioOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._waves = [tag for tag in context.tags if tag.options.kind == "waveform"]
        self._slow = [tag for tag in context.tags if tag.options.kind != "waveform"]
        self._device = Device(options)
        self._busy: asyncio.Future[Any] | None = None
        self._blocks: Blocks | None = None
        self._open = False
        self._poll_at = self._heard = self._drained = 0.0

    async def connect(self) -> None:
        self._blocks = await self._on_thread(self._begin)
        self._poll_at = self._heard = self._drained = self._context.clock.monotonic()
        self._open = True

    async def read(self) -> list[Item]:
        if not self._open:
            raise NotConnected(self._options.iio, "not open")
        while True:
            items: list[Item] = [*await self._slow_ones(), *await self._fast_ones()]
            if items:
                return items
            await self._context.clock.sleep(self._pause())

    async def close(self) -> None:
        self._open = False
        if self._busy is not None:
            await asyncio.wait([self._busy])
            self._busy.exception()  # what it failed at nobody asks any more
        self._busy = asyncio.ensure_future(asyncio.to_thread(self._device.close))
        await asyncio.wait([self._busy])
        self._busy = None

    def _begin(self) -> Blocks | None:
        channels = {tag.options.channel for tag in self._waves}
        self._device.close()
        self._device.open(channels, {tag.options.channel for tag in self._slow})
        if not channels:
            return None
        scaled = []
        for tag in self._waves:
            channel, own = tag.options.channel, (tag.options.scale, tag.options.offset)
            scale, offset = self._device.scaling(channel)
            scaled.append(Scaled(tag=tag.index, channel=channel, scale=scale, offset=offset, own=own))
        return Blocks(scaled, self._device.rate_hz, self._options.block, wall=self._device.wall_clock)

    def _pause(self) -> float:
        """Until something is due; the buffer is emptied several times a block and long before it is full."""
        until_poll = self._poll_at - self._context.clock.monotonic() if self._slow else DRAIN_SECONDS
        pause = min(until_poll, DRAIN_SECONDS, self._options.buffer / 4) if self._blocks is not None else until_poll
        return max(pause, 0.001)

    async def _slow_ones(self) -> list[Batch]:
        """A poll that is late is skipped, not queued."""
        now = self._context.clock.monotonic()
        if not self._slow or now < self._poll_at:
            return []
        late = int((now - self._poll_at) / self._options.poll_seconds)
        if late:
            self._context.skipped(late)
        self._poll_at += (late + 1) * self._options.poll_seconds
        values = await self._on_thread(lambda: [self._device.value(tag.options.channel) for tag in self._slow])
        t_ns = self._context.clock.now_ns()
        return [
            Batch.of(
                [tag.index for tag in self._slow],
                [t_ns] * len(values),
                [nan if value is None else value for value in values],
                [int(Quality.BAD_DEVICE) if value is None else GOOD for value in values],
            )
        ]

    async def _fast_ones(self) -> list[Waveform]:
        if self._blocks is None:
            return []
        columns = await self._on_thread(self._device.drain)
        now = self._context.clock.monotonic()
        since, self._drained = now - self._drained, now
        stamps = columns.pop(TIMESTAMP, None)
        count = len(next(iter(columns.values())))
        if not count:
            if now - self._heard > max(SILENT_SECONDS, 2 * self._options.block):
                raise NotConnected(self._options.iio, f"no samples for {now - self._heard:.0f} s; does its trigger run?")
            return []
        silent, self._heard = now - self._heard, now
        lost = self._overrun(count, since, stamped=stamps is not None)
        blocks = self._blocks.feed(columns, stamps, self._context.clock.now_ns(), lost=lost, since=silent)
        if missing := max((block.dropped for block in blocks), default=0):
            self._context.dropped("buffer_overrun", missing * len(self._waves))
        return blocks

    def _overrun(self, count: int, since: float, *, stamped: bool) -> int:
        """Without time stamps a full buffer is all that tells that samples are missing: about as many as time has passed for."""
        if stamped or not self._device.overrun or self._device.rate_hz is None:
            return 0
        return max(1, round(since * self._device.rate_hz) - count)

    async def _on_thread(self, call: Callable[[], T]) -> T:
        self._busy = asyncio.ensure_future(asyncio.to_thread(call))
        try:
            result: T = await asyncio.shield(self._busy)
        except OSError as exc:
            raise NotConnected(self._options.iio, (exc.strerror or str(exc)).lower()) from exc
        self._busy = None
        return result
