"""The outbox as the rest of the gateway sees it: accept, lease, settle."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gateway.contract import Clock, Event, Outcome
from gateway.outbox import append, audit, incidents, ledger, memory, retention, shadow
from gateway.outbox import lease as leases
from gateway.outbox.append import Addressed, IncidentRow, Rejected
from gateway.outbox.budget import Filling
from gateway.outbox.database import FILE_NAME, Replaced, damage, open_database, suspect
from gateway.outbox.holding import Holding
from gateway.outbox.losses import Losses, write
from gateway.outbox.pick import Wanted
from gateway.outbox.retention import Caps, Enforcement
from gateway.outbox.writer import Operation, T, Writer
from gateway.supervisor import Unusable

log = logging.getLogger("lineside")
_DAY_NS = 86_400_000_000_000
_ENFORCE_EVERY = 500
_RETRY_SECONDS = 1.0


class Damaged(Unusable):
    """The file is damaged. The process ends; the next start salvages what can be read."""


class Outbox:
    """Events in, events out; everything awaited here is on disk when it returns.

    max_bytes, min_free_bytes, keep_days   caps, see retention.py
    destinations                           of the configuration, for the salvage of a damaged file
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        max_bytes: int = 512 << 20,
        min_free_bytes: int = 0,
        keep_days: int = 30,
        destinations: Sequence[str] = (),
    ) -> None:
        self._folder, self._clock, self._destinations = folder, clock, destinations
        self.max_bytes, self.min_free_bytes, self.keep_days = max_bytes, min_free_bytes, keep_days
        self._since_enforced = 0
        self.refused = ""
        """Why the disk does not take anything now; empty while it does."""
        self._waiting: list[asyncio.Event] = []
        self.accepted = 0
        """Events stored since the start."""
        self.holding = Holding(clock)
        self._closing = threading.Event()
        self._enforcing = asyncio.Lock()
        self._enforcement: asyncio.Task[None] | None = None

    def open(self) -> Replaced | None:
        """Open or create the file.

        raises sqlite3.OperationalError   the folder cannot be written
        raises ConfigError                the file is of a newer version
        """
        connection, replaced = open_database(self._folder, self._destinations, self._clock.now_ns())
        self._writer = Writer(connection)
        return replaced

    async def close(self) -> None:
        self._closing.set()
        if self._enforcement is not None:
            self._enforcement.cancel()
            await asyncio.wait([self._enforcement])
        await self._writer.close()

    def check(self) -> str | None:
        """Look at the whole file, which may take minutes: for a thread of its own; `close` ends it. What is wrong is told to
        the next start.
        """
        problem = damage(self._folder / FILE_NAME, self._closing.is_set)
        if problem is not None:
            suspect(self._folder, problem)
        return problem

    def subscribe(self) -> asyncio.Event:
        """An event of the caller's own that is set whenever events were stored."""
        waiting = asyncio.Event()
        self._waiting.append(waiting)
        return waiting

    def unsubscribe(self, waiting: asyncio.Event) -> None:
        self._waiting.remove(waiting)

    @property
    def commits(self) -> int:
        return self._writer.commits

    async def run(self, operation: Operation[T]) -> T:
        """Any operation in the writer's next transaction; raises sqlite3.OperationalError when the disk refuses."""
        return await self._writer.submit(operation)

    async def append(self, changed: Sequence[IncidentRow], events: Sequence[Addressed], rejected: Sequence[Rejected] = ()) -> None:
        """Returns when all of it is on disk, in one transaction; waits as long as the disk is full or refuses.

        The caller holds what it has meanwhile; nothing accepted is lost.
        """
        now_ns = self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> int:
            append.reject(connection, rejected, now_ns)
            return append.append(connection, changed, events)

        self._stored(await self.insist(operation))
        for entry in events:
            if entry.destinations:
                self.holding.accepted(len(entry.event.data))

    async def insist(self, operation: Operation[T], submitted: asyncio.Future[T] | None = None) -> T:
        """Again until it is on disk, so it must bear being done twice: ids and the rows' states decide.

        raises Damaged   the file cannot be used any more
        """
        while True:
            try:
                result = await (submitted or self._writer.submit(operation))
            except sqlite3.OperationalError as exc:
                if not self.refused:
                    log.error("outbox cannot write", extra={"fields": {"why": str(exc), "retry_seconds": _RETRY_SECONDS}})
                self.refused = str(exc)
                submitted = None
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            except sqlite3.DatabaseError as exc:
                if isinstance(exc, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                    raise
                suspect(self._folder, str(exc))
                raise Damaged(f"the outbox is damaged: {exc}; the next start salvages what can be read") from exc
            if self.refused:
                log.info("outbox writes again")
                self.refused = ""
            return result

    def _stored(self, new: int) -> None:
        if not new:
            return
        self.accepted += new
        self._since_enforced += new
        for waiting in self._waiting:
            waiting.set()
        if self._since_enforced >= _ENFORCE_EVERY and not self._enforcing.locked():
            self._since_enforced = 0
            self._enforcement = asyncio.create_task(self.keep_to_caps(), name="retention")
            self._enforcement.add_done_callback(_report)

    async def tidy(self, losses: Losses, closed_before_ns: int) -> None:
        """Write down what was lost elsewhere, forget incidents that are closed since long."""
        taken, now_ns = losses.take(), self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> None:
            write(connection, taken, now_ns)
            ledger.seen_alive(connection, now_ns)
            incidents.forget(connection, closed_before_ns)
            audit.shorten(connection, now_ns)
            shadow.forget(connection, now_ns)
            retention.give_back(connection)

        await self.insist(operation)

    @property
    def caps(self) -> Caps:
        """As they are now; a reload may change them."""
        return Caps(self.max_bytes, self.min_free_bytes, self.keep_days * _DAY_NS)

    async def keep_to_caps(self) -> None:
        """Give up what is too much or too old, step by step: what has to be stored meanwhile goes between."""
        async with self._enforcing:
            step, given_up = Enforcement(self.caps, self._clock.now_ns()), 0
            try:
                while (count := await self.insist(step)) is not None:
                    given_up += count
            finally:
                if given_up:
                    log.warning("outbox full, events given up", extra={"fields": {"events": given_up, "ledger": "lineside ledger"}})

    async def lease(self, destination: str, wanted: Wanted) -> list[Event]:
        """What goes next, see pick.py."""
        now_ns, found = self._clock.now_ns(), None
        while not isinstance(found, list):
            found = await self.insist(partial(leases.lease, destination=destination, wanted=wanted, now_ns=now_ns, place=found))
        return found

    async def take_back(self, destination: str, machine: str, why: memory.Why) -> None:
        """The machine is set aside no more, and its events go on where they belong. In steps: others get the writer between."""
        before = memory.ALL
        while before:
            before = await self.insist(partial(memory.take_back, destination=destination, machine=machine, why=why, before=before))

    def settle(
        self, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome], fillings: Sequence[Filling] = ()
    ) -> asyncio.Task[None]:
        """Done when the outcomes, and what they left of the budget, are on disk. They are on their way when this returns,
        whoever is cancelled then.
        """
        now_ns = self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> None:
            leases.settle(connection, destination, events, outcomes, now_ns)
            memory.keep_fillings(connection, destination, fillings)

        return asyncio.create_task(self.insist(operation, self._writer.submit(operation)))


def _report(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.error("retention failed", extra={"fields": {"why": str(error)}})
