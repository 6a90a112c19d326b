"""How well a part's lines stand out of an envelope spectrum. Pure.

score   mean over the part's lines of how unlikely noise makes their height: for the mean m of N independent values of an
        exponential distribution of mean 1 it is N (m - 1 - ln m), the generalised likelihood ratio of "more power than the
        noise floor" in nats; each line counts for at most `_MOST`, so that one foreign line makes no family. The slip that suits
        best, and the better of narrow and smeared lines. Noise alone reaches 1 to 2.5, whatever the length of the block
depth   square root of the power of the harmonics above the floor, as depth of modulation: how much, not how sure
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.vibration.bearing import Orders
from models.vibration.diagnosis.density import STEP, Density
from models.vibration.diagnosis.plan import Floats, Plan, Windows, true_speed, window, wrong_speeds

_MOST = 12.0
_LOWEST = 0.12  # orders: slow changes of the block, not modulation
_SKIRT = 0.12
_CELLS = 2048
"""Of one order: the cell is rounded to these, so that blocks of nearly one speed share their plan."""
_EDGE = 2  # slips at either end
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Strength:
    """Of one part. `first` is the order of its first line at the best slip; `inside` is False where the score still grows at the end of
    the slips: its lines are something else's, further away."""

    score: float
    depth: float
    first: float
    inside: bool

    @property
    def strength(self) -> float:
        """Sure and deep."""
        return self.score * self.depth


class Spectrum:
    """An averaged density prepared for the search: divided by its noise floor, without what the shaft's own multiples do."""

    def __init__(self, density: Density) -> None:
        self.cell = max(1, round(density.cell * _CELLS)) / _CELLS
        self.averages, self.revolutions = density.averages, density.revolutions
        power = density.power.astype(np.float64)
        self.floor = _floor(power) / _median_of_mean(density.averages)
        self.height = _without_skirts(_masked(power / self.floor, self.cell))
        self._excess = np.concatenate(([0.0], np.cumsum(power - self.floor))) * STEP
        self._sum = np.concatenate(([0.0], np.cumsum(self.height)))

    def strength(self, orders: Orders, fault: str) -> Strength:
        plan = true_speed(orders, fault, self.cell, len(self.height))
        scores = self._scores(plan)
        most = float(scores.max())
        # Strong lines reach the most a line counts for at several slips: the middle one is right.
        tied = np.flatnonzero(scores >= most - _TINY)
        best = int(tied[len(tied) // 2])
        inside = _EDGE <= best < len(scores) - _EDGE
        return Strength(most, self._depth(plan, best), float(plan.first[best]), inside)

    def share_of_wrong_speeds_below(self, orders: Orders, fault: str, score: float) -> float:
        """0 to 1: so many of the certainly wrong speeds suit these lines worse than the true one."""
        plan, speeds = wrong_speeds(orders, fault, self.cell, len(self.height))
        best = self._scores(plan).reshape(speeds, -1).max(axis=1)
        return float(np.mean(best <= score))

    def prominence(self, order: float) -> float:
        """Height at an order, as amplitude over the noise floor's."""
        low, high = window(np.array([order]), 2 * self.cell, len(self.height))
        return float(np.sqrt(max(self.height[low[0] : high[0]].max(), 0.0)))

    def _scores(self, plan: Plan) -> Floats:
        """float64[positions]."""
        found: Floats = np.max([np.sum(self._unlikely(windows) * plan.weight, axis=1) for windows in plan.windows], axis=0)
        return found

    def _unlikely(self, windows: Windows) -> Floats:
        mean = np.maximum((self._sum[windows.high] - self._sum[windows.low]) / (windows.high - windows.low), 1.0)
        found: Floats = np.minimum(windows.independent * self.averages * (mean - 1 - np.log(mean)), _MOST)
        return found

    def _depth(self, plan: Plan, best: int) -> float:
        windows, lines = plan.windows[-1], slice(plan.harmonics)
        power = self._excess[windows.high[best, lines]] - self._excess[windows.low[best, lines]]
        return float(np.sqrt(np.sum(np.maximum(power, 0.0))))


def _floor(power: Floats) -> Floats:
    """Median of each order's width and its neighbours', joined by straight lines."""
    cell = round(1 / STEP)
    cells = max(1, len(power) // cell)
    half = cell // 2
    median = np.partition(power[: cells * cell].reshape(cells, -1), half, axis=1)[:, half]
    before, after = np.r_[median[:1], median[:-1]], np.r_[median[1:], median[-1:]]
    wide = np.maximum(np.minimum(before, after), np.minimum(np.maximum(before, after), median))
    found: Floats = np.maximum(np.interp(np.arange(len(power)), (np.arange(cells) + 0.5) * cell, wide), _TINY)
    return found


def _median_of_mean(averages: float) -> float:
    """Of the mean of so many exponential values of mean 1 (Wilson & Hilferty 1931).

    >>> round(_median_of_mean(1.0), 3), round(_median_of_mean(100.0), 3)
    (0.702, 0.997)
    """
    return float((1 - 1 / (9 * averages)) ** 3)


def _masked(height: Floats, cell: float) -> Floats:
    """At the floor where the shaft itself modulates: unbalance, misalignment and looseness do."""
    order = np.arange(len(height)) * STEP
    height[(np.abs(order - np.rint(order)) <= max(cell, STEP)) | (order < _LOWEST)] = 1.0
    return height


def _without_skirts(height: Floats) -> Floats:
    """Near a multiple of the shaft speed, divided by what stands at the same distance on its other side, smoothed: a speed that
    wanders and the window's leakage are symmetric, a line of a bearing is not."""
    per_order, half = round(1 / STEP), round(_SKIRT / STEP)
    count = len(height) // per_order - 1
    rows = np.arange(1, count)[:, None] * per_order + np.arange(-half - 3, half + 4)
    mirrored = np.cumsum(height[rows][:, ::-1], axis=1)
    smooth = np.concatenate((mirrored[:, 6:7], mirrored[:, 7:] - mirrored[:, :-7]), axis=1) / 7
    found = height.copy()
    found[rows[:, 3:-3]] /= np.maximum(smooth, 1.0)
    return found
