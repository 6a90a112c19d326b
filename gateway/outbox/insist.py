"""An operation on the outbox, again and again until the disk has taken it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.contract import Clock
from gateway.outbox.database import suspect
from gateway.outbox.room import RETRY_SECONDS, Room
from gateway.outbox.writer import Operation, T
from gateway.supervisor import Unusable


class Damaged(Unusable):
    """The file is damaged. The process ends; the next start salvages what can be read."""


class Full(Exception):
    """The disk is full, and what is left is kept for what must be noted. Offer it again when there is `room`."""


class Insistence:
    """Of one outbox.

    submit     gives the writer an operation
    followed   not set while the clock has leapt and the rows have not: nobody knows how old they are, and whoever comes waits for them
    repeating  operations that the disk has refused, and that are tried again
    """

    def __init__(self, folder: Path, clock: Clock, room: Room, submit: Callable[[Operation[Any]], asyncio.Future[Any]]) -> None:
        self._folder, self._clock, self._room, self._submit = folder, clock, room, submit
        self.followed = asyncio.Event()
        self.followed.set()
        self.repeating = 0

    async def insist(self, operation: Operation[T], submitted: asyncio.Future[T] | None, *, yields: bool, follows: bool) -> T:
        """See `Outbox.insist`."""
        repeats = False
        try:
            while True:
                if submitted is None and not follows:
                    await self.followed.wait()
                try:
                    result: T = await self._sound(submitted or self._submit(operation))
                except sqlite3.OperationalError as exc:
                    submitted = None
                    waits = not self._room.free.is_set()
                    self._room.failed(exc)
                    if yields and not self._room.free.is_set():
                        raise Full from exc
                    repeats, self.repeating = True, self.repeating + (not repeats)
                    if waits or not self._room.full:
                        await self._clock.sleep(RETRY_SECONDS)
                    continue  # at once, where the reserve has made room
                self._room.works(new=yields)
                return result
        finally:
            self.repeating -= repeats

    async def _sound(self, submitted: asyncio.Future[T]) -> T:
        try:
            return await submitted
        except (sqlite3.OperationalError, sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as exc:
            suspect(self._folder, str(exc))
            raise Damaged(f"the outbox is damaged: {exc}; the next start salvages what can be read") from exc
