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
from numpy.typing import NDArray

from models.vibration.bearing import Orders
from models.vibration.diagnosis.density import STEP, Density
from models.vibration.diagnosis.lines import SLIP, Family, family, first_order

_MOST = 12.0
_SMEARED = 0.008
"""Share of its own order over which a line may be smeared: slip wanders, and a ball turns about changing axes."""
_GUARD = 0.03  # orders: a line this near to a multiple of the shaft speed tells nothing
_LOWEST = 0.12  # orders: slow changes of the block, not modulation
_SKIRT = 0.12
_SLIPS = np.linspace(-SLIP, SLIP, 81)
_COARSE = _SLIPS[::2]
_WRONG = np.exp(np.r_[np.arange(-12, -1), np.arange(2, 13)] * 0.03 + 0.01)
"""Speeds that are certainly wrong, 5 to 38 % off: lines that suit them as well belong to something else."""
_TINY = 1e-30

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strength:
    """Of one part. `first` is the order of its first line at the best slip."""

    score: float
    depth: float
    first: float

    @property
    def strength(self) -> float:
        """Sure and deep."""
        return self.score * self.depth


class Spectrum:
    """An averaged density prepared for the search: divided by its noise floor, without what the shaft's own multiples do."""

    def __init__(self, density: Density) -> None:
        self.cell, self.averages, self.revolutions = density.cell, density.averages, density.revolutions
        power = density.power.astype(np.float64)
        self.floor = _floor(power) / _median_of_mean(density.averages)
        self.excess = np.concatenate(([0.0], np.cumsum(power - self.floor))) * STEP
        height = _without_skirts(_masked(power / self.floor, self.cell))
        self._sum = np.concatenate(([0.0], np.cumsum(height)))
        self.height = height

    def strength(self, orders: Orders, fault: str) -> Strength:
        first = first_order(orders, fault) * (1 + _SLIPS)
        scores = self._scores(family(fault), first, orders.ftf)
        most = float(scores.max())
        # Strong lines reach the most a line counts for at several slips: the middle one is right.
        best = float(np.median(first[scores >= most - _TINY]))
        return Strength(most, self._depth(family(fault), best), best)

    def share_of_wrong_speeds_below(self, orders: Orders, fault: str, score: float) -> float:
        """0 to 1: so many of the certainly wrong speeds suit these lines worse than the true one."""
        true = first_order(orders, fault)
        # Sidebands one revolution of the shaft or the cage apart are the part's own, and their multiples are a comb as well.
        apart = orders.ftf if fault == "ball" else 1.0
        own = np.array([true - apart, true + apart])
        wrong = _WRONG[(np.abs(true * _WRONG / own[:, None] - 1) > 2 * SLIP).all(axis=0)]
        first = true * np.outer(wrong, 1 + _COARSE)
        ftf = np.repeat(orders.ftf * wrong, first.shape[1])
        best = self._scores(family(fault), first.ravel(), ftf).reshape(first.shape).max(axis=1)
        return float(np.mean(best <= score))

    def prominence(self, order: float) -> float:
        """Height at an order, as amplitude over the noise floor's."""
        low, high = self._window(np.array([order]), 2 * self.cell)
        return float(np.sqrt(max(self.height[low[0] : high[0]].max(), 0.0)))

    def _scores(self, lines: Family, first: Floats, ftf: Floats | float) -> Floats:
        """float64[len(first)]."""
        at = lines.orders(first, ftf)
        weight = np.where((np.abs(at - np.rint(at)) < max(_GUARD, 1.5 * self.cell)) | (at <= 0), 0.0, lines.weight)
        found: Floats = np.sum(self._unlikely(at, 2 * self.cell) * weight, axis=1)
        if _SMEARED * at.max() > 2 * self.cell:
            smeared = self._unlikely(at, np.maximum(2 * self.cell, _SMEARED * at))
            found = np.maximum(found, np.sum(smeared * weight, axis=1))
        found /= np.maximum(np.sum(weight, axis=1), lines.weight.sum() / 2)
        return found

    def _unlikely(self, at: Floats, width: Floats | float) -> Floats:
        low, high = self._window(at, width)
        count = high - low
        mean = np.maximum((self._sum[high] - self._sum[low]) / count, 1.0)
        independent = np.maximum(count * (STEP / self.cell), 1.0) * self.averages
        found: Floats = np.minimum(independent * (mean - 1 - np.log(mean)), _MOST)
        return found

    def _window(self, at: Floats, width: Floats | float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        half = np.maximum(width * (0.5 / STEP), 1.0)
        centre, last = at / STEP, len(self.height)
        low = np.minimum(np.maximum(np.rint(centre - half), 0), last - 1).astype(np.intp)
        return low, np.minimum(np.maximum(np.rint(centre + half) + 1, low + 1), last).astype(np.intp)

    def _depth(self, lines: Family, first: float) -> float:
        at = first * lines.harmonic[: lines.harmonics]
        low, high = self._window(at, np.maximum(2 * self.cell, _SMEARED * at))
        return float(np.sqrt(np.sum(np.maximum(self.excess[high] - self.excess[low], 0.0))))


def _floor(power: Floats) -> Floats:
    """Median of each order's width and its neighbours', joined by straight lines."""
    cell = round(1 / STEP)
    cells = max(1, len(power) // cell)
    median = np.median(power[: cells * cell].reshape(cells, -1), axis=1)
    wide = np.median(np.stack([np.r_[median[:1], median[:-1]], median, np.r_[median[1:], median[-1:]]]), axis=0)
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
    mirrored = np.cumsum(np.pad(height[rows][:, ::-1], ((0, 0), (1, 0))), axis=1)
    smooth = (mirrored[:, 7:] - mirrored[:, :-7]) / 7
    found = height.copy()
    found[rows[:, 3:-3]] /= np.maximum(smooth, 1.0)
    return found
