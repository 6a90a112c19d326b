"""Readings in the order of their time: at once within what came together, and within a bound if a source is given one."""

from __future__ import annotations

from collections import deque

import numpy as np

from gateway.contract import Batch, Clock

MOST_HELD = 200_000
"""Readings of one source; beyond, the oldest go on early."""


def in_order(batch: Batch) -> Batch:
    """The same readings by time; those of one instant keep the order the source gave them."""
    t_ns = batch.t_ns
    if len(batch) < 2 or bool((t_ns[1:] >= t_ns[:-1]).all()):
        return batch
    return batch.select(np.argsort(t_ns, kind="stable"))


class Reorder:
    """Holds readings of one source for `seconds`, so that one that comes later may still go before them.

    A reading goes on when it has waited its time, and with it all that are not newer.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self.seconds = clock, seconds
        self._held: deque[tuple[float, Batch]] = deque()
        self._count = 0

    def pass_on(self, batch: Batch | None) -> Batch | None:
        """Take what came, give what is due."""
        now = self._clock.monotonic()
        if batch is not None and len(batch):
            self._held.append((now, batch))
            self._count += len(batch)
        until = -(2**63)
        held = self._count
        for came, waiting in self._held:
            if came > now - self.seconds and held <= MOST_HELD:
                break
            until = max(until, int(waiting.t_ns.max()))
            held -= len(waiting)
        return self._release(until)

    def drain(self) -> Batch | None:
        """All of it: the source ends."""
        return self._release(2**63 - 1)

    def _release(self, until_ns: int) -> Batch | None:
        if not self._held or until_ns == -(2**63):
            return None
        due = [batch.select(batch.t_ns <= until_ns) for _, batch in self._held]
        rest = [(came, batch.select(batch.t_ns > until_ns)) for came, batch in self._held]
        self._held = deque((came, batch) for came, batch in rest if len(batch))
        self._count = sum(len(batch) for _, batch in self._held)
        return in_order(Batch.concat(due))
