"""Brings tags of different units to one scale, from what was learnt so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
        self.table: Floats = np.vstack([np.zeros((3, k)), np.full(k, np.inf), np.full(k, -np.inf)])
        """float64[5, k]: count, mean, sum of squared deviations, minimum, maximum"""

    def learn(self, x: Floats) -> None:
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
        if self.kind == "none" or not self.table[0, 0]:
            return x if self.kind == "none" else np.full(len(x), 0.5)
        low, width = self.table[3], self.table[4] - self.table[3]
        within: Floats = np.divide(x - low, width, out=np.full(len(x), 0.5), where=width > 0)
        return (1 + within) / 3

    def deviations(self, x: Floats) -> Floats:
        """In standard deviations from the mean; 0 while nothing has moved."""
        count, mean, squares = self.table[:3]
        spread = np.sqrt(squares / np.maximum(count - 1, 1))
        deviations: Floats = np.divide(x - mean, spread, out=np.zeros(len(x)), where=spread > 0)
        return deviations
