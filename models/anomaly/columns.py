"""What the bank remembers of each tag, as arrays over all tags: about 1.5 kB per tag."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.anomaly.tail import BINS

LEVEL, FAST, SPIKE_VAR, LEVEL_VAR, STEP, LAST, BEFORE, INTERVAL, COUNT, FAST_COUNT, LEARNT, AGE, SPIKE_LIMIT, LEVEL_LIMIT = range(14)
"""Rows of `Columns.now`.

LEVEL         the usual level: average over `memory`
FAST          the present level: average over `smooth`
SPIKE_VAR     mean square of value - FAST before it
LEVEL_VAR     mean square of FAST - LEVEL
STEP          smallest change ever seen: the resolution; infinite while the tag has never moved
LAST, BEFORE  last value and the one before it
INTERVAL      mean seconds between readings
COUNT         readings learnt; FAST_COUNT: readings since FAST began anew
LEARNT        seconds learnt; AGE: seconds learnt since the history was last aged
SPIKE_LIMIT, LEVEL_LIMIT   in standard deviations; infinite during warm-up
"""
_NOW = 14
DAYS = 7
_DAY_NS = 86_400 * 10**9


@dataclass(slots=True)
class Columns:
    """Arrays whose last but one (histogram) or last axis is the tag.

    now        float64[14, k]       see above
    tail       float64[2, 4, k]     threshold, share, shape, scale of the spike and the level statistic
    histogram  float32[2, k, BINS]  deviations seen, forgotten over `memory`
    candidate  float64[3, k]        level, mean square and count of what may become the new usual level
    times      int64[4, k]          last reading, quiet until, alarm since, candidate since
    alarm      int8[3, k]           kind (0 none, 1 spike, 2 level), severity (0, 1, 2), told (0, 1)
    day        int64[k]             last day that an alarm began on, since 1970
    alarms     int16[7, k]          alarms that began, by day of the last seven
    """

    now: NDArray[np.float64]
    tail: NDArray[np.float64]
    histogram: NDArray[np.float32]
    candidate: NDArray[np.float64]
    times: NDArray[np.int64]
    alarm: NDArray[np.int8]
    day: NDArray[np.int64]
    alarms: NDArray[np.int16]

    @staticmethod
    def fresh(k: int) -> Columns:
        """Nothing known of k tags."""
        columns = Columns(
            now=np.zeros((_NOW, k)),
            tail=np.ones((2, 4, k)),
            histogram=np.zeros((2, k, BINS), dtype=np.float32),
            candidate=np.zeros((3, k)),
            times=np.zeros((4, k), dtype=np.int64),
            alarm=np.zeros((3, k), dtype=np.int8),
            day=np.zeros(k, dtype=np.int64),
            alarms=np.zeros((DAYS, k), dtype=np.int16),
        )
        columns.now[[STEP, SPIKE_LIMIT, LEVEL_LIMIT]] = np.inf
        return columns

    def by_tag(self) -> dict[str, NDArray[np.generic]]:
        """Each array with the tag as its first axis (views), by name."""
        return {field.name: np.moveaxis(getattr(self, field.name), _tag_axis(field.name), 0) for field in fields(self)}

    def forget(self, rows: NDArray[np.intp]) -> None:
        """Start these tags anew, except for their alarms: whether those are over is not known."""
        alarm, since = self.alarm[:, rows].copy(), self.times[2, rows].copy()
        day, alarms = self.day[rows].copy(), self.alarms[:, rows].copy()
        fresh = Columns.fresh(len(rows)).by_tag()
        for name, column in self.by_tag().items():
            column[rows] = fresh[name]
        alarm[2] = 0
        self.alarm[:, rows], self.times[2, rows] = alarm, since
        self.day[rows], self.alarms[:, rows] = day, alarms

    def began(self, rows: NDArray[np.intp], t_ns: NDArray[np.int64]) -> None:
        """One more alarm of each of these tags; days in between had none."""
        day = np.maximum(t_ns // _DAY_NS, self.day[rows])
        for back in range(DAYS):
            empty = day - back > self.day[rows]
            self.alarms[(day[empty] - back) % DAYS, rows[empty]] = 0
        self.alarms[day % DAYS, rows] += 1
        self.day[rows] = day

    def of_the_week(self) -> NDArray[np.int64]:
        """int64[k], alarms that began in the seven days up to each tag's last reading."""
        today = self.times[0] // _DAY_NS
        days = self.day - (self.day - np.arange(DAYS)[:, None]) % DAYS  # that each row of `alarms` is of
        found: NDArray[np.int64] = np.where(days > today - DAYS, self.alarms, 0).sum(axis=0).astype(np.int64)
        return found


def _tag_axis(name: str) -> int:
    return 1 if name == "histogram" else -1
