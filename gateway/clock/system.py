"""The system's clock, as the contract's `Clock`."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Wall time from the operating system, timers from the monotonic clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
