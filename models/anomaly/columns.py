"""What the bank remembers of each tag, as arrays over all tags: under 8 kB a tag."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.anomaly.calendar import HALF_HOURS, WEEK_HOURS
from models.anomaly.settings import MEMBERS
from models.anomaly.tail import BINS, UNSET

LAGS, AXES, CELLS, DAYS = 16, 4, 16, 7
GRID = CELLS + 2
"""Readings in the window of the subspace, its dimensions; cells of the context memory each way; days of which alarms are counted."""

(
    USUAL, SPREAD, MID, SLOW, MOVED, SHORT, POWER_LONG, INTERVAL, COUNT, SINCE, LEARNT, AGE,
    TYPICAL, SQUARES, BLOCKS, PEAK, HIGHEST, IN_ALARM, LOW, HIGH, CELL, WIDTH, CALM, BELOW, RAISED,
) = range(25)  # fmt: skip
"""Rows of `Columns.now`.

USUAL        usual level, over most of `memory`
SPREAD       mean square of value - USUAL
MID, SLOW    average of the deviation from level and season over `present` and `long`
MOVED        average over `long` of value - USUAL, season left in
SHORT        mean square of the deviation over twelve readings; POWER_LONG: over half the history
INTERVAL     mean seconds between judged readings
COUNT        judged readings learnt; SINCE: judged since the last pause; LEARNT: seconds learnt; AGE: seconds since the last refresh
TYPICAL      root mean square of the sum's peaks, one a block; SQUARES and BLOCKS: what it is made of; PEAK: of this block
HIGHEST      greatest strength of the last alarm that was shown; IN_ALARM: judged readings since it began
CALM         usual readings in a row, unusual ones below 0; BELOW: seconds below BACK of the limit
RAISED       share by which the limit is raised after alarms
LOW, HIGH    readings between them that come fast are not judged; NaN: all are, without end: none
WIDTH        half width of the band nineteen readings of twenty are in, by the last fit; NaN: not known
CELL         where the last reading was in the context memory, -1: nowhere
"""
_NOW = 25
_DAY_NS = 86_400 * 10**9
LAST, JUDGED, QUIET, BEGAN, CALLED, BLOCK_BEGAN = range(6)
"""Rows of `Columns.times`: last reading; last judged; no opinion until; alarm since; last alarm that was shown; this block's begin."""
KIND, SEVERITY, ACTIVE, TOLD = range(4)
"""Rows of `Columns.alarm`: what is shown (kind, severity 0-2); 1 while beyond the limit, shown or not; 1 once an opinion was told."""


@dataclass(slots=True)
class Columns:
    """Arrays whose last axis (now, times, alarm, leader, said, tail, origin, zeros) or the one named is the tag.

    now         float64[25, k]         see above
    times       int64[6, k]            nanoseconds, see above
    alarm       int8[4, k]             see above
    leader      int64[k]               row of the tag whose incident this one's alarm is part of, -1: none or its own
    said        float64[2, k]          z and deviation in engineering units when the tag was last told of
    day         int64[k]               last day that an alarm began on, since 1970; alarms int16[7, k]: begun on each of the last seven
    tail        float64[6, 7, k]       of each member's history, see `tail.Tail`
    history     float32[7, k, BINS]    deviations seen, by log2; origin int32[7, k]: their first bin; zeros float32[7, k]: those of 0
    half_hour   float32[2, k, 48]      mean deviation from USUAL, and its weight
    weekly      float32[2, k, 168]     the same by hour of the week
    context     float32[k, 18, 18]     moves seen from cell to cell, see `context.learn`; left float32[k, 18]: from each cell
    window      float32[k, 16]         last deviations, in spreads
    covariance  float32[k, 16, 16]     of the window; basis float32[k, 4, 16]: its first axes
    """

    now: NDArray[np.float64]
    times: NDArray[np.int64]
    alarm: NDArray[np.int8]
    leader: NDArray[np.int64]
    said: NDArray[np.float64]
    day: NDArray[np.int64]
    alarms: NDArray[np.int16]
    tail: NDArray[np.float64]
    history: NDArray[np.float32]
    origin: NDArray[np.int32]
    zeros: NDArray[np.float32]
    half_hour: NDArray[np.float32]
    weekly: NDArray[np.float32]
    context: NDArray[np.float32]
    left: NDArray[np.float32]
    window: NDArray[np.float32]
    covariance: NDArray[np.float32]
    basis: NDArray[np.float32]

    @staticmethod
    def fresh(k: int) -> Columns:
        """Nothing known of k tags."""
        m, f4 = len(MEMBERS), np.float32
        columns = Columns(
            now=np.zeros((_NOW, k)),
            times=np.zeros((6, k), dtype=np.int64),
            alarm=np.zeros((4, k), dtype=np.int8),
            leader=np.full(k, -1, dtype=np.int64),
            said=np.zeros((2, k)),
            day=np.zeros(k, dtype=np.int64),
            alarms=np.zeros((DAYS, k), dtype=np.int16),
            tail=np.zeros((6, m, k)),
            history=np.zeros((m, k, BINS), dtype=f4),
            origin=np.full((m, k), UNSET, dtype=np.int32),
            zeros=np.zeros((m, k), dtype=f4),
            half_hour=np.zeros((2, k, HALF_HOURS), dtype=f4),
            weekly=np.zeros((2, k, WEEK_HOURS), dtype=f4),
            context=np.zeros((k, GRID, GRID), dtype=f4),
            left=np.zeros((k, GRID), dtype=f4),
            window=np.zeros((k, LAGS), dtype=f4),
            covariance=np.broadcast_to(np.eye(LAGS, dtype=f4) * f4(0.1), (k, LAGS, LAGS)).copy(),
            basis=np.broadcast_to(np.eye(AXES, LAGS, dtype=f4), (k, AXES, LAGS)).copy(),
        )
        columns.now[[LOW, HIGH, WIDTH]] = np.nan
        columns.now[CELL] = -1
        return columns

    def by_tag(self) -> dict[str, NDArray[np.generic]]:
        """Each array with the tag as its first axis (views), by name."""
        return {field.name: np.moveaxis(getattr(self, field.name), _TAG_AXIS.get(field.name, -1), 0) for field in fields(self)}

    def forget(self, rows: NDArray[np.intp]) -> None:
        """Start these tags anew, except for their alarms: whether those are over is not known."""
        kept = ("alarm", "times", "leader", "said", "day", "alarms")
        fresh = Columns.fresh(len(rows)).by_tag()
        for name, column in self.by_tag().items():
            if name not in kept:
                column[rows] = fresh[name]
        self.alarm[TOLD, rows] = 0
        self.times[BLOCK_BEGAN, rows] = 0

    def began(self, rows: NDArray[np.intp], t_ns: NDArray[np.int64]) -> None:
        """One more alarm of each of these tags; days in between had none."""
        day = np.maximum(t_ns // _DAY_NS, self.day[rows])
        for back in range(DAYS):
            empty = day - back > self.day[rows]
            self.alarms[(day[empty] - back) % DAYS, rows[empty]] = 0
        self.alarms[day % DAYS, rows] += 1
        self.day[rows] = day

    def leap(self, rows: NDArray[np.intp], delta_ns: int) -> None:
        """All times of these tags were so much later; 0 is none. Days go by whole ones."""
        times = self.times[:, rows]
        self.times[:, rows] = np.where(times > 0, times + delta_ns, times)
        days = round(delta_ns / _DAY_NS)
        self.day[rows] = np.where(self.day[rows] > 0, self.day[rows] + days, 0)
        self.alarms[:, rows] = np.roll(self.alarms[:, rows], days, axis=0)

    def of_the_week(self) -> NDArray[np.int64]:
        """int64[k], alarms that began in the seven days up to each tag's last reading."""
        today = self.times[LAST] // _DAY_NS
        days = self.day - (self.day - np.arange(DAYS)[:, None]) % DAYS  # that each row of `alarms` is of
        found: NDArray[np.int64] = np.where(days > today - DAYS, self.alarms, 0).sum(axis=0).astype(np.int64)
        return found


_TAG_AXIS = {"history": 1, "half_hour": 1, "weekly": 1, "context": 0, "left": 0, "window": 0, "covariance": 0, "basis": 0}
