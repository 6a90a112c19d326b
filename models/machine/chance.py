"""How rare is a deviation, by theory. Pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STRONGEST = 30.0
"""Rarities end here: no history tells 1e-30 from 1e-300."""


def normal_of_student(t: Floats, nu: Floats) -> Floats:
    """The standard normal deviate as rare as `t` of Student's distribution with `nu` degrees of freedom (Wallace 1959).

    >>> normal_of_student(np.array([2.228, 12.71]), np.array([10.0, 1.0])).round(1).tolist()  # both 5 % two-sided
    [2.0, 1.8]
    """
    size = np.sqrt(nu * np.log1p(t * t / nu)) * (8 * nu + 1) / (8 * nu + 3)
    signed: Floats = np.sign(t) * size
    return signed


def student_of_normal(z: float, nu: float) -> float:
    """Its inverse, for z >= 0.

    >>> round(student_of_normal(float(normal_of_student(np.array([3.0]), np.array([10.0]))[0]), 10.0), 6)
    3.0
    """
    return math.sqrt(nu * math.expm1(min((z * (8 * nu + 3) / (8 * nu + 1)) ** 2 / nu, 600.0)))


def rarity(z: float, ways: int = 1) -> float:
    """-log10 of the probability that the largest of `ways` normal deviates is as far as `z` from 0, either side.

    >>> round(rarity(1.959964), 3), round(rarity(4.0, 8), 2)
    (1.301, 3.3)
    """
    single = math.erfc(min(abs(z), 36.0) / math.sqrt(2))
    return max(0.0, min(-math.log10(single) - math.log10(ways), STRONGEST)) if single * ways < 1 else 0.0


def deviate(strength: float, ways: int = 1) -> float:
    """The inverse of `rarity`, by bisection.

    >>> round(deviate(rarity(4.0, 8), 8), 6)
    4.0
    """
    low, high = 0.0, 36.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rarity(middle, ways) < strength else (low, middle)
    return high


def rarity_of_squares(total: float, mean: float, dof: float) -> float:
    """-log10 of the chance that a sum of squares with this mean, and as many degrees of freedom, is `total` or more.

    The cube root of a chi-square is nearly normal (Wilson & Hilferty 1931).

    >>> round(rarity_of_squares(18.307, 10.0, 10.0), 2)  # 5 %
    1.3
    """
    z = ((total / mean) ** (1 / 3) - 1 + 2 / (9 * dof)) * math.sqrt(4.5 * dof)
    return max(0.0, min(-math.log10(max(math.erfc(min(z, 36.0) / math.sqrt(2)) / 2, 1e-300)), STRONGEST))
