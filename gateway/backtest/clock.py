"""A clock that follows a recording."""

from __future__ import annotations

import asyncio


class RecordingClock:
    """Stands at a moment of the recording until it is set; never goes back.

    >>> clock = RecordingClock(5_000_000_000)
    >>> clock.to(7_500_000_000)
    >>> clock.to(6_000_000_000)
    >>> clock.now_ns(), clock.monotonic()
    (7500000000, 2.5)
    """

    def __init__(self, start_ns: int) -> None:
        self._start_ns = self._now_ns = start_ns
        self._reached = 0.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return max(self._reached, (self._now_ns - self._start_ns) / 1e9)

    def to(self, t_ns: int) -> None:
        self._now_ns = max(self._now_ns, t_ns)

    def reach(self, seconds: float) -> None:
        """A timer's very moment, which need not be whole nanoseconds."""
        self._reached = max(self._reached, seconds)
        self.to(self.when(seconds))

    def when(self, seconds: float) -> int:
        """The time at which `monotonic` is `seconds`."""
        return self._start_ns + round(seconds * 1e9)

    async def sleep(self, seconds: float) -> None:
        """A recording does not wait for anybody."""
        self.to(self._now_ns + round(seconds * 1e9))
        await asyncio.sleep(0)
