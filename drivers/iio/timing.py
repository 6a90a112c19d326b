"""What the time stamps of samples tell: the true rate, and what is missing between them. Pure."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

GAP = 1.5
TRUST = 0.2
FEWEST = 32


def usable(t_ns: NDArray[np.int64]) -> bool:
    """False where a driver stamps several samples with one time: then single distances say nothing."""
    return len(t_ns) < 2 or bool((np.diff(t_ns) > 0).mean() > 0.9)


def measured_rate(t_ns: NDArray[np.int64], nominal_hz: float | None) -> float | None:
    """Samples per second over the stretches without gaps; None: too few, or so far from `nominal_hz` that it cannot be.

    A MEMS sensor runs on an oscillator of its own, which is off by some percent: so are all the frequencies in a spectrum.

    >>> round(measured_rate(np.arange(100) * 1_010_000, 1000.0), 3)
    990.099
    """
    steps = np.diff(t_ns)
    if len(steps) < FEWEST or not usable(t_ns):
        return None
    whole = steps[(steps > 0) & (steps <= GAP * np.median(steps))]
    rate = 1e9 / float(whole.mean())
    if nominal_hz is not None and abs(rate / nominal_hz - 1) > TRUST:
        return None
    return rate


def lost_samples(t_ns: NDArray[np.int64], rate_hz: float, longest: float = inf) -> int:
    """How many are missing between these: a step of two periods is one; one of more than `longest` seconds is a clock that was set.

    >>> lost_samples(np.array([0, 10, 20, 50, 60]) * 1_000_000, 100.0)
    2
    """
    if not usable(t_ns):
        return 0
    periods = np.diff(t_ns) * (rate_hz / 1e9)
    gaps = periods[(periods > GAP) & (periods <= longest * rate_hz)]
    return int((np.rint(gaps) - 1).sum())
