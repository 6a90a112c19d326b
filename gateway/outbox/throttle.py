"""How much of what waits may go now: budget, reserve, the pace of a backlog. One per sender."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from gateway.contract import Clock, Event, Severity, UplinkOptions, Usage
from gateway.outbox import memory, summary
from gateway.outbox.aside import a_few
from gateway.outbox.budget import DAY, Budget, Filling, Pace
from gateway.outbox.lease import newest_waiting, untried
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.outbox.summary import Group, Summarise

log = logging.getLogger("lineside")
_MACHINE_DAY = "budget per_machine_and_day"
_QUIET_SECONDS = 3600.0
BACKLOG_AGE_SECONDS = 60.0
"""What is younger when the destination comes back counts as new."""


class Throttle:
    """Decides for one destination.

    summarise   makes the event that stands for what is over the budget
    mark        a fallback exists: what is leased is marked as tried first, with this number; 0: none
    """

    def __init__(self, name: str, outbox: Outbox, clock: Clock, options: UplinkOptions, summarise: Summarise, *, mark: int) -> None:
        self._name, self._outbox, self._clock, self._options = name, outbox, clock, options
        self._summarise, self.mark = summarise, mark
        self.budget = Budget(clock, options.budget)
        self._pace = Pace(clock, options.backlog_per_second)
        self._backlog_until = 0
        self._over = ""
        self._machines: dict[str, float] = {}
        self._told_at = float("-inf")

    @property
    def why(self) -> str:
        """For the status: which limit holds events back; empty: none."""
        return self._over

    @property
    def machines(self) -> str:
        """For the status: whose day is used up, so that their events wait; empty: nobody's."""
        return f"{_MACHINE_DAY}: {a_few(self._machines)}" if self._machines else ""

    def told(self, usage: Usage) -> None:
        """By the uplink."""
        self.budget.told(usage)

    async def recall(self) -> None:
        """Go on as before the restart."""
        fillings, aside = await self._outbox.insist(lambda c: (memory.fillings(c, self._name), memory.aside(c, self._name)))
        self.budget.recall(fillings)
        self._machines = {entry.machine: self._in(entry) for entry in aside if entry.why == "budget"}

    def _in(self, entry: SetAside) -> float:
        """A wall clock that was set meanwhile cannot make it longer than a machine's day, and a budget that is larger now, or gone, makes
        it shorter.
        """
        left = max(0.0, (entry.until_ns - self._clock.now_ns()) / 1e9)
        return self._clock.monotonic() + min(left, DAY, self.budget.machine_wait_seconds(entry.machine))

    async def came_back(self) -> None:
        """After an outage: from now on what is old is the backlog, if it has a pace of its own."""
        if self._pace.set:
            await self._outbox.followed.wait()
            before_ns = self._clock.now_ns() - int(BACKLOG_AGE_SECONDS * 1e9)
            self._backlog_until = await self._outbox.insist(
                partial(newest_waiting, destination=self._name, before_ns=before_ns, shifts=self._outbox.shifts)
            )

    async def wanted(self, limit: int) -> Wanted | None:
        """What to ask for now; None: nothing may go."""
        await self._release_machines()
        normal, urgent = self.budget.allowed(critical=False), self.budget.allowed(critical=True)
        if normal < 1:
            if not self._over:
                self._over = self.budget.why()
                self._tell(self._over)
            return self._of(min(limit, urgent), urgent_only=True) if urgent >= 1 else None
        if self._over:
            await self._roll_up(None, self._over)
            self._over = ""
        return self._of(min(limit, normal))

    def _tell(self, why: str) -> None:
        """Once an hour at most: a budget that is too small is used up at each token."""
        now = self._clock.monotonic()
        if now - self._told_at >= _QUIET_SECONDS:
            log.warning("budget used up", extra={"fields": {"destination": self._name, "why": why}})
            self._told_at = now

    def _of(self, limit: int, *, urgent_only: bool = False) -> Wanted:
        age = self._options.max_age
        return Wanted(
            limit,
            urgent_only=urgent_only,
            backlog_until=self._backlog_until,
            backlog=min(limit, self._pace.allowed()) if self._backlog_until and not urgent_only else 0,
            max_age_ns=0 if age is None else max(1, int(age * 1e9)),
            mark=self.mark,
        )

    async def fits(self, events: list[Event]) -> list[Event]:
        """As many of each machine as its day has room for; the others wait, and what comes of that machine until there is room again.

        Critical events are not counted, nor is what they take along of their incidents.
        """
        if not self.budget.by_machine:
            return events
        urgent = {event.correlationid or event.id for event in events if event.severity >= Severity.CRITICAL}
        left: dict[str, int] = {}
        going, stays = [], []
        for event in events:
            if (event.correlationid or event.id) not in urgent:
                left[event.partitionkey] = left.get(event.partitionkey, self.budget.room(event.partitionkey)) - 1
                if left[event.partitionkey] < 0:
                    stays.append(event.sequence)
                    continue
            going.append(event)
        if stays and self.mark:
            await self._outbox.insist(partial(untried, destination=self._name, sequences=stays, mark=self.mark))
        for machine in [machine for machine, count in left.items() if count < 0]:
            await self._set_aside(machine)
        return going

    async def _set_aside(self, machine: str) -> None:
        seconds = self.budget.machine_wait_seconds(machine, after=max(0, self.budget.room(machine)))
        entry = SetAside(machine, self._clock.now_ns() + int(seconds * 1e9), "budget")
        await self._outbox.insist(partial(memory.set_aside, destination=self._name, entry=entry))
        if machine not in self._machines:
            self._tell(f"{_MACHINE_DAY} of {machine}")
        self._machines[machine] = self._clock.monotonic() + seconds

    async def _release_machines(self) -> None:
        now = self._clock.monotonic()
        for machine in [machine for machine, at in self._machines.items() if at <= now]:
            await self._outbox.take_back(self._name, machine, "budget")
            if self.budget.by_machine:  # taken out of the configuration, it holds nothing back
                await self._roll_up(machine, _MACHINE_DAY)
            del self._machines[machine]

    async def _roll_up(self, machine: str | None, reason: str) -> None:
        await self._outbox.followed.wait()
        summarise = partial(self._summary, now_ns=self._clock.now_ns())
        count = await self._outbox.insist(
            partial(summary.roll_up, destination=self._name, summarise=summarise, reason=reason, machine=machine)
        )
        if count:
            log.warning("summarised", extra={"fields": {"destination": self._name, "events": count}})

    def _summary(self, group: Group, now_ns: int) -> Event:
        """Made on the writer's thread, where it may be another time already than for what is stored beside it."""
        return replace(self._summarise(group), recorded_ns=now_ns)

    def sent(self, taken: Sequence[Event]) -> Sequence[Filling]:
        """They were taken; returns what is to be written down of the budget."""
        self.budget.spend(taken)
        if self._backlog_until:
            self._pace.spend(sum(event.sequence <= self._backlog_until for event in taken))
        return self.budget.fillings()

    def backlog_empty(self) -> None:
        """A lease that could have taken of it found nothing."""
        self._backlog_until = 0

    @property
    def draining(self) -> bool:
        return bool(self._backlog_until)

    def wait_seconds(self) -> float:
        """Until something more may go, at least a moment; infinite when it does not depend on time."""
        waits = [self._pace.wait_seconds()] if self._backlog_until and not self._over else []
        waits += [self.budget.wait_seconds()] if self._over else []
        waits += [at - self._clock.monotonic() for at in self._machines.values()]
        return max(0.02, min(waits)) if waits else float("inf")
