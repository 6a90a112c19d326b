"""What is usual of each tag, learnt reading by reading. State and arithmetic; no findings, no I/O."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.sensor.columns import (
    BEFORE,
    BEGAN,
    BLOCK_STEP,
    COUNT,
    DUE,
    HIGH,
    IN_BLOCK,
    INTERVAL,
    LAST,
    LONGEST,
    LOW,
    MOVED,
    MOVES,
    NEW_RATE,
    NEW_SIZE,
    NEW_STEP,
    NEW_STILL,
    OLD_RATE,
    OLD_SIZE,
    OLD_STEP,
    OLD_STILL,
    RATE,
    RUN,
    SEEN,
    SIZE,
    STEP,
    STILL,
    USUAL_SIZE,
    WITHHELD,
    Columns,
)
from models.sensor.numerics import divisor
from models.sensor.settings import (
    BACK,
    EXACT,
    FAR,
    GAP_INTERVALS,
    GAP_LONGEST,
    GAP_SECONDS,
    LEVELS,
    LONGEST_RUN,
    REGULAR,
    SLOW,
    Settings,
)
from models.sensor.settings import MOVES as BLOCK
from models.sensor.settings import NEARLY_EACH as EACH
from models.sensor.tags import COARSE as COARSE_T
from models.sensor.tags import GAP, SPIKES, STUCK
from models.sensor.tags import QUIET as QUIET_T

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Ints = NDArray[np.int64]

GAUGE, COUNTER, STATE = range(3)


class Usual:
    """Learns what a tag does while it is not in trouble for it. `now` is the part of `columns.now` of the tags at hand.

    kind       int8[k]     GAUGE, COUNTER, STATE
    max_step   float64[k]  of the tags' options; infinite: none
    """

    def __init__(self, columns: Columns, settings: Settings, kind: NDArray[np.int8], max_step: Floats) -> None:
        self.columns, self.settings, self.kind, self.max_step = columns, settings, kind, max_step

    def present(self, now: Floats, row: Rows, newest: Ints, alive: Floats) -> Flags:
        """It is there: how long was it away while its machine was alive, and from when on is it missing? bool[n]: it was missing."""
        absent: Flags = now[DUE] < alive
        known = newest > 0
        away = np.where(known, alive - now[SEEN], 0.0)
        learnt = known & ~self.columns.active[GAP, row]
        weight = np.maximum(SLOW, 1.0 / np.maximum(now[COUNT], 1.0))
        now[INTERVAL] += np.where(learnt, weight * (away - now[INTERVAL]), 0.0)
        now[LONGEST] = np.where(learnt, np.maximum(now[LONGEST], away), now[LONGEST])
        now[SEEN] = alive
        regular = now[LONGEST] <= REGULAR * now[INTERVAL] + 2.0
        limit = np.maximum(np.maximum(GAP_INTERVALS * now[INTERVAL], GAP_LONGEST * now[LONGEST]), GAP_SECONDS)
        ripe = (self.columns.stretch[row] > 0) & regular
        now[DUE] = np.where(ripe, alive + limit, np.inf)
        return absent

    def value(self, now: Floats, row: Rows, t_ns: Ints, x: Floats) -> None:
        """A good value: is it a spike, does it move, how much?"""
        known = now[COUNT] > 0
        step = np.where(known, x - now[LAST], 0.0)
        now[RATE] += self._spikes(now, row, x, step, known)
        now[BEFORE] = np.where(self._jumps(now, row, step), now[LAST], np.nan)
        now[WITHHELD] = 0.0
        moved = np.flatnonzero(step != 0)
        now[STILL] += known
        if len(moved):
            part = now[:, moved]
            self._move(part, row[moved], t_ns[moved], x[moved], np.abs(step[moved]))
            now[:, moved] = part
        first = ~known
        self.columns.times[MOVED, row[first]] = t_ns[first]
        now[LAST] = x
        now[COUNT] += 1

    def _spikes(self, now: Floats, row: Rows, x: Floats, step: Floats, known: Flags) -> Floats:
        """How many spikes of one sample end with this reading; of a counter: whether it goes back and has not begun anew."""
        kind = self.kind[row]
        jump = np.abs(now[LAST] - now[BEFORE])  # NaN: there was none
        back = np.abs(x - now[BEFORE]) <= BACK * jump
        withheld = np.where(known & (np.abs(step) <= self.max_step[row]), now[WITHHELD], 0.0)
        counted = (step < 0) & (x > now[LAST] / 2)
        found: Floats = np.where(kind == GAUGE, back + withheld, np.where(kind == COUNTER, counted, 0.0))
        return found

    def _jumps(self, now: Floats, row: Rows, step: Floats) -> Flags:
        size = np.log2(np.maximum(np.abs(step), 5e-324))
        found: Flags = (now[MOVES] >= BLOCK) & (size > now[USUAL_SIZE] + np.log2(FAR)) & (self.kind[row] == GAUGE)
        # The way back from a jump is none.
        found &= ~(np.sign(step) * np.sign(now[LAST] - now[BEFORE]) < 0)
        return found

    def _move(self, now: Floats, row: Rows, t_ns: Ints, x: Floats, distance: Floats) -> None:
        """Sizes, runs and the resolution of moves, learnt of what is not in trouble for them."""
        c, old = self.columns, now[LAST]
        n = now[MOVES]
        size = np.log2(np.maximum(distance, 5e-324))
        fast = np.maximum(1.0 / BLOCK, 1.0 / (n + 1.0))
        run = now[STILL]
        usual = np.maximum(SLOW, 1.0 / (n + 1.0))
        free = ~c.active[STUCK, row]
        now[RUN] += np.where(free, fast * (np.minimum(run, LONGEST_RUN) - now[RUN]), 0.0)
        now[NEW_STILL] = np.where(free, np.maximum(now[NEW_STILL], run), now[NEW_STILL])
        now[STILL] = 0.0
        now[SIZE] += fast * (size - now[SIZE])
        now[USUAL_SIZE] += np.where(c.active[QUIET_T, row] | c.active[COARSE_T, row], 0.0, usual * (size - now[USUAL_SIZE]))
        ready = (n >= BLOCK) & ~c.active[QUIET_T, row]
        now[NEW_SIZE] = np.where(ready, np.minimum(now[NEW_SIZE], now[SIZE]), now[NEW_SIZE])
        now[STEP] = divisor(now[STEP], distance, np.maximum(np.abs(x), np.abs(old)))
        now[LOW], now[HIGH] = np.minimum(now[LOW], x), np.maximum(now[HIGH], x)
        now[IN_BLOCK] += 1
        now[MOVES] = n + 1
        c.times[MOVED, row] = t_ns
        full = np.flatnonzero(now[IN_BLOCK] >= BLOCK)
        if len(full):
            part = now[:, full]
            self._block(part, c.active[COARSE_T, row[full]])
            now[:, full] = part

    def _block(self, now: Floats, coarse: Flags) -> None:
        """A block of moves is complete: what divides them all?"""
        step = np.log2(np.maximum(now[STEP], 5e-324))
        known = now[STEP] > 2 * EXACT * np.maximum(np.abs(now[HIGH]), np.abs(now[LOW]))
        matters = known & (now[HIGH] - now[LOW] >= LEVELS * now[STEP]) & (step >= now[USUAL_SIZE] - 1.0)
        now[BLOCK_STEP] = np.where(matters, step, -np.inf)
        now[NEW_STEP] = np.where(coarse, now[NEW_STEP], np.minimum(now[NEW_STEP], step))
        now[[STEP, IN_BLOCK]] = 0.0
        now[LOW], now[HIGH] = np.inf, -np.inf

    def turn(self, now: Floats, row: Rows, t_ns: Ints) -> None:
        """After each stretch of `warm_up`, what it brought joins what is known."""
        c, o = self.columns, self.settings
        began = c.times[BEGAN, row]
        c.times[BEGAN, row] = np.where(began == 0, t_ns, began)
        c_now = now[COUNT]
        over = (began > 0) & (t_ns - began >= int(o.warm_up * 1e9)) & (c_now >= o.warm_up_readings)
        free = ~c.active[SPIKES, row]
        now[NEW_RATE] = np.where(free, np.maximum(now[NEW_RATE], now[RATE]), now[NEW_RATE])
        at = np.flatnonzero(over)
        if not len(at):
            return
        part, rows = now[:, at], row[at]
        faded = np.minimum((t_ns[at] - began[at]) * 1e-9 / o.memory, 50.0)
        part[OLD_STILL] = np.maximum(part[OLD_STILL] * np.exp(-faded), part[NEW_STILL])
        part[OLD_RATE] = np.maximum(part[OLD_RATE] * np.exp(-faded), part[NEW_RATE])
        part[LONGEST] = part[LONGEST] * np.exp(-faded)
        part[OLD_SIZE] = np.minimum(part[OLD_SIZE] + faded, part[NEW_SIZE])
        part[OLD_STEP] = np.minimum(part[OLD_STEP] + faded, part[NEW_STEP])
        part[[NEW_STILL, NEW_RATE]], part[[NEW_SIZE, NEW_STEP]] = 0.0, np.inf
        now[:, at] = part
        c.times[BEGAN, rows] = t_ns[at]
        c.stretch[rows] += 1

    def movers(self, now: Floats, kind: NDArray[np.int8], stretch: Ints) -> Flags:
        found: Flags = (kind == GAUGE) & (stretch > 0) & (now[MOVES] >= BLOCK) & (now[RUN] <= EACH)
        return found
