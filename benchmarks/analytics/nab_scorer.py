"""The score of the Numenta Anomaly Benchmark, version 1.1, from its definition (Lavin & Ahmad 2015, arXiv:1510.03336).

A row counts as an alarm when its score reaches the threshold. The earliest alarm inside a window earns up to 1, the more the
earlier; a window without one costs 1 (2 for low_FN); an alarm outside costs up to 0.11 (0.22 for low_FP), the more the farther it is
past the last window. The sum is scaled so that a detector that never alarms has 0 and a perfect one 100. The first 15 % of a series,
at most 750 rows, are not scored. One threshold serves all series.

All thresholds are tried at once: with the rows in the order of their scores, the sum at each threshold is a running one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

PROBATION_SHARE, PROBATION_ROWS = 0.15, 750
FAR = 3.0  # window widths past a window; farther away all false alarms cost the same


@dataclass(frozen=True, slots=True)
class Profile:
    """What a window found, a false alarm and a window missed are worth."""

    found: float
    false: float
    missed: float


PROFILES = {"standard": Profile(1.0, 0.11, 1.0), "low_FP": Profile(1.0, 0.22, 1.0), "low_FN": Profile(1.0, 0.11, 2.0)}


@dataclass(frozen=True, slots=True)
class Series:
    """One file. `spans` are the first and the last row of each window, in order; `t_ns` the rows' times."""

    name: str
    t_ns: NDArray[np.int64]
    value: Floats
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def probation(self) -> int:
        """Rows that are not scored."""
        return min(math.floor(PROBATION_SHARE * len(self.value)), PROBATION_ROWS)


@dataclass(frozen=True, slots=True)
class Score:
    """At a threshold; `false_rows` are alarms outside the windows."""

    score: float
    threshold: float
    windows_hit: int
    windows: int
    false_rows: int


def earned(y: Floats) -> Floats:
    """NAB's sigmoid: 2 / (1 + e^5y) - 1, from almost 1 at -1 over 0 at 0 to -1 beyond FAR.

    >>> earned(np.array([-1.0, 0.0, 4.0])).round(3).tolist()
    [0.987, 0.0, -1.0]
    """
    return np.where(y > FAR, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, FAR))) - 1.0)


@dataclass(slots=True)
class Sheet:
    """What each scored row of a set of series is worth, whoever scores it.

    window  the number of the window a row lies in, -1 outside
    inside  what an alarm there earns as a share of the most; outside: what it costs, as a negative share
    """

    series: Sequence[Series]
    window: Ints = field(init=False)
    share: Floats = field(init=False)
    windows: int = field(init=False)

    def __post_init__(self) -> None:
        pieces, count = [], 0
        for one in self.series:
            window, share = _marked(one, count)
            count += len(one.spans)
            pieces.append((window[one.probation :], share[one.probation :]))
        self.windows = count
        self.window = np.concatenate([window for window, _ in pieces])
        self.share = np.concatenate([share for _, share in pieces])

    def rows(self, scores: Sequence[Floats]) -> Floats:
        """The scores of the rows that count; `scores` holds a column per series."""
        return np.concatenate([column[one.probation :] for one, column in zip(self.series, scores, strict=True)])

    def score(self, scores: Sequence[Floats], profile: Profile, threshold: float | None = None) -> Score:
        """At this threshold; None: at the best one, which is infinite if silence is best."""
        ranked = self.rows(scores)
        order = np.argsort(-ranked, kind="stable")
        ranked, total, hit, false = ranked[order], *self._running(order, profile)
        if threshold is None:
            last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # ties are taken together
            at = int(last[np.argmax(total[last])])
            at = at if total[at] > self._silent(profile) else -1
            threshold = float(ranked[at]) if at >= 0 else math.inf
        else:
            at = int(np.searchsorted(-ranked, -threshold, side="right")) - 1
        raw = float(total[at]) if at >= 0 else self._silent(profile)
        null, perfect = -profile.missed * self.windows, profile.found * self.windows
        share = 100.0 * (raw - null) / (perfect - null) if self.windows else math.nan
        return Score(share, threshold, int(hit[at]) if at >= 0 else 0, self.windows, int(false[at]) if at >= 0 else 0)

    def hitting(self, scores: Sequence[Floats], windows: int) -> float:
        """The highest threshold at which so many windows are hit; minus infinity if there are not so many."""
        ranked, inside = self.rows(scores), self.window >= 0
        best = np.full(self.windows, -np.inf)
        np.maximum.at(best, self.window[inside], ranked[inside])
        return float(np.sort(best)[::-1][windows - 1]) if 0 < windows <= self.windows else -math.inf

    def _silent(self, profile: Profile) -> float:
        return -profile.missed * len(np.unique(self.window[self.window >= 0]))

    def _running(self, order: Ints, profile: Profile) -> tuple[Floats, Ints, Ints]:
        """After each row in this order: the sum, the windows hit, the alarms outside."""
        window, share = self.window[order], self.share[order]
        outside = window < 0
        gain = np.where(outside, profile.false * share, 0.0)
        first = np.zeros(len(order), dtype=bool)
        for number in np.unique(window[~outside]):
            rows = np.flatnonzero(window == number)
            so_far = np.maximum.accumulate(profile.found * share[rows])
            gain[rows] = np.diff(so_far, prepend=-profile.missed)
            first[rows[0]] = True
        return self._silent(profile) + np.cumsum(gain), np.cumsum(first), np.cumsum(outside)


def _marked(series: Series, number: int) -> tuple[Ints, Floats]:
    """The window of each row, counted from `number`, and its share."""
    window, share = np.full(len(series.value), -1, dtype=np.intp), np.full(len(series.value), -1.0)
    for k, (first, last) in enumerate(series.spans):
        width = last - first + 1
        rows = np.arange(first, last + 1)
        window[rows] = number + k
        share[rows] = earned((rows - last - 1) / width) / earned(np.array([-1.0]))
        end = series.spans[k + 1][0] if k + 1 < len(series.spans) else len(series.value)
        after = np.arange(last + 1, end)
        share[after] = earned((after - last) / max(last - first, 1))
    return window, share
