"""Brings tags of different units to one scale, from what was learnt so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FRESH: Floats = np.array([0.0, 0.0, 0.0, np.inf, -np.inf])


class Scaling:
    """Running mean, variance (Welford 1962, Technometrics 4(3)), minimum and maximum of k tags.

    minmax    the learnt range lies in the middle third of [0, 1]: a model that divides [0, 1], as half-space trees do,
              then has room for what lies outside; with the whole of it an outlier falls into the same cell as the maximum
    standard  in standard deviations from the mean
    none      as it is

    A tag that has never moved is 0.5 (minmax) or 0.
    """

    def __init__(self, kind: str, k: int) -> None:
        self.kind = kind
        self.table: Floats = np.repeat(_FRESH[:, None], k, axis=1)
        """float64[5, k]: count, mean, sum of squared deviations, minimum, maximum"""

    def learn(self, x: Floats, only: NDArray[np.bool_] | None = None) -> None:
        """x float64[k]; `only` these tags."""
        if only is not None and not only.all():
            before = self.table[:, ~only].copy()
            self.learn(x)
            self.table[:, ~only] = before
            return
        count, mean, squares, low, high = self.table
        count += 1
        from_old = x - mean
        mean += from_old / count
        squares += from_old * (x - mean)
        np.minimum(low, x, out=low)
        np.maximum(high, x, out=high)

    def scaled(self, x: Floats) -> Floats:
        if self.kind == "standard":
            return self.deviations(x)
        if self.kind == "none":
            return x
        low, width = self._range()
        within: Floats = np.divide(x - low, width, out=np.full(len(x), 0.5), where=width > 0)
        return (1 + within) / 3

    def forget(self, i: int) -> None:
        """One tag."""
        self.table[:, i] = _FRESH

    def unscaled(self, scaled: Floats) -> Floats:
        """The way back."""
        if self.kind == "none":
            return scaled
        if self.kind == "standard":
            back: Floats = self.table[1] + scaled * self._spread()
        else:
            low, width = self._range()
            back = low + (3 * scaled - 1) * width
        return back

    def deviations(self, x: Floats) -> Floats:
        """In standard deviations from the mean; 0 while nothing has moved."""
        spread = self._spread()
        deviations: Floats = np.divide(x - self.table[1], spread, out=np.zeros(len(x)), where=spread > 0)
        return deviations

    def _spread(self) -> Floats:
        spread: Floats = np.sqrt(self.table[2] / np.maximum(self.table[0] - 1, 1))
        return spread

    def _range(self) -> tuple[Floats, Floats]:
        """(lowest, width); 0 where nothing was learnt."""
        known = self.table[0] > 0
        low, high = (np.where(known, row, 0.0) for row in self.table[3:])
        return low, high - low
