"""The middle of the line: takes what the sources gave, and ends with changes handed to `Acceptance`.

One task, one flush at a time. Idle, a reading is processed at once; under load, flushes wait about four times as long
as the last one took, so that the fixed cost of a flush is shared by many readings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from gateway.contract import BAD, Batch, Clock, Finding, Frame, Record, State, Waveform, reason
from gateway.engine.accept import Accepts
from gateway.engine.devices import Devices
from gateway.engine.inbox import Emitted, Inbox
from gateway.engine.lane import SlowLane
from gateway.engine.line import Line
from gateway.engine.order import in_order
from gateway.engine.setback import Resumed
from gateway.engine.shadow import Shadow
from gateway.engine.stages import leapt, run
from gateway.engine.watch import Watch
from gateway.incidents import Incidents, Rule
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")

PACE = 4.0
LONGEST_PAUSE = 0.02
HOUSEKEEPING_SECONDS = 0.5
_EVER_NS = -(1 << 63)


class Troubles(Protocol):
    """Looks at something that is no machine, and says what changed."""

    @property
    def rule(self) -> Rule:
        """How its findings become incidents."""

    def findings(self) -> list[Finding]:
        """Since the last look."""


class Pipeline:
    """order → stages → history → detectors → incidents → acceptance.

    devices    looks at the sources and at the times of what they read; its findings become incidents as a detector's do
    troubles   others whose findings do: of the gateway itself
    progress   called after each flush: feeds the watchdog, so a hung pipeline is noticed
    """

    def __init__(
        self,
        line: Line,
        incidents: Incidents,
        acceptance: Accepts,
        *,
        clock: Clock,
        counts: Counts,
        progress: Callable[[], None],
        devices: Devices | None = None,
        troubles: Sequence[Troubles] = (),
        inboxes: dict[str, Inbox] | None = None,
    ) -> None:
        self._devices, self.shadow = devices, Shadow(clock, incidents.make_id, counts)
        self._troubles: list[Troubles] = [*([devices] if devices is not None else []), *troubles]
        self.line, self._incidents, self._acceptance = line, incidents, acceptance
        self._clock, self._counts, self._progress = clock, counts, progress
        self.inboxes: dict[str, Inbox] = {} if inboxes is None else inboxes
        self.lane: Callable[[str], SlowLane | None] = lambda name: None
        """The lane of a slow watch by name."""
        self.keep: Callable[[Iterable[Waveform]], None] = lambda blocks: None
        """Takes the blocks that a finding is about."""
        self._work = asyncio.Event()
        self.flushes = 0
        self.last_progress = clock.monotonic()
        self.latest_waveform: dict[int, Waveform] = {}
        self._unleapt_ns: dict[int, int] = {}
        self.resumed = Resumed({})
        """What the machines told last before the start."""
        self.right: Callable[[int], int] | None = None
        """Shortly after the clock was put right: the time of a record that was on its way then, put right too."""
        self.changing = asyncio.Lock()
        """Held by a reload: what it makes ready would miss a leap of any clock."""

    def wake(self) -> None:
        self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(self._patience(), self._work.set)
            await self._work.wait()
            timer.cancel()
            self._work.clear()
            started = time.perf_counter()
            busy = self.flush()
            spent = time.perf_counter() - started
            await self._room()
            if busy:
                await asyncio.sleep(min(LONGEST_PAUSE, PACE * spent))

    async def _room(self) -> None:
        """Wait while the disk takes nothing and too much waits for it: known, told, and no reason for the watchdog."""
        while not await self._acceptance.room(HOUSEKEEPING_SECONDS):
            self._progress()

    def flush(self) -> bool:
        """Process everything queued; True if there was anything."""
        emitted = [(name, inbox, taken) for name, inbox in self.inboxes.items() if (taken := inbox.take()) or inbox.reorder is not None]
        if emitted:
            self._process(emitted)
        for troubles in self._troubles:
            for finding in troubles.findings():
                self._change(finding, troubles.rule, from_record=False)
        for change in self._incidents.tick():
            self._acceptance.change(change)
        self.shadow.tick()
        self.flushes += 1
        self.last_progress = self._clock.monotonic()
        self._progress()
        return any(taken for _, _, taken in emitted)

    def end(self, name: str) -> None:
        """The source is gone: process what it has given, then forget it."""
        self.flush()
        reorder = self.inboxes[name].reorder
        if reorder is not None and (held := reorder.drain()) is not None:
            self._readings(held)
        del self.inboxes[name]

    def found(self, watch: Watch, findings: Iterable[Finding], *, from_record: bool = False) -> None:
        """Findings of one detector become changes."""
        if watch.shadow:
            self.shadow.found(watch, findings)
            return
        for finding in findings:
            self._counts.add("findings", 1, watch=watch.name, state=finding.state.value)
            if finding.state is State.FACT:
                self._acceptance.fact(finding, watch.rule, from_record=from_record)
                continue
            self._change(finding, watch.rule, from_record=from_record)
            if finding.state is State.ACTIVE and "block" in finding.evidence:
                self.keep(watch.blocks(finding.machine))

    def _change(self, finding: Finding, rule: Rule, *, from_record: bool) -> None:
        for change in self._incidents.apply(finding, rule, from_record=from_record):
            self._acceptance.change(change)

    def _patience(self) -> float:
        due = self._incidents.next_due()
        return HOUSEKEEPING_SECONDS if due is None else min(HOUSEKEEPING_SECONDS, max(0.0, due - self._clock.monotonic()))

    def _process(self, emitted: list[tuple[str, Inbox, list[Emitted]]]) -> None:
        ordered = [batch for name, inbox, taken in emitted if (batch := self._ordered(name, inbox, taken)) is not None]
        if ordered:
            self._readings(Batch.concat(ordered))
        for _, _, taken in emitted:
            for entry in taken:
                if isinstance(entry.item, Waveform):
                    self._waveform(entry.item)
                elif isinstance(entry.item, Record):
                    self._record(entry.item)
                    if entry.accepted is not None:
                        self._acceptance.acknowledge(entry.accepted)
        if self.line.table.behind.any and not self.changing.locked():
            self._set_back()

    def _ordered(self, name: str, inbox: Inbox, taken: list[Emitted]) -> Batch | None:
        """The readings of one source in the order of their time."""
        batches = [entry.item for entry in taken if isinstance(entry.item, Batch)]
        batch = in_order(Batch.concat(batches)) if batches else None
        if batch is not None and self._devices is not None:
            self._devices.times(name, batch, self._clock.now_ns())
        if batch is not None and self.resumed:
            self._resume(name, int(batch.t_ns[-1]))
        return batch if inbox.reorder is None else inbox.reorder.pass_on(batch)

    def _readings(self, batch: Batch) -> None:
        line = self.line
        everything, passed = run(batch, line.table, self._clock.now_ns())
        self._counts.add("readings", len(everything))
        if line.table.followed:
            self._follow()
        if len(passed) < len(everything):
            self._count_bad(everything)
        line.history.add(everything)
        for watch in line.watches:
            batch = everything if watch.everything else passed
            if watch.detector is not None and len(batch):
                for item in watch.items(batch, line.table):
                    self._look(watch, item)

    def look_again(self, old: Line) -> None:
        """After a reload, at what each tag told last: for a watch that was made anew a source that tells only changes may have nothing for
        long, and what was to be told by other limits has not changed. But not where that is of a clock's time before it leapt, nor where
        the tag has changed: with another scale, or from elsewhere, it is another.
        """
        table = self.line.table
        judged = (table.last_quality < BAD) & (table.unleapt_ns == 0) & self.line.same_tags(old)
        known = np.flatnonzero((table.last_t_ns > 0) & judged)
        last = in_order(Batch(known.astype(np.int32), table.last_t_ns[known], table.last_value[known], table.last_quality[known]))
        for watch in self.line.watches:
            if watch in old.watches or watch.slow or watch.detector is None or watch.takes != {Batch}:
                continue
            for item in watch.items(last, table) if len(last) else ():
                self._look(watch, item)

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much; who goes by it shows with its next item."""
        self.resumed = Resumed({})
        line = self.line
        silent = self._silent
        self._unleapt_ns = {tag: self._unleapt_ns.get(tag, 0) + delta_ns for tag in self.latest_waveform}
        line.table.leap(delta_ns)
        line.history.leap(delta_ns)
        for watch in line.watches:
            watch.leap(delta_ns, silent)
        self.shadow.leap(delta_ns)
        if self._devices is not None:
            self._devices.leap()

    @property
    def _silent(self) -> set[int]:
        """Tags that have not shown yet whether they follow a leap."""
        return {*np.flatnonzero(self.line.table.unleapt_ns).tolist(), *self._unleapt_ns}

    def _set_back(self) -> None:
        """Whose clock was: what it tells is in order again, and nobody is deaf until the old time has come."""
        line, tags = self.line, self.line.settings.tags
        now_ns = self._clock.now_ns()
        evident = line.table.behind.evident(now_ns)
        for machine in {tags[index].machine for index in evident}:
            own = [tag.index for tag in tags if tag.machine == machine]
            late = [index for index in evident if tags[index].machine == machine]
            newest_ns = line.table.behind.newest_ns(late, now_ns)
            delta_ns = line.table.set_back(own, late)
            self._unleapt_ns |= dict.fromkeys(self.latest_waveform.keys() & set(own) - set(line.table.followed), delta_ns)
            self._say_set_back(machine, -delta_ns / 1e9)
            for watch in line.watches:
                watch.set_back(machine, delta_ns)
            if self._devices is not None:
                self._devices.set_back(machine, -delta_ns / 1e9)
            self._follow(newest_ns)  # the time before it is a minute ago

    def _resume(self, machine: str, t_ns: int) -> None:
        """It was set back shortly before the start, or while nothing ran: what detectors remember goes along."""
        now_ns = self._clock.now_ns()
        if self.changing.locked() or not self.line.table.plausible(t_ns, now_ns):
            return
        if delta_ns := self.resumed.set_back(machine, t_ns, now_ns):
            self._say_set_back(machine, -delta_ns / 1e9)
            for watch in self.line.watches:
                watch.went_back(-delta_ns, machine)

    def _say_set_back(self, machine: str, seconds: float) -> None:
        log.warning("the clock of a source was set back", extra={"fields": {"source": machine, "seconds": seconds}})

    def newest(self, before: dict[str, int]) -> dict[str, int]:
        """The newest time that each machine has told; as it was before, where nothing is known since the start, and while the states on
        disk are of the time before its clock was set back: a start after a crash has to see that.
        """
        found: dict[str, int] = {}
        silent = self._silent  # since a leap: their times may be by the clock of before
        unsaved = {machine for watch in self.line.watches for machine in watch.leapt}
        for tag, t_ns in zip(self.line.settings.tags, self.line.table.seen_t_ns.tolist(), strict=True):
            if tag.index in silent:
                continue
            known = tag.machine not in self.resumed and tag.machine not in unsaved
            found[tag.machine] = max(found.get(tag.machine, 0), t_ns) if known else before.get(tag.machine, 0)
        return {machine: t_ns or before.get(machine, 0) for machine, t_ns in found.items()}

    def _follow(self, after_ns: int = _EVER_NS) -> None:
        """What waits for a slow detector, and is newer than that, is of the time before."""
        followed = self.line.table.followed
        for watch in self.line.watches:
            for tag in followed:
                delta_ns, lane = watch.follow(tag), self.lane(watch.name)
                if delta_ns and lane is not None:
                    lane.leap(tag, delta_ns, after_ns)
        followed.clear()

    def _look(self, watch: Watch, item: Batch | Frame | Waveform) -> None:
        lane = self.lane(watch.name) if watch.slow else None
        if lane is not None:
            lane.put(item)
        else:
            self.found(watch, watch.process(item))

    def _count_bad(self, batch: Batch) -> None:
        for quality in {int(q) for q in batch.quality[batch.quality >= BAD]}:
            self._counts.add("readings_bad", int((batch.quality == quality).sum()), reason=reason(quality))

    def _waveform(self, block: Waveform) -> None:
        self._counts.add("waveforms", 1)
        self.line.table.last_quality[block.tag] = block.quality
        if block.quality >= BAD:
            self._counts.add("waveforms_bad", 1, reason=reason(block.quality))
            return
        if (delta_ns := self._unleapt_ns.pop(block.tag, 0)) and leapt(block.t_ns, int(self.line.table.seen_t_ns[block.tag]), delta_ns):
            self.line.table.seen_t_ns[block.tag] += delta_ns
            self.line.table.followed.append(block.tag)
            self._follow()
        self.line.table.heard(block, self._clock.now_ns())
        if self.resumed:
            self._resume(self.line.settings.tags[block.tag].machine, block.t_ns)
        block = self._with_speed(block)
        self.latest_waveform[block.tag] = block
        for watch in self.line.watches:
            if watch.detector is not None and watch.wants_waveform(block, self.line.table, self.line.swing):
                self._look(watch, watch.loaded(block, self.line.table))

    def _with_speed(self, block: Waveform) -> Waveform:
        """Join the machine's speed tag, if its last value is good and of the same minute."""
        index = self.line.speed_tag.get(self.line.settings.tags[block.tag].machine)
        if block.speed_rpm is not None or index is None:
            return block
        speed = self.line.table.beside(index, block.t_ns)
        return block if speed is None else replace(block, speed_rpm=speed)

    def _record(self, record: Record) -> None:
        self._counts.add("records", 1, source=record.source)
        if self.right is not None:
            record = replace(record, t_ns=self.right(record.t_ns))
        for watch in self.line.watches:
            if watch.detector is not None and not watch.slow and watch.wants_record(record):
                self.found(watch, watch.process(record), from_record=True)
