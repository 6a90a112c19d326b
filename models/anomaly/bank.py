"""The bank: every tag's usual level, spread and tails at once. State and arithmetic; no findings, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import tail
from models.anomaly.columns import (
    AGE,
    BEFORE,
    COUNT,
    FAST,
    FAST_COUNT,
    INTERVAL,
    LAST,
    LEARNT,
    LEVEL,
    LEVEL_LIMIT,
    LEVEL_VAR,
    SPIKE_LIMIT,
    SPIKE_VAR,
    STEP,
    Columns,
)
from models.anomaly.ewma import median3, towards, weight
from models.anomaly.settings import (
    BACK,
    CLIP,
    FAR,
    FIRST_REFRESH,
    FORGET,
    LEAST_LIMIT,
    NONE,
    PAUSE,
    RAREST,
    REFRESH,
    RIPE,
    SETTLE,
    SHIFT,
    SPIKE,
    WEEK,
    Settings,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_CHUNK = 1024  # tags whose tails are fitted at once: what fits the cache


@dataclass(frozen=True, slots=True)
class Step:
    """What came of n readings, each of another tag. All float64[2, n] have the spike statistic first.

    deviation  float64[2, n]  value - present level before it; present level - usual level. Engineering units
    spread     float64[2, n]  standard deviation of it; infinite for a tag that has never moved
    limit      float64[2, n]  in standard deviations
    kind       int8[n]        NONE, SPIKE, SHIFT
    severity   int8[n]        0 none, 1 beyond the limit, 2 beyond FAR times the limit
    changed    bool[n]        to be told
    accepted   bool[n]        the alarm is over because its level became the usual one
    """

    deviation: Floats
    spread: Floats
    limit: Floats
    kind: NDArray[np.int8]
    severity: NDArray[np.int8]
    changed: Flags
    accepted: Flags


class Bank:
    """Two statistics per tag, each against its own spread and its own history.

    spike  value - FAST: what is new within `smooth`
    level  FAST - LEVEL: what is new within `memory`
    """

    def __init__(self, k: int, settings: Settings) -> None:
        self.settings, self.columns = settings, Columns.fresh(k)
        self.factor: Floats | None = None
        """float64[k], what each tag's limits are multiplied by; None: nothing, and it costs nothing. No part of the state."""

    def step(self, row: NDArray[np.intp], t_ns: NDArray[np.int64], x: Floats) -> Step:
        """One reading of each tag in `row`, later than the tag's last, finite."""
        c, o = self.columns, self.settings
        now, times = c.now[:, row], c.times[:, row]
        dt = (t_ns - times[0]) * 1e-9
        paused = (dt > _longest(now, o.gap)) | (now[COUNT] == 0)
        if paused.any():
            self._resume(row[paused], t_ns[paused], dt[paused], x[paused])
            now, times = c.now[:, row], c.times[:, row]
            dt = np.where(now[COUNT] > 0, np.minimum(dt, _longest(now, o.gap)), 0.0)
        deviation, spread, fast, settled = self._measure(now, times, t_ns, x, dt)
        judged = settled & np.isfinite(now[SPIKE_LIMIT])
        limit = now[SPIKE_LIMIT : LEVEL_LIMIT + 1].copy() if self.factor is None else now[SPIKE_LIMIT : LEVEL_LIMIT + 1] * self.factor[row]
        step = self._judge(c.alarm[:, row], limit, deviation, spread, judged)
        alarmed = judged & (step.kind > NONE)
        if alarmed.any():
            self._accept(row, t_ns, now, fast, step, np.flatnonzero(alarmed))
        self._learn(row, now, x, dt, fast, step, settled)
        alarm = c.alarm[:, row]
        begins = (alarm[0] == NONE) & (step.kind > NONE)
        if begins.any():
            c.began(row[begins], t_ns[begins])
        times[2] = np.where(begins, t_ns, times[2])
        times[0] = t_ns
        alarm[0], alarm[1] = step.kind, step.severity
        alarm[2] |= step.changed
        c.alarm[:, row], c.times[:3, row] = alarm, times[:3]
        return step

    def tune(self, row: int, factor: float) -> None:
        """From now on this tag's limits are the learnt ones times `factor`."""
        factors = np.ones(self.columns.now.shape[1]) if self.factor is None else self.factor
        factors[row] = factor
        self.factor = None if (factors == 1.0).all() else factors

    def forget(self, rows: NDArray[np.intp]) -> None:
        """Begin anew with these tags."""
        self.columns.forget(rows)

    def adopt(self, rows: NDArray[np.intp]) -> None:
        """The present level of those in alarm is the usual one; the next reading says that the alarm is over."""
        c = self.columns
        rows = rows[c.alarm[0, rows] > NONE]
        c.now[LEVEL, rows] = c.now[FAST, rows]
        c.alarm[:, rows] = 0

    def score(self, row: NDArray[np.intp], step: Step) -> Floats:
        """float64[2, n]: -log10 of how probable such a deviation is by the tag's own history."""
        z = np.abs(step.deviation) / step.spread
        return np.stack([tail.score(tail.Tail(*self.columns.tail[s][:, row]), z[s]) for s in (0, 1)])

    def probability(self, interval: Floats) -> Floats:
        """Of exceeding one statistic's limit by chance at one reading; the two statistics share the false alarms."""
        return np.minimum(self.settings.false_alarms_per_week / 2 * interval / WEEK, RAREST)

    def _resume(self, row: NDArray[np.intp], t_ns: NDArray[np.int64], dt: Floats, x: Floats) -> None:
        """After a silence FAST begins anew; after a long one, everything."""
        c = self.columns
        lost = (dt > FORGET * self.settings.memory) | (c.now[COUNT, row] == 0)
        if lost.any():
            c.forget(row[lost])
            c.now[LEVEL, row[lost]] = x[lost]
        known = ~lost
        c.now[FAST_COUNT, row] = 0
        c.now[LAST, row] = np.where(lost, x, c.now[LAST, row])
        c.times[1, row[known]] = t_ns[known] + int(SETTLE * self.settings.smooth * 1e9)

    def _measure(
        self, now: Floats, times: NDArray[np.int64], t_ns: NDArray[np.int64], x: Floats, dt: Floats
    ) -> tuple[Floats, Floats, Floats, Flags]:
        """Deviations and spreads [2, n], the new FAST, and whether they mean anything."""
        moved = np.abs(x - now[LAST])
        now[STEP] = np.where((moved > 0) & (moved < now[STEP]), moved, now[STEP])
        # Neither spike nor settling may pull the present level along: it takes the middle of three readings.
        middle = np.where(now[FAST_COUNT] > 0, median3(x, now[LAST], now[BEFORE]), x)
        now[BEFORE], now[LAST] = np.where(now[FAST_COUNT] > 0, now[LAST], x), x
        fast = towards(now[FAST], middle, weight(dt, self.settings.smooth, now[FAST_COUNT]))
        deviation = np.stack([x - now[FAST], fast - now[LEVEL]])
        spread = np.maximum(np.sqrt(now[SPIKE_VAR : LEVEL_VAR + 1]), now[STEP])
        return deviation, spread, fast, (now[FAST_COUNT] > 0) & (times[1] <= t_ns)

    def _judge(self, alarm: NDArray[np.int8], limit: Floats, deviation: Floats, spread: Floats, judged: Flags) -> Step:
        size = np.abs(deviation)
        ratio = size / (spread * limit)
        ratio[size < self.settings.at_least] = 0.0
        most = np.maximum(ratio[0], ratio[1])
        was = alarm[0] > NONE
        active = np.where(judged, (most > 1) | (was & (most > BACK)), was)
        seen = np.where(ratio[1] > 1, SHIFT, np.where(ratio[0] > 1, SPIKE, NONE)) * judged
        kind = np.where(active, np.maximum(alarm[0], seen), NONE).astype(np.int8)
        severity = np.where(active, np.maximum(alarm[1], 1 + (judged & (most > FAR))), 0).astype(np.int8)
        changed = judged & ((kind != alarm[0]) | (severity != alarm[1]) | (alarm[2] == 0))
        return Step(deviation, spread, limit, kind, severity, changed, np.zeros(len(kind), dtype=np.bool_))

    def _learn(self, row: NDArray[np.intp], now: Floats, x: Floats, dt: Floats, fast: Floats, step: Step, settled: Flags) -> None:
        """Learn what is not in alarm. An alarm counts once in the history, as if it had just reached the limit."""
        o, n = self.settings, now[COUNT]
        first = n == 0
        calm = ((step.kind == NONE) | np.isinf(now[SPIKE_LIMIT])) & (settled | first)
        begins = (step.kind > NONE) & (self.columns.alarm[0, row] == NONE)
        ripe = n >= RIPE
        counted = (calm & ripe) | begins
        square = step.deviation**2
        square = np.where(ripe, np.minimum(square, (CLIP * step.spread) ** 2), square)
        slow = weight(dt, o.memory, n) * calm
        now[LEVEL] = towards(now[LEVEL], x, slow)
        behind = weight(dt, o.memory, np.maximum(n - 1, 0.0)) * ~first
        # The first reading has no deviation: spreads are one reading behind.
        now[SPIKE_VAR : LEVEL_VAR + 1] = towards(now[SPIKE_VAR : LEVEL_VAR + 1], square, behind * calm)
        now[INTERVAL] = towards(now[INTERVAL], dt, behind)
        now[FAST] = fast
        now[FAST_COUNT] += 1
        now[COUNT] += calm
        now[LEARNT] += dt * calm
        now[AGE] += dt * calm
        self.columns.now[:, row] = now
        if counted.any():
            self._count(row[counted], step, counted)
        self._refresh_due(row, now, calm)

    def _count(self, row: NDArray[np.intp], step: Step, counted: Flags) -> None:
        # The history ends at the learnt limit: a raised one must not raise itself further.
        limit = self.columns.now[SPIKE_LIMIT : LEVEL_LIMIT + 1, row]
        z = np.minimum((np.abs(step.deviation) / step.spread)[:, counted], limit)
        index = tail.bins(z)
        for s in (0, 1):
            self.columns.histogram[s, row, index[s]] += 1.0

    def _refresh_due(self, row: NDArray[np.intp], now: Floats, calm: Flags) -> None:
        """Limits at the end of the warm-up, then every REFRESH readings; tags take turns."""
        o = self.settings
        warm = (now[COUNT] >= o.warm_up_readings) & (now[LEARNT] >= o.warm_up)
        every = np.where(np.isinf(now[SPIKE_LIMIT]), FIRST_REFRESH, REFRESH)
        due = calm & warm & ((now[COUNT] + row) % every == 0)
        if due.any():
            rows = row[due]
            for begin in range(0, len(rows), _CHUNK):
                self.refresh(rows[begin : begin + _CHUNK])

    def refresh(self, row: NDArray[np.intp]) -> None:
        """Age the histories of these tags, fit their tails, set their limits."""
        c = self.columns
        p = self.probability(c.now[INTERVAL, row])
        faded = np.exp(c.now[AGE, row] / -self.settings.memory).astype(np.float32)[:, None]
        for s in (0, 1):
            history = c.histogram[s, row] * faded
            fitted = tail.fit(history)
            c.histogram[s, row] = history
            c.tail[s][:, row] = fitted
            c.now[SPIKE_LIMIT + s, row] = np.maximum(tail.limit(fitted, p), LEAST_LIMIT)
        c.now[AGE, row] = 0.0

    def _accept(self, row: NDArray[np.intp], t_ns: NDArray[np.int64], now: Floats, fast: Floats, step: Step, at: NDArray[np.intp]) -> None:
        """Of the alarms at these positions: is the present level stable? Adopt it when it has been for long enough."""
        c, o = self.columns, self.settings
        rows, level = row[at], fast[at]
        mean, square, count = c.candidate[:, rows]
        width = np.maximum(step.limit[1, at] * step.spread[1, at], o.at_least)
        anew = (c.alarm[0, rows] == NONE) | (np.abs(level - mean) > width)
        mean, square, count = np.where(anew, level, mean), np.where(anew, 0.0, square), np.where(anew, 0.0, count)
        since = np.where(anew, t_ns[at], c.times[3, rows])
        square = towards(square, (level - mean) ** 2, 1 / (count + 1))
        mean = towards(mean, level, 1 / (count + 1))
        c.candidate[:, rows], c.times[3, rows] = (mean, square, count + 1), since
        stays = t_ns[at] - since >= int(o.accept_after * 1e9)
        at = at[stays]
        now[LEVEL, at] = mean[stays]
        now[LEVEL_VAR, at] = np.maximum(now[LEVEL_VAR, at], square[stays])
        step.kind[at], step.severity[at], step.changed[at], step.accepted[at] = NONE, 0, True, True


def _longest(now: Floats, gap: float) -> Floats:
    """A pause counts as this many seconds, not as its length."""
    longest: Floats = np.maximum(gap, PAUSE * now[INTERVAL])
    return longest
