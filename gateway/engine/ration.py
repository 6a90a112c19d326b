"""How much a slow detector may compute, and in how large pieces, so that the others on the analysis thread have their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isinf
from typing import TypeVar

from gateway.contract import Clock, Frame

T = TypeVar("T")
SAVED_SECONDS = 10.0
"""What was not used is saved up for this long: a flush after a short outage is not skipped."""
SLICE_SECONDS = 0.02
MOST_ROWS = 256
_FIRST_ROWS = 16


class Ration:
    """Computing time of one watch: `per_second` for each second that passes, saved up for `SAVED_SECONDS`; inf: as much as it wants.

    seconds   used since the start
    cpu       seconds the calling thread has computed; what other threads and processes do does not count
    """

    def __init__(self, per_second: float, clock: Clock, cpu: Callable[[], float] = time.thread_time) -> None:
        self.per_second, self._clock, self._cpu = per_second, clock, cpu
        self.seconds = 0.0
        self._left = per_second * SAVED_SECONDS
        self._asked = clock.monotonic()
        self._row_seconds = SLICE_SECONDS / _FIRST_ROWS

    def left(self) -> bool:
        """Is there anything left to compute with?"""
        if isinf(self.per_second):
            return True
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._asked) * self.per_second, self.per_second * SAVED_SECONDS)
        self._asked = now
        return self._left > 0

    def measured(self, work: Callable[[], T], rows: int) -> T:
        """Do it, and know how long it took; called on the thread that computes."""
        began = self._cpu()
        done = work()
        took = self._cpu() - began
        self.seconds += took
        self._left -= took
        self._row_seconds = took / rows
        return done

    def slices(self, frame: Frame) -> Iterator[Frame]:
        """The rows of a frame in pieces of about `SLICE_SECONDS`, by what the last piece took."""
        begin = 0
        while begin < len(frame.t_ns):
            rows = int(max(1, min(SLICE_SECONDS / max(self._row_seconds, 1e-9), MOST_ROWS)))
            yield replace(frame, t_ns=frame.t_ns[begin : begin + rows], x=frame.x[begin : begin + rows])
            begin += rows
