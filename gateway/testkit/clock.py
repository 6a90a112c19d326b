"""A clock that tests turn by hand."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count


class FakeClock:
    """Time stands still until `advance`; sleepers wake in order of their deadline.

    >>> clock = FakeClock(start_ns=0)
    >>> clock.now_ns(), clock.monotonic()
    (0, 0.0)
    """

    def __init__(self, start_ns: int = 1_800_000_000_000_000_000) -> None:
        self._start_ns = start_ns
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._ticket = count()

    def now_ns(self) -> int:
        return self._start_ns + round(self._elapsed * 1e9)

    def monotonic(self) -> float:
        return self._elapsed

    def set_wall(self, now_ns: int) -> None:
        """Somebody sets the clock; monotonic time goes on."""
        self._start_ns = now_ns - round(self._elapsed * 1e9)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._ticket), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking every sleeper at its own time and letting it run."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not waiter.done():
                waiter.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()

    @staticmethod
    async def settle() -> None:
        """Let every task that can run do so."""
        for _ in range(20):
            await asyncio.sleep(0)
