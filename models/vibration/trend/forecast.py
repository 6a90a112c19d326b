"""When a level that rises reaches a limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

_FEWEST = 8
_SURE = 2.0  # standard errors


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds from the last value to the limit."""

    seconds: float
    earliest: float
    latest: float


def forecast(t_seconds: NDArray[np.float64], value: NDArray[np.float64], limit: float) -> Forecast | None:
    """Straight line through the logarithm (a rise of so many percent a day), least squares, and where it meets the limit.

    t_seconds, value   [n], value > 0, in order of time
    returns            None: too few values, or no rise that is sure

    The interval is Fieller's (1954, J. R. Stat. Soc. B 16(2)), two standard errors of mean and slope; the residuals are taken as
    dependent over two neighbours.

    >>> t = np.arange(20.0) * 3600
    >>> found = forecast(t, 2.0 ** (t / 36_000), 2.0**2.9)  # doubles in ten hours; 1.9 doublings are reached
    >>> round(found.seconds), round(found.earliest), round(found.latest)
    (36000, 36000, 36000)
    """
    if len(value) < _FEWEST:
        return None
    x, y = t_seconds - t_seconds.mean(), np.log(value)
    spread, mean = float(np.sum(x * x)), float(y.mean())
    if spread == 0:
        return None
    slope = float(np.sum(x * y)) / spread
    variance = 2 * float(np.sum((y - mean - slope * x) ** 2)) / (len(value) - 2)
    sure = slope**2 - _SURE**2 * variance / spread
    if slope <= 0 or sure <= 0:
        return None
    missing, now = log(limit) - mean, float(x[-1])
    width = sqrt(max(0.0, (missing * slope) ** 2 - sure * (missing**2 - _SURE**2 * variance / len(value))))
    earliest, latest = ((missing * slope + side * width) / sure - now for side in (-1, 1))
    return Forecast(max(0.0, missing / slope - now), max(0.0, earliest), max(0.0, latest))
