"""A circuit breaker with back-off for one destination. Pure but for the clock and the jitter.

closed      sending; a failure waits a jittered, growing time
open        some failures in a row, or a hold: nothing is sent until the wait is over
half-open   one probe (a single event) decides: success closes, failure opens again
hold        the receiver said "not for a while" (quota, credentials): open, but not a failure of the link
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from gateway.contract import Clock, RetryOptions

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
HOLD_SECONDS = 60.0
_MOST_FAILURES = 30


class Memory(NamedTuple):
    """What is kept over a restart; times are wall time, since_ns is 0 while the destination is well.

    held   also when the receiver was only busy, but asked for a longer wait than a failure causes
    """

    failures: int
    held: bool
    ready_ns: int
    since_ns: int
    why: str


WELL = Memory(0, False, 0, 0, "")


class Breaker:
    """Ask `wait_seconds` before each attempt, tell `succeeded`, `failed` or `held` after it."""

    def __init__(self, clock: Clock, options: RetryOptions | None = None) -> None:
        self._clock, self._options = clock, options or RetryOptions()
        self._failures = 0
        self._ready_at = 0.0
        self._held = False
        self._asked = False
        self._since_ns = 0
        self._why = ""

    @property
    def state(self) -> BreakerState:
        if self._failures < self._options.failures and not self._held:
            return "closed"
        return "open" if self.wait_seconds() > 0 else "half-open"

    @property
    def well(self) -> bool:
        """The last attempt succeeded."""
        return not self._since_ns

    @property
    def holding(self) -> bool:
        """The receiver said "not for a while", and nothing was taken since."""
        return self._held

    def wait_seconds(self) -> float:
        return max(0.0, self._ready_at - self._clock.monotonic())

    def succeeded(self) -> None:
        self._failures, self._held, self._asked, self._ready_at, self._since_ns, self._why = 0, False, False, 0.0, 0, ""

    def failed(self, why: str = "", after_seconds: float = 0.0) -> float:
        """Full jitter: anything up to a doubling ceiling, but no less than what the receiver asked for; returns the seconds."""
        ceiling = min(self._options.longest, self._options.first * 2**self._failures)
        self._failures, self._asked = min(self._failures + 1, _MOST_FAILURES), after_seconds > self._options.longest
        return self._wait(max(after_seconds, random.uniform(0.0, ceiling)), why)

    def held(self, why: str = "", after_seconds: float = 0.0) -> float:
        self._held = True
        return self._wait(after_seconds or HOLD_SECONDS, why)

    def _wait(self, seconds: float, why: str) -> float:
        seconds = min(seconds, self._options.longest_hold)
        self._since_ns, self._why = self._since_ns or self._clock.now_ns(), why
        self._ready_at = self._clock.monotonic() + seconds
        return seconds

    def leap(self, right: Callable[[int], int]) -> None:
        """The wall clock was put right: it was not well for as long as before."""
        self._since_ns = right(self._since_ns) if self._since_ns else 0

    def memory(self) -> Memory:
        """To be written down after each change."""
        ready_ns = self._clock.now_ns() + int(self.wait_seconds() * 1e9)
        return WELL if self.well else Memory(self._failures, self._held or self._asked, ready_ns, self._since_ns, self._why)

    def recall(self, memory: Memory) -> None:
        """Go on as before the restart. A wall clock that was set meanwhile cannot make the wait longer than it may be."""
        self._failures, self._held, self._since_ns, self._why = memory.failures, memory.held, memory.since_ns, memory.why
        longest = self._options.longest_hold if memory.held else self._options.longest
        remaining = (memory.ready_ns - self._clock.now_ns()) / 1e9
        self._ready_at = self._clock.monotonic() + min(max(remaining, 0.0), longest)
