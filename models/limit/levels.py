"""Levels against limits, pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1


def levels(
    value: NDArray[np.float64], before: NDArray[np.int8], limit: float | None, second: float | None, hysteresis: float
) -> NDArray[np.int8]:
    """int8[n]: 0 inside, 1 above `limit`, 2 above `second`; a level is left only below its limit minus `hysteresis`.

    value   float64[n]; NaN counts as inside
    before  int8[n]: levels so far, UNKNOWN = none yet

    >>> levels(np.array([71.0, 69.0, 67.0, 90.0]), np.array([0, 1, 1, 1], dtype=np.int8), 70.0, 85.0, 2.0).tolist()
    [1, 1, 0, 2]
    """
    level = np.zeros(len(value), dtype=np.int8)
    for number, bound in ((1, limit), (2, second)):
        if bound is not None:
            entered = value > bound
            kept = (before >= number) & (value >= bound - hysteresis) if hysteresis else (before >= number) & (value > bound)
            level[entered | kept] = number
    return level


def rates(change: NDArray[np.float64], dt_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[n]: absolute change per second; NaN where there is no earlier reading.

    >>> rates(np.array([5.0]), np.array([500_000_000])).tolist()
    [10.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(change) / (dt_ns / 1e9)
