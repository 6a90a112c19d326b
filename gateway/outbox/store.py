"""The outbox as the rest of the gateway sees it: accept, lease, settle."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from msgspec.structs import replace as struct_replace

from gateway.contract import UNCONFIRMED, Clock, ConfigError, Event, Outcome
from gateway.outbox import append, audit, incidents, ledger, memory, retention, shadow
from gateway.outbox import lease as leases
from gateway.outbox.ages import Shifts
from gateway.outbox.append import Addressed, IncidentRow, Rejected
from gateway.outbox.budget import Filling
from gateway.outbox.condition import Condition, means_full
from gateway.outbox.database import FILE_NAME, Replaced, damage, denied, open_database, reopen, suspect, unbalanced
from gateway.outbox.holding import Holding
from gateway.outbox.insist import Full, Insistence
from gateway.outbox.losses import Losses, write
from gateway.outbox.pick import NEWEST, Place, Wanted
from gateway.outbox.reserve import Reserve
from gateway.outbox.retention import Caps, Enforcement
from gateway.outbox.room import Room
from gateway.outbox.writer import Operation, T, Writer

log = logging.getLogger("lineside")
_DAY_NS = 86_400_000_000_000
_ENFORCE_EVERY = 500


class Outbox:
    """Events in, events out; everything awaited here is on disk when it returns.

    max_bytes, min_free_bytes, keep_days   caps, see retention.py
    reserve_bytes                          kept aside for a full disk, see reserve.py
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
        reserve_bytes: int = 0,
        destinations: Sequence[str] = (),
    ) -> None:
        self._folder, self._clock, self._destinations = folder, clock, destinations
        self.max_bytes, self.min_free_bytes, self.keep_days = max_bytes, min_free_bytes, keep_days
        self._since_enforced = 0
        self.condition = Condition(folder, clock)
        self.reserve = Reserve(folder, reserve_bytes)
        self._room = Room(clock, self.condition, self.reserve, self._take_reserve)
        self.room = self._room.free
        """Set while new events are taken."""
        self._waiting: list[asyncio.Event] = []
        self.accepted = 0
        """Events stored since the start."""
        self.holding = Holding(clock)
        self._closing, self._looking = threading.Event(), threading.Lock()
        self.newest: int | None = None
        """Events behind this sequence are kept, but not sent yet: their time is still to be put right. None: all may go."""
        self.shifts: Shifts = ()
        self._insistence = Insistence(folder, clock, self._room, lambda operation: self._writer.submit(operation))
        self.followed = self._insistence.followed
        """Not set while the clock has leapt and the rows have not."""
        self.doubted: Shifts = ()
        """Stretches of the sequence whose times nobody has confirmed (the third number says nothing)."""
        self._under_way: dict[str, frozenset[int]] = {}  # the writer's thread reads and writes it
        self._enforcing = asyncio.Lock()
        self._enforcement: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None

    def open(self) -> Replaced | None:
        """Open or create the file.

        raises sqlite3.OperationalError   the folder cannot be written
        raises ConfigError                the file is of a newer version, or somebody else's
        """
        try:
            connection, replaced = self._open()
            self.reserve.take()
        except sqlite3.OperationalError as exc:
            if (file := denied(self._folder)) is not None:
                raise ConfigError(f"{file} may not be written by this account; give it to the one the gateway runs as (chown)") from exc
            if not (means_full(exc) and self.reserve.release()):
                raise
            connection, replaced = self._open()
        self._writer = Writer(connection, self._reopen, self.reserve.release)
        return replaced

    def _reopen(self) -> sqlite3.Connection:
        with self._looking:
            return reopen(self._folder)

    def _open(self) -> tuple[sqlite3.Connection, Replaced | None]:
        return open_database(self._folder, self._destinations, self._clock.now_ns())

    async def close(self) -> None:
        self._closing.set()
        tasks = [task for task in (self._enforcement, self._tidying) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._room.close()
        await self._writer.close()

    def check(self) -> str | None:
        """Look at the whole file, which may take minutes: for a thread of its own; `close` ends it. What is wrong is told to
        the next start.
        """
        with self._looking:
            path = self._folder / FILE_NAME
            problem = damage(path, lambda: self._closing.is_set() or self.unknown) or unbalanced(path)
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

    @property
    def reopened(self) -> int:
        """How often the file was opened again after a commit had failed, since the start."""
        return self._writer.reopened

    @property
    def unknown(self) -> bool:
        """Whether the last commit is on the disk: nobody knows yet, so nothing of it counts as stored."""
        return self._writer.unknown

    @property
    def repeating(self) -> int:
        """How many operations the disk has refused, and are tried again."""
        return self._insistence.repeating

    @property
    def refused(self) -> str:
        """Why the disk does not take new events now; empty while it does."""
        return self.condition.why

    def follow(self, operation: Operation[T]) -> asyncio.Task[T]:
        """Have the rows do so, see `followed`; nothing that comes later is done before."""
        return asyncio.create_task(self.insist(operation, self._writer.submit(operation), follows=True))

    async def run(self, operation: Operation[T]) -> T:
        """Any operation in the writer's next transaction; raises sqlite3.OperationalError when the disk refuses."""
        return await self._writer.submit(operation)

    async def look(self, operation: Operation[T]) -> T:
        """Only to read: it shares no commit, so a full disk does not matter. Raises sqlite3.OperationalError when it cannot be read."""
        return await self._writer.submit(operation, alone=True)

    def submit(self, operation: Operation[T]) -> asyncio.Task[T]:
        """`insist`, but its place among the writer's transactions is taken when this returns."""
        return asyncio.create_task(self.insist(operation, self._writer.submit(operation)))

    def keep_aside(self, reserve_bytes: int) -> None:
        """From now on so much; at once, unless the disk is full."""
        if reserve_bytes != self.reserve.size:
            self.reserve.size = reserve_bytes
            if self.room.is_set():
                self.submit(lambda _: self.reserve.take())

    async def append(self, changed: Sequence[IncidentRow], events: Sequence[Addressed], rejected: Sequence[Rejected] = ()) -> None:
        """Returns when all of it is on disk, in one transaction; waits as long as the disk is full or refuses.

        The caller holds what it has meanwhile; nothing accepted is lost.
        """
        while True:
            await self.room.wait()
            with suppress(Full):
                return await self.offer(changed, events, rejected)

    async def offer(
        self,
        changed: Sequence[IncidentRow],
        events: Sequence[Addressed],
        rejected: Sequence[Rejected] = (),
        *,
        pressing: bool = False,
    ) -> None:
        """As `append`, but does not wait for room on a full disk.

        pressing   may use the reserve, so it waits after all
        raises Full
        """
        now_ns = self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> int:
            append.reject(connection, rejected, now_ns)
            return append.append(connection, changed, events)

        if not pressing and not self.room.is_set():
            raise Full
        self._stored(await self.insist(operation, yields=not pressing))
        if sizes := [len(entry.event.data) for entry in events if entry.destinations]:
            self.holding.accepted(sum(sizes), len(sizes))

    async def insist(
        self, operation: Operation[T], submitted: asyncio.Future[T] | None = None, *, yields: bool = False, follows: bool = False
    ) -> T:
        """Again until it is on disk, so it must bear being done twice: ids and the rows' states decide.

        yields           leaves the last room on a full disk to others
        follows          see `follow`
        raises Full      it does, and the disk is full
        raises Damaged   the file cannot be used any more
        """
        return await self._insistence.insist(operation, submitted, yields=yields, follows=follows)

    async def _take_reserve(self, margin: int) -> bool:
        return await self._writer.submit(lambda _: self.reserve.take(margin), alone=True)

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

    async def tidy(self, losses: Losses, closed_before_ns: int, *, alive: bool = True) -> None:
        """Write down what was lost elsewhere, forget incidents that are closed since long. Without anything to note it writes nothing.

        alive   note that the gateway runs: 60 kilobytes with the file system's journal, so not every time
        """
        taken, now_ns = losses.take(), self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> None:
            write(connection, taken, now_ns)
            if alive:
                ledger.seen_alive(connection, now_ns)
            incidents.forget(connection, closed_before_ns)
            audit.shorten(connection, now_ns)
            shadow.forget(connection, now_ns)
            retention.give_back(connection)

        self._tidying = asyncio.create_task(self.insist(operation), name="tidying")
        await asyncio.shield(self._tidying)  # a stop that comes meanwhile must not lose the losses
        if self.room.is_set():
            self.condition.works()

    @property
    def caps(self) -> Caps:
        """As they are now; a reload may change them."""
        return Caps(self.max_bytes, self.min_free_bytes, self.keep_days * _DAY_NS, self.shifts)

    async def keep_to_caps(self) -> None:
        """Give up what is too much or too old, step by step: what has to be stored meanwhile goes between."""
        async with self._enforcing:
            step, shifts, given_up = await self._pass(), self.shifts, 0
            try:
                while (count := await self.insist(step)) is not None:
                    given_up += count
                    await self.followed.wait()
                    if self.shifts is not shifts:  # the clock has leapt, and what is old is not what was
                        step, shifts = await self._pass(), self.shifts
            finally:
                if given_up:
                    log.warning("outbox full, events given up", extra={"fields": {"events": given_up, "ledger": "lineside ledger"}})

    async def _pass(self) -> Enforcement:
        await self.followed.wait()
        return Enforcement(self.caps, self._clock.now_ns(), self._under_way)

    async def lease(self, destination: str, wanted: Wanted) -> list[Event]:
        """What goes next, see pick.py."""
        found: list[Event] | Place | None = None
        while not isinstance(found, list):
            await self.followed.wait()
            if self.newest is not None or self.shifts:
                wanted = replace(wanted, newest=NEWEST if self.newest is None else self.newest, shifts=self.shifts)
            step = partial(self._lease, destination=destination, wanted=wanted, now_ns=self._clock.now_ns(), place=found)
            found = await self.insist(step)
        return [self._told(event) for event in found] if self.doubted else found

    def _lease(
        self, connection: sqlite3.Connection, destination: str, wanted: Wanted, now_ns: int, place: Place | None
    ) -> list[Event] | Place | None:
        """Noted before the next operation of the writer, which may be one that gives events up."""
        found = leases.lease(connection, destination, wanted, now_ns, place)
        if isinstance(found, list) and found:
            self._under_way[destination] = frozenset(event.sequence for event in found)
        return found

    def _told(self, event: Event) -> Event:
        doubted = any(first <= event.sequence <= last for first, last, _ in self.doubted)
        return struct_replace(event, timequality=UNCONFIRMED) if doubted else event

    async def take_back(self, destination: str, machine: str, why: memory.Why) -> None:
        """The machine is set aside no more, and its events go on where they belong. In steps: others get the writer between."""
        before = memory.ALL
        while before:
            before = await self.insist(partial(memory.take_back, destination=destination, machine=machine, why=why, before=before))

    def settle(
        self, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome], fillings: Sequence[Filling] = (), mark: int = 0
    ) -> asyncio.Task[None]:
        """Done when the outcomes, and what they left of the budget, are on disk. They are on their way when this returns,
        whoever is cancelled then.
        """
        now_ns = self._clock.now_ns()

        def operation(connection: sqlite3.Connection) -> None:
            leases.settle(connection, destination, events, outcomes, now_ns, mark)
            memory.keep_fillings(connection, destination, fillings)

        return self.submit(operation)


def _report(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.error("retention failed", extra={"fields": {"why": str(error)}})
