"""From a change to disk: the event is built, checked, addressed, and committed with its incident in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Protocol

from gateway.config.settings import DestinationSettings
from gateway.contract import Event, Finding, Severity
from gateway.engine.cases import Cases
from gateway.engine.waiting import Waiting, is_end
from gateway.events.catalogue import ContractViolation
from gateway.incidents import Change, Incident, Phase, Rule
from gateway.outbox.append import Addressed, IncidentRow, Rejected
from gateway.outbox.insist import Full
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
_WAITING_MOST = 10_000
_ROUNDS = 10
_TOLD, _DROPPED = (Phase.RAISED, Phase.UPDATED, Phase.CLEARED), Phase.DROPPED


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
        return not self.is_fallback and event.severity >= self.lowest and self.takes_type(event)

    def takes_type(self, event: Event) -> bool:
        return not self.types or any(fnmatchcase(event.type, pattern) for pattern in self.types)


class Accepts(Protocol):
    """What the pipeline ends with."""

    def change(self, change: Change) -> None:
        """An incident began, changed or ended."""

    def fact(self, finding: Finding, rule: Rule, *, from_record: bool = False) -> None:
        """Something happened that has no end."""

    def acknowledge(self, accepted: asyncio.Future[None]) -> None:
        """Resolve when everything added so far is safe."""

    async def room(self, seconds: float) -> bool:
        """Wait, at most so long, for room. True: there is some."""


class Acceptance:
    """Gathers what one commit will hold; `run` commits it, again and again.

    What is added while a commit waits for the disk goes into the next one, so a burst costs a handful of commits.
    """

    def __init__(
        self,
        outbox: Outbox,
        cases: Cases,
        routes: Sequence[Route],
        counts: Counts,
        lost: Callable[[str, str, str, int], None] = lambda *_: None,
    ) -> None:
        self._outbox, self._cases, self._counts, self._lost = outbox, cases, counts, lost
        self.routes = routes
        self._waiting = Waiting()
        self._untold: set[str] = set()
        self._in_hand = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._committing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Changes and events that are in memory only."""
        return len(self._waiting) + self._in_hand

    def change(self, change: Change) -> None:
        """An incident began, changed or ended."""
        incident = change.incident
        if change.phase in _TOLD:
            self._event(partial(self._cases.of_incident, change), keep=incident.from_record, incident=incident)
        self._waiting.rows[incident.id] = _row(incident, "closed" if change.phase is _DROPPED else incident.state)
        self._added()

    def fact(self, finding: Finding, rule: Rule, *, from_record: bool = False) -> None:
        """Something happened that has no end."""
        self._event(partial(self._cases.of_fact, finding, rule), keep=from_record)
        self._added()

    def event(self, event: Event) -> None:
        """An event of the gateway itself."""
        self._address(event, keep=True)
        self._added()

    def acknowledge(self, accepted: asyncio.Future[None]) -> None:
        """Resolve when everything added so far is on disk; at once if nothing waits.

        A message that caused nothing still waits for a commit under way: it may be the repetition of one whose events
        are in it.
        """
        if self._waiting or self._committing.locked():
            self._waiting.accepted.append(accepted)
            self._work.set()
        elif not accepted.done():
            accepted.set_result(None)

    async def room(self, seconds: float) -> bool:
        """Wait, at most so long, while too much waits for the disk: backpressure for the pipeline. True: there is room.

        A disk that refuses is not waited for: the line goes on without it, see `_spare`.
        """
        if not self._room.is_set() and not self._outbox.refused:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._room.wait()
        return self._room.is_set() or bool(self._outbox.refused)

    @asynccontextmanager
    async def still(self, flush: Callable[[], object]) -> AsyncIterator[Waiting]:
        """Nothing is on its way to the disk meanwhile, and what `flush` found is there; but for what is given: more than the disk
        took, which may be full, or came at once. It may be changed.
        """
        async with self._committing:
            for _ in range(_ROUNDS):
                flush()
                if not self._waiting or not await self._committed():
                    break
            flush()
            yield self._waiting

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.commit()

    async def commit(self) -> None:
        """Commit what was added so far, after a commit that is under way."""
        while True:
            async with self._committing:
                if await self._committed():
                    return
                self._work.clear()
                await self._store(self._waiting.take_pressing(), pressing=True)
            await self._room_or_more()

    async def _committed(self) -> bool:
        """False: the disk is full, and what was not stored still waits."""
        taken = self._waiting.take()
        try:
            await self._store(taken)
        except Full:
            return False
        self._room.set()
        for waiting in taken.accepted:
            if not waiting.done():
                waiting.set_result(None)
        return True

    async def _room_or_more(self) -> None:
        """While the disk is full, and what must be noted was, with the room that is kept for it."""
        events = [asyncio.ensure_future(event.wait()) for event in (self._outbox.room, self._work)]
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()

    async def _store(self, taken: Waiting, *, pressing: bool = False) -> None:
        """What is not on disk when this ends waits again."""
        if not taken:
            return
        self._in_hand = len(taken)
        try:
            await self._outbox.offer(list(taken.rows.values()), taken.events, taken.rejected, pressing=pressing)
        except BaseException:
            self._waiting.put_back(taken)
            raise
        finally:
            self._in_hand = 0

    def _added(self) -> None:
        self._work.set()
        if len(self._waiting) >= _WAITING_MOST:
            self._room.clear()

    def _event(self, build: Callable[[], Event], *, keep: bool, incident: Incident | None = None) -> None:
        try:
            event = build()
        except ContractViolation as exc:
            self._reject(exc)
            return
        self._address(event, keep=keep, incident=incident)

    def _reject(self, violation: ContractViolation) -> None:
        """A bug of ours: the event is kept as a dead letter, to be corrected, and another one tells of it."""
        self._counts.add("contract_violations", 1, pointer=violation.pointer)
        log.error("an event of ours breaks its contract and is kept as a dead letter", extra={"fields": {"why": str(violation)}})
        if violation.event is not None and (wanted := self._wanted(violation.event)):
            self._waiting.rejected.append(Rejected(violation.event, wanted, f"{violation.pointer or '/'}: {violation.problem}"))
        self._address(self._cases.of_rejected(violation), keep=True)

    def _wanted(self, event: Event, told: Sequence[str] = ()) -> tuple[str, ...]:
        """`told`: who got earlier events of its incident, so that a `when` that was narrowed since leaves no case open for ever."""
        return tuple([route.name for route in self.routes if route.takes(event) or (route.name in told and route.takes_type(event))])

    def _address(self, event: Event, *, keep: bool, incident: Incident | None = None) -> None:
        wanted = self._wanted(event, incident.told if incident else ())
        if incident:
            incident.told = sorted({*incident.told, *wanted})
        self._counts.add("events", 1, type=event.type)
        if not wanted:
            self._counts.add("events_unaddressed", 1, type=event.type)
            return
        entry = Addressed(event, wanted)
        if keep or not self._spare(entry):
            self._waiting.events.append(entry)

    def _spare(self, entry: Addressed) -> bool:
        """Too much waits for a disk that refuses: the event is given up, counted and put down in the ledger, so that the line can go on.
        Never the end of an incident whose beginning was told, never what a business message caused: its sender still has it.
        """
        if not self._outbox.refused:
            self._untold.clear()
            return False
        incident = entry.event.correlationid
        if incident not in self._untold and (len(self._waiting.events) < _WAITING_MOST or is_end(entry)):
            return False
        if incident and is_end(entry):
            self._untold.discard(incident)
        elif incident:
            self._untold.add(incident)
        for name in entry.destinations:
            self._counts.add("events_dropped", 1, destination=name, reason="not_storing")
            self._lost("events", name, "too many waited for a disk that took nothing", 1)
        return True


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
