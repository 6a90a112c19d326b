"""The only retry loop. Edges restart, the core crashes."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from gateway.contract import Clock, ConfigError, EndOfSource, NotConnected
from gateway.telemetry.status import CLOCK_RETRY_SECONDS, Link, Status

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
STABLE_SECONDS = 60.0


class Backoff:
    """Full jitter: the n-th wait is uniform in [0, 0.5 · 2^n], at most a minute, never below a tenth of its ceiling.

    A run that lasted a minute counts as stable and starts the series anew.
    Source: Brooker, "Exponential backoff and jitter" (2015).
    """

    def __init__(self, clock: Clock, *, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._clock, self._first, self._longest = clock, first, longest
        self._failures = 0
        self._started = clock.monotonic()

    def started(self) -> None:
        """A new run begins."""
        self._started = self._clock.monotonic()

    def failed(self) -> float:
        """Seconds to wait now."""
        if self._clock.monotonic() - self._started >= STABLE_SECONDS:
            self._failures = 0
        ceiling = min(self._longest, self._first * 2**self._failures)
        self._failures = min(self._failures + 1, 20)
        return random.uniform(0.1 * ceiling, ceiling)


class Unusable(Exception):
    """Raised through an edge, but no edge's affair: the core cannot go on, and the process ends."""


async def supervise(
    link: Link, run: Callable[[], Awaitable[None]], clock: Clock, status: Status, *, longest: float = LONGEST_SECONDS
) -> None:
    """Run `run` (connect, then work until it raises) again and again; ends with EndOfSource or by cancelling.

    longest   seconds between two attempts, at most. What only somebody can end who changes a file, here or at the peer (ConfigError,
              a refused login), waits `LONGEST_SECONDS`
    """
    backoff = Backoff(clock, longest=longest)
    while True:
        backoff.started()
        try:
            await run()
        except EndOfSource:
            status.ended(link)
            return
        except Unusable:
            raise
        except Exception as exc:  # noqa: BLE001  the one place where any error of an edge becomes a wait
            hopeless = isinstance(exc, ConfigError) or (isinstance(exc, NotConnected) and exc.login)
            seconds = LONGEST_SECONDS if hopeless else backoff.failed()
            if status.blames_clock(exc):
                seconds = min(seconds, CLOCK_RETRY_SECONDS)
            status.down(link, exc, seconds)
            await clock.sleep(seconds)
