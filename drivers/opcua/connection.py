"""Everything of one connection: session, names, subscription, items; gone with it, and built anew for the next."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.opcua import ask, items
from drivers.opcua.config import OpcuaOptions
from drivers.opcua.cursor import Cursor
from drivers.opcua.events import QUEUE, Alarms, events_of, refresh
from drivers.opcua.history import Backfill
from drivers.opcua.pick import Blocks, Pick, pick_of
from drivers.opcua.resolve import NO_NAMESPACE, Names
from drivers.opcua.session import Session
from drivers.opcua.structure import has
from drivers.opcua.subscription import Silent, Subscription
from drivers.opcua.types import Types
from drivers.opcua.values import EPOCH_TICKS
from drivers.opcua.wire import EPOCH_1601
from gateway.contract import BAD, Batch, Item, SourceContext

NO_FIELD = "the server defines no such field"
_EPOCH_SECONDS = EPOCH_TICKS / 1e7


class Connection:
    """Methods raise one of `refusal.FAILURES`.

    pending   client handles that were not asked for yet
    refused   what is not read, by client handle, and why
    """

    def __init__(self, options: OpcuaOptions, context: SourceContext, alarms: Sequence[Alarms], cursor: Cursor | None) -> None:
        self._options, self._context, self._cursor = options, context, cursor
        self._heartbeat = len(context.tags)
        self._alarms = {self._heartbeat + 1 + number: each for number, each in enumerate(alarms)}
        self.session = Session(options, context)
        self.subscription = Subscription(self.session, options, context.tags, clock=context.clock, dropped=context.dropped)
        self.backfill: Backfill | None = None
        self.refused: dict[int, str] = {}
        self.pending: list[int] = []
        self._nodes: dict[int, Any] = {}
        self._picks: dict[int, Pick] = {}
        self._watchdog_seconds = options.watchdog
        self._heard = False
        self._read_time: float = math.nan
        self._ticks = False

    async def open(self) -> None:
        """Also raises ConfigError."""
        await self.session.open()
        self._limits = await ask.limits(self.session)
        await self._look_up()
        tags = self._context.tags
        self.subscription.blocks = {i: Blocks(tag) for i, tag in enumerate(tags) if tag.options.kind == "waveform"}
        await self.subscription.create()
        await self._listen()
        if self._cursor is not None and self._options.backfill is not None:
            self._cursor.connected(self._options.backfill)
            index = np.array([tag.index for tag in tags], dtype=np.int32)
            self.backfill = Backfill(self.session, self._cursor, self._nodes, self._picks, index, self._limits.history)
        self.pending = [*range(len(tags)), *self._alarms]

    async def go_on(self) -> None:
        """Ask for the next portion of `pending`; behind the last one, for the alarms that are open."""
        handles, self.pending = self.pending[: self._limits.items], self.pending[self._limits.items :]
        await self.monitor(handles)
        if not self.pending and any(handle not in self.refused for handle in self._alarms):
            await refresh(self.session, self.subscription.id)

    async def ask_refused(self) -> None:
        """Once more after what was refused. A PLC whose program came after its server has other names and types than before."""
        await self._look_up()
        refused = list(self.refused)
        await self.monitor(refused)
        if any(handle in self._alarms and handle not in self.refused for handle in refused):
            await refresh(self.session, self.subscription.id)

    async def close(self) -> None:
        """Never raises."""
        await self.session.close()
        await self.subscription.end()

    async def monitor(self, handles: Sequence[int]) -> None:
        """Create items; what the server refuses stays in `refused`, what it took leaves it."""
        requests, refused = await self._requests([handle for handle in handles if handle < self._heartbeat])
        for handle in handles:
            if handle in self._alarms:
                request = await self._event_request(handle)
                if request is None:
                    refused[handle] = NO_NAMESPACE
                else:
                    requests[handle] = request
        taken = await items.create(self.session, self.subscription.id, requests, self._limits.items)
        refused |= {handle: answer.refused for handle, answer in taken.items() if answer.refused}
        self.refused = {handle: why for handle, why in self.refused.items() if handle not in handles} | refused

    async def next(self, wake: asyncio.Event | None) -> tuple[list[Item], NDArray[np.int64], NDArray[np.int64]]:
        """(items, and of the readings among them position of the tag and time)"""
        nothing: NDArray[np.int64] = np.zeros(0, np.int64)
        published = await self.subscription.next(wake)
        if published is None:
            return [], nothing, nothing
        readings: list[Item] = [*self.subscription.readings(published)]
        records, broken = events_of(published.events, self._alarms, self._context.clock.now_ns())
        if broken:
            self._context.dropped("undecodable", broken)
        if any(each.refresh_required for each in self._alarms.values()):
            for each in self._alarms.values():
                each.refresh_required = False
            await refresh(self.session, self.subscription.id)
        batch = readings[0] if readings and isinstance(readings[0], Batch) else None
        if self._cursor is None or batch is None:
            return [*readings, *records], nothing, nothing
        good = batch.quality < BAD
        return [*readings, *records], self.subscription.positions(batch.tag[good]), batch.t_ns[good]

    async def watch(self) -> None:
        """Raises Silent when keep-alives come, and nothing else though there should be: the rivals' classic."""
        subscription = self.subscription
        if subscription.silence_seconds < self._watchdog_seconds:
            return
        subscription.silence_seconds = 0.0
        (told,) = await ask.read(self.session, [ask.SERVER_TIME])
        now = _seconds(told) if isinstance(told, datetime) else math.nan
        before, self._read_time = subscription.server_time if self._heard else self._read_time, now
        goes_on = not abs(now - before) < 0.001  # one of them is cut to microseconds; NaN never came
        seconds = f"{self._watchdog_seconds:g} s"
        if self._heard and goes_on:
            raise Silent(f"connected but silent: the server's time goes on, but nothing came through the subscription for {seconds}")
        if not goes_on and (subscription.server_time_moved or self._ticks):
            raise Silent(f"connected but silent: the server's time has stood still for {seconds}")
        self._ticks |= goes_on and not math.isnan(before)

    async def _look_up(self) -> None:
        self._names = await Names.of(self.session, self._limits)
        self._types = Types(self.session)

    async def _listen(self) -> None:
        """Let the server's time come the same way as all values."""
        request = items.value_item(self._heartbeat, ask.SERVER_TIME, self._options)
        request.RequestedParameters.SamplingInterval, request.RequestedParameters.QueueSize = 1000.0, 1
        answer = (await items.create(self.session, self.subscription.id, {self._heartbeat: request}, 1))[self._heartbeat]
        self._heard = not answer.refused
        self._watchdog_seconds = max(self._options.watchdog, 3 * answer.sampling_seconds)

    async def _requests(self, positions: Sequence[int]) -> tuple[dict[int, Any], dict[int, str]]:
        tags = self._context.tags
        nodes, refused = await self._names.nodes({position: tags[position].options for position in positions})
        deep = {position: node for position, node in nodes.items() if tags[position].options.field}
        layouts = await self._types.of(deep) if deep else {}
        requests: dict[int, Any] = {}
        for position, node in nodes.items():
            pick = pick_of(tags[position].options, layouts.get(position))
            if pick is not None and pick.field and (pick.layout is None or not has(pick.layout, pick.field)):
                refused[position] = NO_FIELD
                continue
            if pick is not None:
                self._picks[position] = pick
            self._nodes[position] = node
            requests[position] = items.value_item(position, node, self._options, tags[position].options.server_deadband)
        self.subscription.picks = self._picks
        return requests, refused

    async def _event_request(self, handle: int) -> Any:
        alarms = self._alarms[handle]
        node = self._names.node(alarms.options.events)
        if node is None:
            return None
        await alarms.prepare(self.session, self._names)
        return items.event_item(handle, node, alarms.filter(self._names), QUEUE)


def _seconds(moment: Any) -> float:
    """A datetime of the library (UTC, with or without saying so) as seconds since 1970."""
    return float((moment.replace(tzinfo=EPOCH_1601.tzinfo) - EPOCH_1601).total_seconds()) - _EPOCH_SECONDS
