"""Every tag's troubles at once. State and arithmetic; no findings, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD as BAD_QUALITY
from gateway.contract import Quality
from models.sensor.columns import (
    BAD_SHARE,
    BLOCK_STEP,
    DAYS,
    DUE,
    INTERVAL,
    LAST,
    LONGEST,
    MOVED,
    NEW_RATE,
    NEW_SIZE,
    NEW_STILL,
    NEWEST,
    OLD_RATE,
    OLD_SIZE,
    OLD_STEP,
    OLD_STILL,
    RANGE_SHARE,
    RATE,
    RUN,
    SIZE,
    STILL,
    WITHHELD,
    Columns,
)
from models.sensor.numerics import share
from models.sensor.settings import (
    COARSE,
    DAY_NS,
    FEW,
    LARGEST,
    MOST_WEIGHT,
    QUIET,
    QUIET_STILL,
    RESTS,
    SPIKES_READINGS,
    SPIKES_SECONDS,
    STILL_MOST,
    STILL_RUNS,
    TURNS,
    WELL,
    Settings,
)
from models.sensor.tags import BAD, GAP, RANGE, SPIKES, STUCK
from models.sensor.tags import COARSE as COARSE_T
from models.sensor.tags import QUIET as QUIET_T
from models.sensor.usual import Usual

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Ints = NDArray[np.int64]

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
        self.settings, self.kind, self.possible = settings, kind, possible
        self.columns = Columns.fresh(len(kind))
        self.usual = Usual(self.columns, settings, kind, max_step)

    def step(self, row: Rows, t_ns: Ints, x: Floats, quality: NDArray[np.uint8], alive: Floats, rests: Flags) -> Flags:
        """bool[7, n]: which troubles are to be told of one reading of each tag in `row`, newer than the tag's last.

        alive   float64[n]  seconds its machine has given readings in
        rests   bool[n]     most of what usually moves on its machine stands still
        """
        c = self.columns
        now = c.now[:, row]
        newest = c.times[NEWEST, row]
        dt = np.where(newest > 0, (t_ns - newest) * 1e-9, 0.0)
        absent = self.usual.present(now, row, newest, alive)
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
            self.usual.value(part, row[at], t_ns[at], x[at])
            now[:, at] = part
        self.usual.turn(now, row, t_ns)
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
        movers = self.usual.movers(now, self.kind, self.columns.stretch)
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

    def _look(self, now: Floats, row: Rows, t_ns: Ints, quality: NDArray[np.uint8], good: Flags, marked: Flags, rests: Flags) -> Look:
        c, o = self.columns, self.settings
        kind, stretch, moved = self.kind[row], c.stretch[row], c.times[MOVED, row]
        known = stretch > 0
        movers = self.usual.movers(now, kind, stretch)
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
