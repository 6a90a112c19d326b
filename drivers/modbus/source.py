"""Reads the units of one line; one Batch per round of a group. Writes what `lineside write` asks for, and nothing else."""

from __future__ import annotations

import asyncio

from drivers.certificates import Certificates
from drivers.modbus import memory
from drivers.modbus.config import ModbusOptions
from drivers.modbus.derive import Counters, Exponents
from drivers.modbus.encode import request_to_write
from drivers.modbus.line import Line, Terms, User, claim
from drivers.modbus.link import NoAnswer
from drivers.modbus.messages import OF_THE_ADDRESS, Refused, Request, read
from drivers.modbus.plan import Block, Learnt, halves, plan, read_map
from drivers.modbus.report import Report
from drivers.modbus.rounds import ASK_REFUSED_SECONDS, NOMINAL_SECONDS, Got, Group, Reading, nothing, pick, pieced
from gateway.contract import Batch, ConfigError, NotConnected, Quality, SourceContext, Tag


class ModbusSource:
    """See README.md. Raises ConfigError at once for an address that makes no sense."""

    def __init__(self, options: ModbusOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._map = read_map(context.tags, options)
        self._terms = Terms.of(options)
        units = frozenset(item.unit for item in self._map.items) or frozenset({options.unit_id})
        self._user = User(context.name, units, options.timeout)
        self._line: Line | None = None
        self._learnt: Learnt | None = None  # until `connect` has read what is remembered
        self._groups: dict[str, Group] = {}
        self._refused: set[int] = set()
        self._cuts: set[int] = set()
        self._exponents, self._counters = Exponents(self._map.exponents), Counters(context.tags)
        self._report, self._certificates = Report(context.health, self._map.items), Certificates(context)

    async def connect(self) -> None:
        if self._learnt is None:
            learnt = await asyncio.to_thread(memory.load, self._context.state_dir, self._map.items)
            self._plan(learnt)
            self._report.refused(learnt.refused)
        self._line = claim(self._terms, self._context.clock, self._user)
        await self._line.open(self._user)
        self._certificates.seen(self._line.ends)
        now = self._context.clock.monotonic()
        for group in self._groups.values():
            group.due, group.under_way = now, None

    async def read(self) -> Batch:
        while True:
            group = await self._due()
            batch = await self._step(group)
            while batch is None and len(self._groups) == 1:  # nobody else could be due in between
                batch = await self._step(group)
            if batch is not None:
                self._certificates.look()
                return self._counters.apply(self._exponents.apply(batch))

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close(self._user)

    async def write(self, tag: Tag, value: float) -> None:
        request = request_to_write(tag, self._options, value)
        try:
            await self._ask(request, self._context.clock.monotonic())
        except Refused as exc:
            raise ConfigError(f"{tag.path}: the device refuses {value:g}: {exc}") from exc
        except NoAnswer as exc:
            raise NotConnected(self._terms.endpoint.peer, str(exc)) from exc

    async def _due(self) -> Group:
        """The group to serve now; waits until there is one. Points of the grid that have passed are skipped and counted."""
        clock, groups = self._context.clock, [*self._groups.values()]
        while (group := pick(groups, clock)) is None:
            await clock.sleep(min((group.due for group in groups), default=clock.monotonic() + NOMINAL_SECONDS) - clock.monotonic())
        if group.under_way is None:
            group.begin(clock.monotonic(), self._context.skipped)
        return group

    async def _step(self, group: Group) -> Batch | None:
        """One request of the group's round, and when it was the last the round's batch."""
        reading = group.under_way or group.normal
        at = len(group.got)
        if at < len(reading.blocks):
            block = reading.blocks[at]
            if self._line is not None and (why := self._line.resting(block.unit)):
                got = self._silent(self._line, block, why)
            else:
                group.asked = True
                got = await self._get(block, reading.requests[at], group.deadline)
            group.got.append(got)
            if at + 1 < len(reading.blocks):
                return None
        await self._learn()
        return group.end(self._context.clock.monotonic())

    async def _get(self, block: Block, request: Request, deadline: float) -> Got:
        """What is refused for its address is halved until it is alone."""
        clock = self._context.clock
        try:
            payload = await self._ask(request, deadline)
        except NoAnswer as exc:
            if self._line is not None and self._line.resting(block.unit):
                return self._silent(self._line, block, str(exc))
            return nothing(block, clock.now_ns(), Quality.BAD_FORMAT)
        except Refused as exc:
            self._report.unit(block.unit, "")
            if exc.code not in OF_THE_ADDRESS:
                return nothing(block, clock.now_ns())
            if len(block.items) > 1:
                return await self._get_halves(block, deadline)
            self._refused.add(block.items[0].index)
            return nothing(block, clock.now_ns())
        if self._report.silent:
            self._report.unit(block.unit, "")
        if len(block.items) == 1:
            self._refused.discard(block.items[0].index)
        return Got(payload, clock.now_ns())

    def _silent(self, line: Line, block: Block, why: str) -> Got:
        """The unit rests, and its tags are bad. Raises NotConnected when no other unit of this source is left."""
        line.raise_if_all_rest(self._user)
        self._report.unit(block.unit, why)
        return nothing(block, self._context.clock.now_ns())

    async def _get_halves(self, block: Block, deadline: float) -> Got:
        known = len(self._refused) + len(self._cuts)
        parts = [
            (half, await self._get(half, read(half.unit, half.table, half.start, half.count), deadline))
            for half in halves(block, self._options)
        ]
        answered = not any(got.bad for _, got in parts)
        if answered and len(self._refused) + len(self._cuts) == known:  # neither half is to blame: it is the gap between them
            self._cuts.add(parts[1][0].items[0].index)
        return pieced(block, parts)

    async def _ask(self, request: Request, deadline: float) -> bytes:
        if self._line is None:
            raise NotConnected(self._terms.endpoint.peer, "not connected")
        return await self._line.ask(self._user, request, deadline)

    async def _learn(self) -> None:
        """Plan anew when a refusal, or its end, taught something; it is remembered over restarts."""
        learnt = Learnt(frozenset(self._refused), frozenset(self._cuts))
        if learnt == self._learnt:
            return
        self._plan(learnt)
        self._report.refused(learnt.refused)
        try:
            await asyncio.to_thread(memory.save, self._context.state_dir, self._map.items, learnt)
        except OSError:
            return  # a full disk costs a search after the next restart, nothing else

    def _plan(self, learnt: Learnt) -> None:
        self._learnt, self._refused, self._cuts = learnt, set(learnt.refused), set(learnt.cuts)
        ask_alone_at = self._context.clock.monotonic() + ASK_REFUSED_SECONDS
        for name in {item.group: None for item in self._map.items}:
            blocks = plan([item for item in self._map.items if item.group == name], self._options, learnt)
            alone = [block for block in blocks if block.items[0].index in learnt.refused]
            normal = [block for block in blocks if block not in alone]
            period = self._options.groups[name] if name else self._options.poll_seconds
            group = self._groups.setdefault(name, Group(period))
            group.normal, group.alone, group.ask_alone_at = Reading(normal), Reading(alone), ask_alone_at
