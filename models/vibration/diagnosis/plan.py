"""Where to look for a part's lines: the same for every block of one bearing, so it is worked out once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.vibration.bearing import Orders
from models.vibration.diagnosis.density import STEP
from models.vibration.diagnosis.lines import SLIP, family, first_order

SMEARED = 0.008
"""Share of its own order over which a line may be smeared: slip wanders, and a ball turns about changing axes."""
_GUARD = 0.03  # orders: a line this near to a multiple of the shaft speed tells nothing
_SLIPS = np.linspace(-SLIP, SLIP, 81)
_WRONG = np.exp(np.r_[np.arange(-12, -1), np.arange(2, 13)] * 0.03 + 0.01)
"""Speeds that are certainly wrong, 5 to 38 % off."""

Floats = NDArray[np.float64]
Points = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Windows:
    """low, high     intp[positions, lines]: grid points of each line, high excluded
    independent   float64[positions, lines]: values in it that do not depend on each other
    """

    low: Points
    high: Points
    independent: Floats


@dataclass(frozen=True, slots=True)
class Plan:
    """first       float64[positions]: order of the first line, for each slip (and each wrong speed)
    weight      float64[positions, lines]: 0 where a line falls on a multiple of the shaft speed
    windows     narrow ones, and those for smeared lines where these are wider
    harmonics   so many lines at the beginning are the harmonics themselves
    """

    first: Floats
    weight: Floats
    windows: tuple[Windows, ...]
    harmonics: int


@lru_cache(maxsize=256)
def true_speed(orders: Orders, fault: str, cell: float, points: int) -> Plan:
    """Every slip that makes a difference."""
    return _plan(orders, fault, cell, points, np.ones(1), _SLIPS)


@lru_cache(maxsize=64)
def wrong_speeds(orders: Orders, fault: str, cell: float, points: int) -> tuple[Plan, int]:
    """The same lines at speeds that are certainly wrong, and the number of these speeds."""
    true = first_order(orders, fault)
    # Sidebands one revolution of the shaft or the cage apart are the part's own, and their multiples are a comb as well.
    apart = orders.ftf if fault == "ball" else 1.0
    own = np.array([true - apart, true + apart])
    wrong = _WRONG[(np.abs(true * _WRONG / own[:, None] - 1) > 2 * SLIP).all(axis=0)]
    return _plan(orders, fault, cell, points, wrong, _SLIPS[::2]), len(wrong)


def _plan(orders: Orders, fault: str, cell: float, points: int, speeds: Floats, slips: Floats) -> Plan:
    lines = family(fault)
    first = (first_order(orders, fault) * np.outer(speeds, 1 + slips)).ravel()
    at = lines.orders(first, np.repeat(orders.ftf * speeds, len(slips)))
    weight = np.where((np.abs(at - np.rint(at)) < max(_GUARD, 1.5 * cell)) | (at <= 0), 0.0, lines.weight)
    weight /= np.maximum(np.sum(weight, axis=1, keepdims=True), lines.weight.sum() / 2)
    windows = [_windows(at, np.full_like(at, 2 * cell), cell, points)]
    if SMEARED * at.max() > 2 * cell:
        windows.append(_windows(at, np.maximum(2 * cell, SMEARED * at), cell, points))
    return Plan(first, weight, tuple(windows), lines.harmonics)


def _windows(at: Floats, width: Floats, cell: float, points: int) -> Windows:
    low, high = window(at, width, points)
    return Windows(low, high, np.maximum((high - low) * (STEP / cell), 1.0))


def window(at: Floats, width: Floats | float, points: int) -> tuple[Points, Points]:
    """Grid points around these orders; at least three."""
    half, centre = np.maximum(width * (0.5 / STEP), 1.0), at / STEP
    low = np.minimum(np.maximum(np.rint(centre - half), 0), points - 1).astype(np.intp)
    return low, np.minimum(np.maximum(np.rint(centre + half) + 1, low + 1), points).astype(np.intp)
