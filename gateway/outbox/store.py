"""The outbox as the rest of the gateway sees it: accept, lease, settle."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from gateway.contract import Clock, Event, Outcome
from gateway.outbox import incidents, operations, retention
from gateway.outbox.database import Replaced, open_database
from gateway.outbox.losses import Losses, write
from gateway.outbox.operations import Addressed, IncidentRow
from gateway.outbox.writer import Operation, T, Writer

log = logging.getLogger("lineside")
_DAY_NS = 86_400_000_000_000
_ENFORCE_EVERY = 500
_RETRY_SECONDS = 1.0


class Outbox:
    """Events in, events out; everything awaited here is on disk when it returns.

    max_bytes, keep_days   caps, see retention.py
    """

    def __init__(self, folder: Path, clock: Clock, *, max_bytes: int = 512 << 20, keep_days: int = 30) -> None:
        self._folder, self._clock = folder, clock
        self.max_bytes, self.keep_days = max_bytes, keep_days
        self._since_enforced = 0
        self.refused = ""
        """Why the disk does not take anything now; empty while it does."""
        self._waiting: list[asyncio.Event] = []
        self.accepted = 0
        """Events stored since the start."""

    def open(self) -> Replaced | None:
        """Open or create the file.

        raises sqlite3.OperationalError   the folder cannot be written
        raises ConfigError                the file is of a newer version
        """
        connection, replaced = open_database(self._folder)
        self._writer = Writer(connection)
        return replaced

    async def close(self) -> None:
        await self._writer.close()

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

    async def append(self, changed: Sequence[IncidentRow], events: Sequence[Addressed]) -> None:
        """Returns when all of it is on disk, in one transaction; waits as long as the disk is full or refuses.

        The caller holds what it has meanwhile; nothing accepted is lost.
        """
        self._stored(await self._insist(lambda connection: operations.append(connection, changed, events)))

    async def _insist(self, operation: Operation[T], submitted: asyncio.Future[T] | None = None) -> T:
        """Again until it is on disk. Every operation here may be done twice: ids and the rows' states decide."""
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
        if self._since_enforced >= _ENFORCE_EVERY:
            self._since_enforced = 0
            self._writer.submit(self._retention()).add_done_callback(_report_retention)

    async def tidy(self, losses: Losses, closed_before_ns: int) -> None:
        """Write down what was lost elsewhere, keep to the caps, forget incidents that are closed since long."""
        taken, retention_ = losses.take(), self._retention()

        def operation(connection: sqlite3.Connection) -> int:
            write(connection, taken, self._clock.now_ns())
            incidents.forget(connection, closed_before_ns)
            return retention_(connection)

        _tell(await self._insist(operation))

    def _retention(self) -> Operation[int]:
        return partial(retention.enforce, max_bytes=self.max_bytes, keep_ns=self.keep_days * _DAY_NS, now_ns=self._clock.now_ns())

    async def lease(
        self, destination: str, after: int, limit: int, *, without: Collection[str] = (), only: str | None = None
    ) -> list[Event]:
        """The oldest `limit` ready events behind `after`, in order; `without` some machines, or `only` of one."""
        return await self._insist(partial(operations.lease, destination=destination, after=after, limit=limit, without=without, only=only))

    def settle(self, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome]) -> asyncio.Task[None]:
        """Done when the outcomes are on disk. They are on their way when this returns, whoever is cancelled then."""

        def operation(connection: sqlite3.Connection) -> None:
            operations.settle(connection, destination, events, outcomes)

        return asyncio.create_task(self._insist(operation, self._writer.submit(operation)))


def _report_retention(done: asyncio.Future[int]) -> None:
    if done.cancelled():
        return
    if error := done.exception():
        log.error("retention failed", extra={"fields": {"why": str(error)}})
    else:
        _tell(done.result())


def _tell(given_up: int) -> None:
    if given_up:
        log.warning("outbox full, events given up", extra={"fields": {"events": given_up, "ledger": "lineside outbox ledger"}})
