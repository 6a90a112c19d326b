"""Every tag's troubles at once. State and arithmetic; no findings, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD as BAD_QUALITY
from gateway.contract import Quality
from models.sensor.columns import (
    BAD_SHARE,
    BEFORE,
    BEGAN,
    BLOCK_STEP,
    COUNT,
    DAYS,
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
    NEWEST,
    OLD_RATE,
    OLD_SIZE,
    OLD_STEP,
    OLD_STILL,
    RANGE_SHARE,
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
from models.sensor.numerics import divisor, share
from models.sensor.settings import (
    BACK,
    COARSE,
    DAY_NS,
    EXACT,
    FAR,
    FEW,
    GAP_INTERVALS,
    GAP_LONGEST,
    GAP_SECONDS,
    LARGEST,
    LEVELS,
    LONGEST_RUN,
    MOST_WEIGHT,
    QUIET,
    QUIET_STILL,
    REGULAR,
    RESTS,
    SLOW,
    SPIKES_READINGS,
    SPIKES_SECONDS,
    STILL_MOST,
    STILL_RUNS,
    TURNS,
    WELL,
    Settings,
)
from models.sensor.settings import MOVES as BLOCK
from models.sensor.settings import NEARLY_EACH as EACH
from models.sensor.tags import BAD, GAP, RANGE, SPIKES, STUCK
from models.sensor.tags import COARSE as COARSE_T
from models.sensor.tags import QUIET as QUIET_T

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Ints = NDArray[np.int64]

GAUGE, COUNTER, STATE = range(3)
_OTHER = (Quality.BAD_RANGE, Quality.BAD_STUCK, Quality.BAD_SPIKE, Quality.BAD_DEVICE)
"""Not `bad`: these have a trouble of their own, and what a device refuses is told as the device's."""
_IS_BAD = np.array([quality >= BAD_QUALITY and quality not in _OTHER for quality in range(256)])


@dataclass(frozen=True, slots=True)
class Look:
    """Of n readings, each of another tag.

    good     bool[n]      its value counts
    wrong    bool[7, n]   what would begin a trouble; `still`: what would keep it
    judged   bool[7, n]   there is an opinion
    since    int64[7, n]  when it began, if it begins now
    """

    good: Flags
    wrong: Flags
    still: Flags
    judged: Flags
    since: Ints


class Bank:
    """What is usual of each tag, and what is wrong with it.

    kind       int8[k]     GAUGE, COUNTER, STATE
    possible   bool[7, k]  what can be wrong with each
    max_step   float64[k]  of the tags' options; infinite: none
    """

    def __init__(self, settings: Settings, kind: NDArray[np.int8], possible: Flags, max_step: Floats) -> None:
        self.settings, self.kind, self.possible, self.max_step = settings, kind, possible, max_step
        self.columns = Columns.fresh(len(kind))

    def step(self, row: Rows, t_ns: Ints, x: Floats, quality: NDArray[np.uint8], alive: Floats, rests: Flags) -> Flags:
        """bool[7, n]: which troubles are to be told of one reading of each tag in `row`, newer than the tag's last.

        alive   float64[n]  seconds its machine has given readings in
        rests   bool[n]     most of what usually moves on its machine stands still
        """
        c = self.columns
        now = c.now[:, row]
        newest = c.times[NEWEST, row]
        dt = np.where(newest > 0, (t_ns - newest) * 1e-9, 0.0)
        absent = self._present(now, row, newest, alive)
        good = (quality < BAD_QUALITY) & (np.abs(x) <= LARGEST)
        bad = _IS_BAD[quality]
        outside = quality == Quality.BAD_RANGE
        heard = quality != Quality.BAD_DEVICE
        now[BAD_SHARE] = np.where(heard, share(now[BAD_SHARE], bad, dt, self.settings.window, MOST_WEIGHT), now[BAD_SHARE])
        now[RANGE_SHARE] = np.where(heard, share(now[RANGE_SHARE], outside, dt, self.settings.window, MOST_WEIGHT), now[RANGE_SHARE])
        now[WITHHELD] += quality == Quality.BAD_SPIKE
        now[RATE] *= np.exp(dt / -np.maximum(SPIKES_SECONDS, SPIKES_READINGS * now[INTERVAL]))
        at = np.flatnonzero(good)
        if len(at):
            part = now[:, at]
            self._value(part, row[at], t_ns[at], x[at])
            now[:, at] = part
        self._turn(now, row, t_ns)
        c.now[:, row] = now
        c.times[NEWEST, row] = t_ns
        return self._judge(row, t_ns, self._look(now, row, t_ns, quality, good, np.stack([bad, outside, absent]), rests))

    def missing(self, rows: Rows, alive: Floats, t_ns: Ints) -> Rows:
        """Which of these tags are missing and not told to be, at the alive times of their machines."""
        c = self.columns
        at = np.flatnonzero((c.now[DUE, rows] < alive) & ~(c.active[GAP, rows] & c.told[GAP, rows]))
        rows, t_ns = rows[at], t_ns[at]
        begins = ~c.active[GAP, rows]
        c.since[GAP, rows] = np.where(begins, c.times[NEWEST, rows], c.since[GAP, rows])
        c.active[GAP, rows], c.told[GAP, rows], c.wrong[GAP, rows], c.well[GAP, rows] = True, True, t_ns, 0
        self._count(rows[begins], t_ns[begins])
        return at

    def restless(self) -> tuple[Flags, Flags]:
        """bool[k]: tags that usually move at nearly each reading, and those of them that rest or hardly move now."""
        now = self.columns.now
        movers = self._movers(now, self.kind, self.columns.stretch)
        still: Flags = movers & ((now[STILL] >= RESTS) | (now[SIZE] < now[OLD_SIZE] - 1.0))
        return movers, still

    def adopt(self, rows: Rows) -> None:
        """What these tags are in trouble for is usual from now on."""
        c, now = self.columns, self.columns.now[:, rows]
        active = c.active[:, rows]
        now[OLD_STILL] = np.where(active[STUCK], np.maximum(now[OLD_STILL], now[STILL]), now[OLD_STILL])
        now[OLD_SIZE] = np.where(active[QUIET_T], np.minimum(now[OLD_SIZE], now[SIZE]), now[OLD_SIZE])
        now[OLD_STEP] = np.where(active[COARSE_T], np.maximum(now[OLD_STEP], now[BLOCK_STEP]), now[OLD_STEP])
        now[OLD_RATE] = np.where(active[SPIKES], np.maximum(now[OLD_RATE], now[RATE]), now[OLD_RATE])
        now[LONGEST] = np.where(active[GAP], np.inf, now[LONGEST])  # it does not come regularly any more
        c.now[:, rows] = now

    def _present(self, now: Floats, row: Rows, newest: Ints, alive: Floats) -> Flags:
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

    def _value(self, now: Floats, row: Rows, t_ns: Ints, x: Floats) -> None:
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

    def _turn(self, now: Floats, row: Rows, t_ns: Ints) -> None:
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

    def _movers(self, now: Floats, kind: NDArray[np.int8], stretch: Ints) -> Flags:
        found: Flags = (kind == GAUGE) & (stretch > 0) & (now[MOVES] >= BLOCK) & (now[RUN] <= EACH)
        return found

    def _look(self, now: Floats, row: Rows, t_ns: Ints, quality: NDArray[np.uint8], good: Flags, marked: Flags, rests: Flags) -> Look:
        c, o = self.columns, self.settings
        kind, stretch, moved = self.kind[row], c.stretch[row], c.times[MOVED, row]
        known = stretch > 0
        movers = self._movers(now, kind, stretch)
        frozen = quality == Quality.BAD_STUCK
        flat = movers & good & (now[STILL] >= still_limit(now)) & (t_ns - moved >= o.window_ns) & ~rests & (now[LAST] != 0)
        active = good & (now[STILL] < RESTS)
        quiet = movers & active & (now[SIZE] < now[OLD_SIZE] - QUIET) & ~rests
        coarse = known & (now[BLOCK_STEP] >= now[OLD_STEP] + COARSE)
        spikes = known & (now[RATE] >= rate_limit(now))
        never = np.zeros(len(row), dtype=np.bool_)
        wrong = np.stack([now[BAD_SHARE] >= o.bad_share, now[RANGE_SHARE] >= o.bad_share, frozen | flat, quiet, coarse, spikes, never])
        still = wrong.copy()
        still[[BAD, RANGE, GAP]] = marked
        still[STUCK] = frozen | (good & (now[STILL] >= RESTS))
        still[QUIET_T] = good & (now[SIZE] < now[OLD_SIZE] - QUIET_STILL)
        still[SPIKES] = now[RATE] >= rate_limit(now) / 2
        learnt = np.stack([~never, ~never, ~never, movers, known, known, known])
        learnt |= c.active[:, row]
        since = np.broadcast_to(t_ns, wrong.shape).copy()
        since[STUCK] = np.where(moved > 0, moved, t_ns)
        return Look(good, wrong, still, learnt & self.possible[:, row], since)

    def _judge(self, row: Rows, t_ns: Ints, look: Look) -> Flags:
        """Hysteresis: over only when it was well for `window` and some readings. The first opinion is told in any case."""
        c = self.columns
        was, told, wrong_ns, well = c.active[:, row], c.told[:, row], c.wrong[:, row], c.well[:, row]
        wrong = np.where(was, look.still, look.wrong) & look.judged
        wrong_ns = np.where(wrong | (wrong_ns == 0), t_ns, wrong_ns)
        well = np.where(wrong, 0, well + look.good)
        rested = t_ns - wrong_ns >= self.settings.window_ns
        active = wrong | (was & ~(rested & (well >= WELL)))
        begins = active & ~was
        sure = active | was | (rested & (well >= WELL + row % TURNS))
        changed: Flags = ((active != was) | (~told & sure)) & look.judged
        c.since[:, row] = np.where(begins, look.since, c.since[:, row])
        c.active[:, row], c.told[:, row], c.wrong[:, row], c.well[:, row] = active, told | changed, wrong_ns, well
        which = begins.any(axis=0)
        if which.any():
            self._count(row[which], t_ns[which])
        ends = was & ~active
        if ends.any():
            self._relax(row, ends)
        return changed

    def _relax(self, row: Rows, ends: Flags) -> None:
        """What ended by itself was less rare than thought: its limit doubles, and fades back over `memory`."""
        c = self.columns
        now = c.now[:, row]
        now[BAD_SHARE] = np.where(ends[BAD], 0.0, now[BAD_SHARE])
        now[RANGE_SHARE] = np.where(ends[RANGE], 0.0, now[RANGE_SHARE])
        now[NEW_STILL] = np.where(ends[STUCK], np.maximum(now[NEW_STILL], 2 * still_limit(now) / STILL_MOST), now[NEW_STILL])
        now[NEW_SIZE] = np.where(ends[QUIET_T], np.minimum(now[NEW_SIZE], now[OLD_SIZE] - 1.0), now[NEW_SIZE])
        now[NEW_RATE] = np.where(ends[SPIKES], np.maximum(now[NEW_RATE], rate_limit(now)), now[NEW_RATE])
        c.now[:, row] = now

    def _count(self, rows: Rows, t_ns: Ints) -> None:
        day = t_ns // DAY_NS
        slot = day % DAYS
        alarms = self.columns.alarms
        alarms[1, slot, rows] = np.where(alarms[0, slot, rows] == day, alarms[1, slot, rows], 0) + 1
        alarms[0, slot, rows] = day


def still_limit(now: Floats) -> Floats:
    """Readings without a move, from which a tag that usually moves is stuck."""
    found: Floats = np.maximum(STILL_RUNS * now[RUN], STILL_MOST * now[OLD_STILL])
    return found


def rate_limit(now: Floats) -> Floats:
    """Spikes in the last hour, fading, from which they are told."""
    found: Floats = np.where(now[OLD_RATE] > 0, 2.0 + 2.0 * now[OLD_RATE], 0.0)
    return np.maximum(found, FEW)
