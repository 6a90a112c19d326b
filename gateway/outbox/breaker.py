"""A circuit breaker with back-off for one destination. Pure but for the clock and the jitter.

closed      sending; a failure waits a jittered, growing time
open        five failures in a row: nothing is sent until the wait is over
half-open   one probe (a single event) decides: success closes, failure opens again
hold        the receiver said "not for a while" (quota, credentials): open, but not a failure of the link
"""

from __future__ import annotations

import random
from typing import Literal, TypeAlias

from gateway.contract import Clock

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
OPENS_AFTER = 5
HOLD_SECONDS = 60.0


class Breaker:
    """Ask `wait_seconds` before each attempt, tell `succeeded`, `failed` or `held` after it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._ready_at = 0.0
        self._held = False

    @property
    def state(self) -> BreakerState:
        if self._failures < OPENS_AFTER and not self._held:
            return "closed"
        return "open" if self.wait_seconds() > 0 else "half-open"

    def wait_seconds(self) -> float:
        return max(0.0, self._ready_at - self._clock.monotonic())

    def succeeded(self) -> None:
        self._failures, self._held, self._ready_at = 0, False, 0.0

    def failed(self, after_seconds: float = 0.0) -> float:
        """The next attempt waits for what the receiver asked, but at least for the back-off; returns the seconds."""
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 20)
        return self._wait(max(after_seconds, random.uniform(0.1 * ceiling, ceiling)))

    def held(self, after_seconds: float = 0.0) -> float:
        self._held = True
        return self._wait(after_seconds or HOLD_SECONDS)

    def _wait(self, seconds: float) -> float:
        self._ready_at = self._clock.monotonic() + seconds
        return seconds
