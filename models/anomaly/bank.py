"""The bank: all tags' members, their histories and one alarm each, at once. State and arithmetic; no findings, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.anomaly import context, judge, peaks, season, subspace, tail
from models.anomaly.calendar import Calendar, Slots
from models.anomaly.columns import (
    ACTIVE,
    AGE,
    BLOCK_BEGAN,
    BLOCKS,
    COUNT,
    HIGH,
    IN_ALARM,
    INTERVAL,
    JUDGED,
    LEARNT,
    LOW,
    MID,
    MOVED,
    PEAK,
    POWER_LONG,
    QUIET,
    RAISED,
    SINCE,
    SPREAD,
    SQUARES,
    TYPICAL,
    USUAL,
    WIDTH,
    Columns,
)
from models.anomaly.ewma import decayed, towards
from models.anomaly.judge import Sums, Verdicts
from models.anomaly.residuals import Residuals, measure
from models.anomaly.rounds import span
from models.anomaly.settings import (
    BLOCK,
    CHANCES,
    CLIP,
    EVERY,
    FIRST_READINGS,
    FIRST_REFRESH,
    FORGET,
    FRESH,
    HISTORY,
    HISTORY_READINGS,
    LEAST,
    LEVEL_SHARE,
    LOWER,
    MEMBER_MOST,
    PAUSE,
    READING,
    REFRESH,
    RIPE,
    SELDOM,
    SETTLE,
    SETTLE_READINGS,
    SURE,
    WEEK,
    WEEKLY,
    Settings,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Times = NDArray[np.int64]

_CHUNK = 64  # tags whose histories are fitted at once: what fits the cache


@dataclass(frozen=True, slots=True)
class Step:
    """What came of n readings, each of another tag.

    residuals  what was measured
    sums       how rare it is
    verdicts   kind, severity, what is to be told
    """

    residuals: Residuals
    sums: Sums
    verdicts: Verdicts


class Bank:
    """Scores each reading by every member against the tag's own history, adds up, judges, then learns."""

    def __init__(self, k: int, settings: Settings, zone: ZoneInfo) -> None:
        self.settings, self.columns = settings, Columns.fresh(k)
        self.columns.now[TYPICAL] = self.prior = peaks.assumed(settings.weights)
        wanted = min(settings.false_alarms_per_week * BLOCK * settings.memory / WEEK, 0.5)  # alarms a block
        self.limit = peaks.limit(wanted)
        self.factor: Floats | None = None
        """float64[k], how many times as far each tag must deviate; None: once, and it costs nothing. No part of the state."""
        self._weights = np.array(settings.weights)[:, None]
        self._most = (MEMBER_MOST - min(log10(wanted / WEEKLY), 0.0)) * self._weights
        self._every_ns = int(EVERY * settings.smooth * 1e9)
        in_time = EVERY * settings.smooth * settings.warm_up_readings <= settings.warm_up
        self._enough = RIPE if in_time else settings.warm_up_readings  # readings after which a look now and then is enough to warm up
        self._calendar = Calendar(zone)

    def due(self, row: Places, t_ns: Times, x: Floats) -> Flags:
        """Which readings must be judged: what comes faster than the bank looks, and is in the band, is left out."""
        now, times, at = self.columns.now, self.columns.times, span(row)
        found: Flags = (t_ns - times[JUDGED, at] >= self._every_ns) | ~((x >= now[LOW, at]) & (x <= now[HIGH, at]))
        return found

    def step(self, row: Places, t_ns: Times, x: Floats) -> Step:
        """One reading of each tag in `row` (rising), later than the tag's last, finite."""
        c, at = self.columns, span(row)
        dt = self._elapsed(row, t_ns, x)
        now, times = c.now[:, at], c.times[:, at]  # of rows at even distances these are no copies
        slots = self._calendar.slots(t_ns)
        found = measure(c, self.settings, row, now, x, dt, slots)
        logs = tail.logs(found.deviation)
        now[RAISED] *= np.exp(dt / (-LOWER * self.settings.memory))
        warm = self._warm(now) & (times[QUIET] <= t_ns)
        sums, peak = self._sums(at, now, logs, warm)
        self._blocks(now, times, t_ns, peak)
        verdicts = judge.judge(c, self.settings, row, t_ns, now, times, found, sums, warm)
        calm = c.alarm[ACTIVE, at] == 0
        self._learn(row, now, found, logs, dt, slots, calm)
        width = np.where(calm, self._band(now, warm), np.nan)
        now[LOW], now[HIGH] = found.expected - width, found.expected + width
        times[: JUDGED + 1] = t_ns
        if not isinstance(at, slice):
            c.now[:, at], c.times[:, at] = now, times
        self._refresh_due(row, now)
        return Step(found, sums, verdicts)

    def _elapsed(self, row: Places, t_ns: Times, x: Floats) -> Floats:
        """Seconds since the tags' last judged readings; a pause counts as the usual interval, and what was before it is left behind."""
        c, at, o = self.columns, span(row), self.settings
        n, interval = c.now[COUNT, at], c.now[INTERVAL, at]
        dt: Floats = np.multiply(t_ns - c.times[JUDGED, at], 1e-9)
        paused = dt > np.maximum(o.gap, PAUSE * interval)
        if n.min() > 1 and not paused.any():
            return dt
        paused = paused & (n > 1) | (n == 0)
        if paused.any():
            self._resume(row[paused], t_ns[paused], dt[paused], x[paused])
        n, interval = c.now[COUNT, at], c.now[INTERVAL, at]
        return np.where(paused, interval, np.where(n > 1, dt, np.minimum(dt, o.memory / PAUSE)))

    def _sums(self, row: Places | slice, now: Floats, logs: Floats, warm: Flags) -> tuple[Sums, Floats]:
        """What the members say together, and the part of it that is remembered as a peak: without the tag's factor."""
        tails, chances = tail.Tail(*self.columns.tail[:, :, row]), self._weights * self._chances(now)
        known = (now[SPREAD] > 0) & (now[COUNT] >= self.settings.warm_up_readings / 2)

        def counted(scores: Floats) -> tuple[Floats, Floats]:
            rare = np.maximum(scores - chances, 0.0) * known
            return rare, np.minimum(rare, self._most).sum(axis=0)

        scores = self._weights * tail.score(tails, logs)
        rare, total = counted(scores)
        peak = total
        if self.factor is not None:
            scores = self._weights * tail.score(tails, logs - np.log2(self.factor[row]))
            rare, total = counted(scores)
        sure, raised = warm / now[TYPICAL], 1.0 + now[RAISED]
        strength = rare.sum(axis=0) * sure
        return Sums(scores, np.maximum(total * sure, strength * (raised / SURE)), strength, self.limit * raised), peak

    def tune(self, row: int, factor: float) -> None:
        """From now on this tag must deviate `factor` times as far to be as rare."""
        factors = np.ones(self.columns.now.shape[1]) if self.factor is None else self.factor
        factors[row] = factor
        self.factor = None if (factors == 1.0).all() else factors

    def forget(self, rows: Places) -> None:
        """Begin anew with these tags."""
        self.columns.forget(rows)
        self.columns.now[TYPICAL, rows] = self.prior

    def _band(self, now: Floats, warm: Flags) -> Floats:
        """Half of its width. Without end where there is nothing to tell yet; NaN while there are too few readings."""
        known: Floats = now[WIDTH]
        return known if warm.all() else np.where(warm, known, np.where(now[COUNT] >= self._enough, np.inf, np.nan))

    def _warm(self, now: Floats) -> Flags:
        found: Flags = (now[COUNT] >= self.settings.warm_up_readings) & (now[LEARNT] >= self.settings.warm_up)
        return found

    def _chances(self, now: Floats) -> Floats:
        """What comes off each member's score: the more often one looks, the less a rare reading says.

        Half of log10 of how many times CHANCES readings there are in a block: so the sum's peaks stay about as high as they are with
        CHANCES (for members that do not depend on each other, a fifth lower at most), since now one of them is at its rarest, now another.
        """
        times: Floats = BLOCK * self.settings.memory / CHANCES / np.maximum(now[INTERVAL], 1e-6)
        return 0.5 * np.log10(np.maximum(times, 1.0))

    def _history(self, now: Floats) -> Floats:
        """Seconds that the histories look back."""
        found: Floats = np.maximum(HISTORY * self.settings.memory, HISTORY_READINGS * now[INTERVAL])
        return found

    def _resume(self, row: Places, t_ns: Times, dt: Floats, x: Floats) -> None:
        """After a silence there is no opinion for a while; after a long one, everything begins anew."""
        c = self.columns
        lost = (dt > FORGET * self.settings.memory) | (c.now[COUNT, row] == 0)
        c.now[SINCE, row] = 0.0
        c.now[MID : MOVED + 1, row] = 0.0
        if lost.any():
            self.forget(row[lost])
            c.now[USUAL, row[lost]] = x[lost]
        settled = np.maximum(SETTLE * self.settings.smooth, SETTLE_READINGS * c.now[INTERVAL, row[~lost]])
        c.times[QUIET, row[~lost]] = t_ns[~lost] + (settled * 1e9).astype(np.int64)

    def _blocks(self, now: Floats, times: Times, t_ns: Times, total: Floats) -> None:
        """Peaks of blocks; a block begins with the first reading after the last one's end."""
        over = t_ns - times[BLOCK_BEGAN] >= int(BLOCK * self.settings.memory * 1e9)
        if not over.any():
            np.maximum(now[PEAK], total, out=now[PEAK])
            return
        counted = over & (times[BLOCK_BEGAN] > 0) & (now[PEAK] > 0)
        if counted.any():
            now[[TYPICAL, SQUARES, BLOCKS]] = np.where(
                counted, peaks.typical(now[TYPICAL], now[SQUARES], now[BLOCKS], now[PEAK], self.prior), now[[TYPICAL, SQUARES, BLOCKS]]
            )
        times[BLOCK_BEGAN] = np.where(over, t_ns, times[BLOCK_BEGAN])
        now[PEAK] = np.maximum(np.where(over, 0.0, now[PEAK]), total)

    def _learn(self, row: Places, now: Floats, found: Residuals, logs: Floats, dt: Floats, slots: Slots, calm: Flags) -> None:
        """Nothing is learnt of an alarm but that something is usual at this hour; level, spread and season take deviations clipped."""
        o, n, most = self.settings, now[COUNT], CLIP * found.spread
        clipped = np.where(n >= RIPE, np.minimum(np.maximum(found.moved, -most), most), found.moved)
        season.learn(self.columns, row, slots, found.season, clipped, dt)
        # The first reading has no deviation: spreads are one reading behind.
        behind, near = 1.0 / np.maximum(n, 1.0), decayed(dt, LEVEL_SHARE * o.memory)
        usual, spread, pace = np.maximum(near, 1.0 / (n + 1.0)), np.maximum(near, behind), np.maximum(decayed(dt, o.memory), behind)
        counted, learnt = calm & (n > 0), dt
        if not (every := bool(counted.all())):
            usual, spread, pace, behind, learnt = usual * calm, spread * counted, pace * (n > 0), behind * counted, dt * counted
        now[USUAL] += usual * clipped
        now[SPREAD] = towards(now[SPREAD], clipped**2, spread)
        now[INTERVAL] = towards(now[INTERVAL], _pace(now, dt), pace)
        power = np.maximum(decayed(learnt, self._history(now) / 2), behind)
        now[POWER_LONG] = towards(now[POWER_LONG], found.rest**2, power)
        self._remember(row, n, found, logs, None if every else counted)
        now[COUNT : SINCE + 1] += 1
        now[LEARNT] += dt
        now[AGE] += learnt

    def _remember(self, row: Places, n: Floats, found: Residuals, logs: Floats, counted: Flags | None) -> None:
        """Deviations, moves and windows: all of them, or those `counted`."""
        c, moved = self.columns, found.before >= 0
        origin, move, deviation, window = found.origin, found.move, found.deviation, found.window
        if counted is not None:
            row, n, deviation, logs, window = row[counted], n[counted], deviation[:, counted], logs[:, counted], window[counted]
            moved &= counted
        if not moved.all():
            origin, move = origin[moved], move[moved]
        if len(row):
            tail.count(c.history, c.origin, c.zeros, row, deviation, logs)
            context.learn(c, origin, move)
            subspace.learn(c, row, window, n)

    def _refresh_due(self, row: Places, now: Floats) -> None:
        """Fit the histories every few readings at first, then every REFRESH; tags take turns."""
        often = FIRST_REFRESH if now[COUNT].min() < FIRST_READINGS else REFRESH  # all others are multiples of it
        turn = np.flatnonzero((now[COUNT].astype(np.intp) + row) % often == 0)
        if not len(turn):
            return
        row, n, interval, in_alarm = row[turn], *now[[COUNT, INTERVAL, IN_ALARM]][:, turn]
        many = np.clip(np.log2(FRESH / REFRESH / np.maximum(interval, 1e-9)), 0.0, SELDOM).astype(np.int64)
        every = np.where(n < FIRST_READINGS, FIRST_REFRESH, REFRESH << many)
        due = row[(n >= LEAST) & ((n + row) % every == 0) & (in_alarm == 0)]
        for begin in range(0, len(due), _CHUNK):
            self.refresh(due[begin : begin + _CHUNK])

    def refresh(self, row: Places) -> None:
        """Age the histories of these tags and fit their tails."""
        c, at = self.columns, span(row)
        faded = np.exp(-c.now[AGE, at] / self._history(c.now[:, at])).astype(np.float32)
        history, zeros, origin, moves, left = c.history[:, at], c.zeros[:, at], c.origin[:, at], c.context[at], c.left[at]
        history *= faded[:, None]
        zeros *= faded
        moves *= faded[:, None, None]
        left *= faded[:, None]
        fitted = tail.fit(history, origin, zeros)
        tail.follow(history, origin, fitted.high)
        if not isinstance(at, slice):
            c.history[:, at], c.zeros[:, at], c.origin[:, at], c.context[at], c.left[at] = history, zeros, origin, moves, left
        c.tail[:, :, at] = fitted
        known = fitted.steep[READING] > 0
        c.now[WIDTH, at] = np.where(known, np.exp2(np.minimum(fitted.high[READING], 500.0)), np.nan)
        subspace.turn(c, at)
        c.now[AGE, at] = 0.0


def _pace(now: Floats, dt: Floats) -> Floats:
    """A pause is no interval: what is longer than twice the mean counts as that."""
    return np.where(now[COUNT] > 2, np.minimum(dt, 2 * now[INTERVAL]), dt)
