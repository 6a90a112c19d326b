"""Exponentially weighted moving averages over irregular time, pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def decayed(dt: Floats, tau: float | Floats) -> Floats:
    """1 - exp(-dt/tau): what `dt` seconds take off an average with this time constant."""
    return -np.expm1(dt / -tau)


def weight(dt: Floats, tau: float | Floats, n: Floats) -> Floats:
    """Weight of a new value: 1 - exp(-dt/tau), but not below that of a plain mean over the n earlier ones.

    dt   seconds since the last value, >= 0
    tau  time constant in seconds
    n    values so far; 0 gives 1: the first value is the average

    The decay over a span is the same however the span is cut into steps (Müller 1991; Eckner 2012,
    "Algorithms for unevenly spaced time series", next-point scheme). The mean at the start frees it of its first value.

    >>> weight(np.array([0.0, 1.0, 1.0]), 10.0, np.array([0.0, 1.0, 1e9])).round(4).tolist()
    [1.0, 0.5, 0.0952]
    """
    return np.maximum(decayed(dt, tau), 1.0 / (n + 1.0))


def towards(average: Floats, value: Floats, weights: Floats) -> Floats:
    """Move `average` to `value` by `weights` (0 keeps it, 1 replaces it).

    >>> towards(np.array([0.0]), np.array([8.0]), np.array([0.25])).tolist()
    [2.0]
    """
    return average + weights * (value - average)
