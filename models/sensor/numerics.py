"""Means and the common divisor of measured steps, pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.sensor.settings import EXACT

Floats = NDArray[np.float64]
_TURNS = 8  # of Euclid's algorithm; more are only needed by what has no common divisor


def share(mean: Floats, flag: NDArray[np.bool_], dt: Floats, tau: float, most: float) -> Floats:
    """A share of readings over `tau` seconds; one reading weighs `most` at most.

    >>> share(np.array([0.0]), np.array([True]), np.array([1.0]), 10.0, 0.5).round(3).tolist()
    [0.095]
    """
    return mean + np.minimum(-np.expm1(dt / -tau), most) * (flag - mean)


def divisor(a: Floats, b: Floats, size: Floats) -> Floats:
    """Common divisor of two positive numbers that were measured: Euclid's algorithm on remainders to the nearest multiple.

    a      float64[n]; 0: nothing yet
    b      float64[n], > 0
    size   of the values that the numbers are differences of: what is below `EXACT` of it is rounding

    >>> divisor(np.array([0.3, 0.0, 0.5]), np.array([0.2, 7.0, 0.30001]), np.array([1.0, 1.0, 1.0])).round(6).tolist()
    [0.1, 7.0, 1e-05]
    """
    least = EXACT * size
    high, low = np.maximum(a, b), np.where(a > 0, np.minimum(a, b), b)
    with np.errstate(over="ignore", invalid="ignore"):  # a block may hold steps of 1e300 and of 1e-300: those have no divisor
        for _ in range(_TURNS):
            low = np.maximum(low, np.maximum(least, 5e-324))
            ratio = np.rint(high / low)
            rest = np.abs(high - ratio * low)
            going = (rest > np.minimum(least * ratio, 0.1 * low)) & (low > least)
            if not going.any():
                break
            high, low = np.where(going, low, high), np.where(going, rest, low)
    return np.maximum(low, least)
