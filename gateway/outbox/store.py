"""The outbox as the rest of the gateway sees it: accept, lease, settle."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gateway.contract import Clock, Event, Outcome
from gateway.outbox import operations, retention
from gateway.outbox.database import Replaced, open_database
from gateway.outbox.operations import Addressed, IncidentRow
from gateway.outbox.writer import Operation, T, Writer

log = logging.getLogger("lineside")
_DAY_NS = 86_400_000_000_000
_ENFORCE_EVERY = 500
_FULL_RETRY_SECONDS = 1.0


class Outbox:
    """Events in, events out; everything awaited here is on disk when it returns.

    max_bytes, keep_days   caps, see retention.py
    """

    def __init__(self, folder: Path, clock: Clock, *, max_bytes: int = 512 << 20, keep_days: int = 30) -> None:
        self._folder, self._clock = folder, clock
        self.max_bytes, self._keep_ns = max_bytes, keep_days * _DAY_NS
        self._since_enforced = 0
        self._full = False
        self._waiting: list[asyncio.Event] = []
        self.accepted = 0
        """Events stored since the start."""

    def open(self) -> Replaced | None:
        """Open or create the file; raises sqlite3.OperationalError when the folder cannot be written."""
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
        """Any operation in the writer's next transaction."""
        return await self._writer.submit(operation)

    async def append(self, incidents: Sequence[IncidentRow], events: Sequence[Addressed]) -> None:
        """Returns when all of it is on disk, in one transaction.

        A disk that is full or refuses is waited for: the caller holds what it has, nothing accepted is lost, and
        doing the same again is harmless because ids decide.
        """
        while True:
            try:
                new = await self._writer.submit(lambda connection: operations.append(connection, incidents, events))
                break
            except sqlite3.OperationalError as exc:
                if not self._full:
                    log.error("outbox cannot write", extra={"fields": {"why": str(exc), "retry_seconds": _FULL_RETRY_SECONDS}})
                self._full = True
                await self._clock.sleep(_FULL_RETRY_SECONDS)
        if self._full:
            log.info("outbox writes again")
            self._full = False
        self._stored(new)

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

    async def enforce_retention(self) -> int:
        return await self._writer.submit(self._retention())

    def _retention(self) -> Operation[int]:
        return partial(retention.enforce, max_bytes=self.max_bytes, keep_ns=self._keep_ns, now_ns=self._clock.now_ns())

    async def lease(self, destination: str, after: int, limit: int) -> list[Event]:
        """The oldest `limit` ready events behind `after`, in order."""
        return await self._writer.submit(lambda connection: operations.lease(connection, destination, after, limit))

    def settle(self, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome]) -> asyncio.Future[None]:
        """Resolves when the outcomes are on disk."""
        return self._writer.submit(lambda connection: operations.settle(connection, destination, events, outcomes))


def _report_retention(done: asyncio.Future[int]) -> None:
    if done.cancelled():
        return
    if error := done.exception():
        log.error("retention failed", extra={"fields": {"why": str(error)}})
    elif given_up := done.result():
        log.warning("outbox full, events given up", extra={"fields": {"events": given_up, "ledger": "lineside outbox ledger"}})
