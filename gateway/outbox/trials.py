"""Which single event tells most: of the receiver while nothing else is sent, of a machine that may be in trouble."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gateway.contract import Clock, Event
from gateway.outbox import memory
from gateway.outbox.aside import ASIDE_SECONDS, Aside
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox

log = logging.getLogger("lineside")


class Trials:
    """For one destination. What it finds out of machines is kept over a restart."""

    def __init__(self, name: str, outbox: Outbox, clock: Clock) -> None:
        self._name, self._outbox, self._clock = name, outbox, clock
        self._aside = Aside(clock)

    @property
    def why(self) -> str:
        """For the status; empty while nothing is set aside."""
        return self._aside.why

    @property
    def due(self) -> bool:
        """The oldest event of some machine is to be sent alone now."""
        return self._aside.on_trial() is not None

    def recall(self, entries: Iterable[SetAside]) -> None:
        """As before a restart."""
        now_ns = self._clock.now_ns()
        self._aside.recall((entry.machine, (entry.until_ns - now_ns) / 1e9) for entry in entries if entry.why == "refused")

    async def probe(self, wanted: Wanted, refused: str) -> list[Event]:
        """The oldest event; after a failed probe that of another machine, because the event itself may be the trouble.

        When all machines are doubted and everything is `refused` with one code, any event: the oldest may be one of many that are
        wrong in the same way. When nothing waits but with machines that are set aside, theirs.
        """
        one = replace(wanted, backlog_until=0)
        if probe := await self._lease(replace(one, without=tuple(self._aside.suspects))):
            return probe
        self._aside.all_doubted()
        if probe := await self._lease(replace(one, anywhere=bool(refused))):
            return probe
        for machine in [] if wanted.urgent_only else self._aside.suspects:
            if probe := await self._lease(replace(one, only=machine)):
                return probe
        return []

    async def next(self, wanted: Wanted) -> list[Event]:
        """The oldest event of a machine on trial."""
        while machine := self._aside.on_trial():
            if oldest := await self._lease(replace(wanted, only=machine)):
                return oldest
            await self.passed(machine)
        return []

    async def _lease(self, wanted: Wanted) -> list[Event]:
        return await self._outbox.lease(self._name, replace(wanted, limit=1, alone=True))

    def tried(self, machine: str) -> bool:
        """It is on trial or set aside."""
        return self._aside.tried(machine)

    def doubt(self, machine: str) -> None:
        """Its event failed as a probe."""
        self._aside.doubt(machine)

    async def failed(self, machine: str, why: str) -> None:
        """On trial: its events wait."""
        if self._aside.failed(machine):
            facts = {"destination": self._name, "machine": machine, "why": why, "retry_seconds": ASIDE_SECONDS}
            log.warning("set aside", extra={"fields": facts})
        entry = SetAside(machine, self._clock.now_ns() + int(ASIDE_SECONDS * 1e9), "refused")
        await self._outbox.insist(partial(memory.set_aside, destination=self._name, entry=entry))

    async def passed(self, machine: str) -> None:
        """An event of it was taken, or none is left: it goes with the others again."""
        if self._aside.passed(machine):
            await self._outbox.take_back(self._name, machine, "refused")
            log.info("taken up again", extra={"fields": {"destination": self._name, "machine": machine}})
