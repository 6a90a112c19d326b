"""Whether new events are taken, now that the disk may be full: what is left of it is for what must be noted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.contract import Clock
from gateway.outbox.condition import Condition
from gateway.outbox.reserve import MARGIN_BYTES, Reserve

RETRY_SECONDS = 1.0
_PROBE_SECONDS = 60.0
"""A disk that stays full is tried once in so long all the same: the file may have free pages."""


class Room:
    """On the disk, for what is new.

    take   takes the reserve on the thread that uses it, with so many bytes beside it left free; raises sqlite3.Error
    """

    def __init__(self, clock: Clock, condition: Condition, reserve: Reserve, take: Callable[[int], Awaitable[bool]]) -> None:
        self._clock, self._condition, self._reserve, self._take = clock, condition, reserve, take
        self.free = asyncio.Event()
        """Set while new events are taken."""
        self.free.set()
        self._regaining: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """That is why the disk refuses."""
        return self._condition.state == "full"

    def failed(self, error: sqlite3.OperationalError) -> None:
        """The disk refused something."""
        self._condition.failed(error)
        if self.full and self.free.is_set():
            self.free.clear()
            self._regaining = asyncio.create_task(self._regain(), name="room on the disk")

    def works(self, *, new: bool) -> None:
        """It took something. What was under way when it filled up and got into the room of the reserve says nothing of what is new."""
        if (new and self.free.is_set()) or not self.full:
            self._condition.works()

    async def close(self) -> None:
        if self._regaining is not None:
            self._regaining.cancel()
            await asyncio.wait([self._regaining])

    async def _regain(self) -> None:
        """Until the reserve can be had again. What is new has to wait so long, or it would eat up the room for what must be noted."""
        waited = 0.0
        while True:
            await self._clock.sleep(RETRY_SECONDS)
            waited += RETRY_SECONDS
            probe = waited >= _PROBE_SECONDS
            waited %= _PROBE_SECONDS
            with suppress(sqlite3.Error):
                if await self._take(0 if probe else MARGIN_BYTES):
                    break
        self.free.set()
        if self._reserve.size and not probe:
            self._condition.works()
