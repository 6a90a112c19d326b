"""The machines' own time, which stands still while a machine is silent; whether they rest; whether their times go back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.sensor.bank import Bank
from models.sensor.columns import DUE, Machines
from models.sensor.settings import LATE_OVER, LATE_PER_TAG, LATE_READINGS, PATIENCE, SLOW, TICK_NS
from models.sensor.tags import GAP

Rows = NDArray[np.intp]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_KNOWN_PACE = 10  # steps before a pause can be told from the usual pace


class Verdict(NamedTuple):
    """Whether a machine's times go back."""

    machine: int
    active: bool
    t_ns: int
    since_ns: int
    share: float


class Plant:
    """Of all machines of a watch.

    of   intp[k]  the machine of each tag
    """

    def __init__(self, of: Rows, m: int, bad_share: float) -> None:
        self.of, self.machines, self._bad_share = of, Machines.fresh(m), bad_share
        self._size = LATE_READINGS + LATE_PER_TAG * np.bincount(of, minlength=m)

    def begin(self, m: Rows, tick: Ints, bank: Bank) -> None:
        """A new step of these machines' time, each once: before it, everything of the steps before is known."""
        c = self.machines
        alive, pace = c.alive[:, m]
        seconds = (tick - c.tick[m]) * (TICK_NS * 1e-9)
        n, known = c.paces[m], c.tick[m] > 0
        counted = np.where(known, np.where(n < _KNOWN_PACE, seconds, np.minimum(seconds, PATIENCE * pace + 2.0)), 0.0)
        pace = pace + np.where(known, np.maximum(SLOW, 1.0 / (n + 1.0)) * (counted - pace), 0.0)
        c.alive[:, m] = alive + counted, pace
        c.tick[m], c.paces[m] = tick, n + known
        movers, still = bank.restless()
        moving = np.bincount(self.of[movers], minlength=len(c.tick))[m]
        resting = np.bincount(self.of[still], minlength=len(c.tick))[m]
        # The one that is looked at rests itself; half of the others have to as well.
        c.rests[m] = resting - 1 >= np.maximum(1.0, (moving - 1) / 2)

    def missing(self, m: Rows, t_ns: Ints, bank: Bank) -> Rows:
        """Rows of the tags that are newly missing on these machines, at `t_ns` of each."""
        c = self.machines
        late = c.alive[0, m] > c.due[m]
        if not late.any():
            return np.zeros(0, dtype=np.intp)
        m, t_ns = m[late], t_ns[late]
        when = np.zeros(len(c.tick), dtype=np.int64)
        when[m] = t_ns
        rows = np.flatnonzero(np.isin(self.of, m))
        found: Rows = rows[bank.missing(rows, c.alive[0, self.of[rows]], when[self.of[rows]])]
        due = np.where(bank.columns.active[GAP, rows] & bank.columns.told[GAP, rows], np.inf, bank.columns.now[DUE, rows])
        c.due[m] = np.inf
        np.minimum.at(c.due, self.of[rows], due)
        return found

    def expect(self, rows: Rows, bank: Bank) -> None:
        """These tags gave a reading: their machines need no look at what is missing before they are due again."""
        np.minimum.at(self.machines.due, self.of[rows], bank.columns.now[DUE, rows])

    def times(self, m: Rows, t_ns: Ints, late: Flags) -> list[Verdict]:
        """When it changed whether a machine's times go back: looked at after so many readings of it.

        m, t_ns, late   of each reading, in the order they came: its own time is what is doubted, so they are counted instead
        """
        c = self.machines
        total = np.bincount(m, minlength=len(c.tick))
        some = np.bincount(m, weights=late, minlength=len(c.tick)).astype(np.int64)
        full = c.block[0] + total >= self._size
        part = ~full
        begins = part & (c.block[1] == 0) & (some > 0)
        for machine in np.flatnonzero(begins):
            c.block[2, machine] = t_ns[(m == machine) & late][0]
        c.block[0, part] += total[part]
        c.block[1, part] += some[part]
        found: list[Verdict] = []
        for machine in np.flatnonzero(full):
            mine = np.flatnonzero(m == machine)
            found += self._blocks(int(machine), t_ns[mine], late[mine])
        return found

    def _blocks(self, machine: int, t_ns: Ints, late: Flags) -> list[Verdict]:
        c, size, at = self.machines, int(self._size[machine]), 0
        found: list[Verdict] = []
        while at < len(t_ns):
            end = min(len(t_ns), at + size - int(c.block[0, machine]))
            piece = late[at:end]
            if c.block[1, machine] == 0 and piece.any():
                c.block[2, machine] = t_ns[at:end][piece][0]
            c.block[0, machine] += end - at
            c.block[1, machine] += int(piece.sum())
            if c.block[0, machine] == size:
                found += self._verdict(machine, int(t_ns[end - 1]))
            at = end
        return found

    def _verdict(self, machine: int, t_ns: int) -> list[Verdict]:
        c = self.machines
        share = float(c.block[1, machine] / c.block[0, machine])
        was, told = c.late[:, machine].tolist()
        now = share >= (self._bad_share * LATE_OVER if was else self._bad_share)
        if now and not was:
            c.late_since[machine] = c.block[2, machine]
        c.late[:, machine] = now, True
        c.block[:, machine] = 0
        since_ns = min(int(c.late_since[machine]) or t_ns, t_ns)
        return [Verdict(machine, now, t_ns, since_ns, share)] if now != was or not told else []
