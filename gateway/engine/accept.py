"""From a change to disk: the event is built, checked, addressed, and committed with its incident in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Protocol

from gateway.config.settings import DestinationSettings
from gateway.contract import Event, Finding, Severity
from gateway.engine.cases import Cases
from gateway.events.catalogue import ContractViolation
from gateway.incidents import Change, Incident, Phase, Rule
from gateway.outbox.append import Addressed, IncidentRow, Rejected
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
_WAITING_MOST = 10_000


@dataclass(frozen=True)
class Route:
    """A destination and what it wants. A fallback wants nothing: it gets what it takes over."""

    name: str
    lowest: Severity
    types: tuple[str, ...]
    is_fallback: bool = False

    @staticmethod
    def of(destination: DestinationSettings) -> Route:
        lowest = Severity[destination.when.severity.removeprefix(">=").upper()]
        return Route(destination.name, lowest, tuple(destination.when.types), destination.options.fallback_for is not None)

    def takes(self, event: Event) -> bool:
        return (
            not self.is_fallback
            and event.severity >= self.lowest
            and (not self.types or any(fnmatchcase(event.type, pattern) for pattern in self.types))
        )


class Accepts(Protocol):
    """What the pipeline ends with."""

    def change(self, change: Change) -> None:
        """An incident began, changed or ended."""

    def fact(self, finding: Finding, rule: Rule) -> None:
        """Something happened that has no end."""

    def acknowledge(self, accepted: asyncio.Future[None]) -> None:
        """Resolve when everything added so far is safe."""

    async def room(self, seconds: float) -> bool:
        """Wait, at most so long, for room. True: there is some."""


class Acceptance:
    """Gathers what one commit will hold; `run` commits it, again and again.

    What is added while a commit waits for the disk goes into the next one, so a burst costs a handful of commits.
    """

    def __init__(self, outbox: Outbox, cases: Cases, routes: Sequence[Route], counts: Counts) -> None:
        self._outbox, self._cases, self._counts = outbox, cases, counts
        self.routes = routes
        self._rows: dict[str, IncidentRow] = {}
        self._events: list[Addressed] = []
        self._rejected: list[Rejected] = []
        self._accepted: list[asyncio.Future[None]] = []
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._committing = asyncio.Lock()

    def change(self, change: Change) -> None:
        """An incident began, changed or ended."""
        incident = change.incident
        if change.phase in (Phase.RAISED, Phase.UPDATED, Phase.CLEARED):
            self._event(partial(self._cases.of_incident, change))
        self._rows[incident.id] = _row(incident, "closed" if change.phase is Phase.DROPPED else incident.state)
        self._added()

    def fact(self, finding: Finding, rule: Rule) -> None:
        """Something happened that has no end."""
        self._event(partial(self._cases.of_fact, finding, rule))
        self._added()

    def event(self, event: Event) -> None:
        """An event of the gateway itself."""
        self._address(event)
        self._added()

    def acknowledge(self, accepted: asyncio.Future[None]) -> None:
        """Resolve when everything added so far is on disk; at once if nothing waits.

        A message that caused nothing still waits for a commit under way: it may be the repetition of one whose events
        are in it.
        """
        if self._events or self._rows or self._rejected or self._committing.locked():
            self._accepted.append(accepted)
            self._work.set()
        elif not accepted.done():
            accepted.set_result(None)

    async def room(self, seconds: float) -> bool:
        """Wait, at most so long, while too much waits for the disk: backpressure for the pipeline. True: there is room."""
        if not self._room.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._room.wait()
        return self._room.is_set()

    @property
    def idle(self) -> bool:
        """Nothing waits for the disk."""
        return not (self._events or self._rows or self._rejected or self._committing.locked())

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.commit()

    async def commit(self) -> None:
        """Commit what was added so far, after a commit that is under way."""
        async with self._committing:
            rows, events, rejected, accepted = self._rows, self._events, self._rejected, self._accepted
            self._rows, self._events, self._rejected, self._accepted = {}, [], [], []
            if rows or events or rejected:
                await self._outbox.append(list(rows.values()), events, rejected)
            self._room.set()
            for waiting in accepted:
                if not waiting.done():
                    waiting.set_result(None)

    def _added(self) -> None:
        self._work.set()
        if len(self._events) + len(self._rows) + len(self._rejected) >= _WAITING_MOST:
            self._room.clear()

    def _event(self, build: Callable[[], Event]) -> None:
        try:
            event = build()
        except ContractViolation as exc:
            self._reject(exc)
            return
        self._address(event)

    def _reject(self, violation: ContractViolation) -> None:
        """A bug of ours: the event is kept as a dead letter, to be corrected, and another one tells of it."""
        self._counts.add("contract_violations", 1, pointer=violation.pointer)
        log.error("an event of ours breaks its contract and is kept as a dead letter", extra={"fields": {"why": str(violation)}})
        if violation.event is not None and (wanted := self._wanted(violation.event)):
            self._rejected.append(Rejected(violation.event, wanted, f"{violation.pointer or '/'}: {violation.problem}"))
        self._address(self._cases.of_rejected(violation))

    def _wanted(self, event: Event) -> tuple[str, ...]:
        return tuple([route.name for route in self.routes if route.takes(event)])

    def _address(self, event: Event) -> None:
        wanted = self._wanted(event)
        self._counts.add("events", 1, type=event.type)
        if not wanted:
            self._counts.add("events_unaddressed", 1, type=event.type)
            return
        self._events.append(Addressed(event, wanted))


def _row(incident: Incident, state: str) -> IncidentRow:
    return IncidentRow(
        incident.id,
        incident.machine,
        incident.condition,
        state,
        incident.since_ns,
        incident.raised_ns,
        incident.changed_ns,
        incident.dump(),
    )
