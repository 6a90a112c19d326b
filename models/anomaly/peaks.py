"""From a sum of rarities to false alarms a week.

Members of the bank depend on each other, so their rarities do not simply add up. What adds up to an alarm is therefore measured against
the tag's own peaks: the largest sum of each block of half a day, whose root mean square is the tag's `typical` peak. Peaks of blocks are
near a Gumbel distribution (Fisher & Tippett 1928; Gumbel 1958, "Statistics of Extremes"); its spread relative to its mean is taken
as fixed, because it cannot be learnt from the few blocks that there are before a limit is needed.
"""

from __future__ import annotations

from math import log, log1p, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from models.anomaly.settings import STRONGEST

Floats = NDArray[np.float64]

VARIATION = 0.45  # of the peaks of blocks, standard deviation over mean
PRIOR_BLOCKS = 3.0  # blocks that the typical peak is assumed for
ALONE = 3.6  # typical peak assumed of three members that mostly say the same
_KEPT = 0.97  # of the weight of earlier blocks, at each block
_MOST = 2.0  # typical peaks that one block counts, at most: an anomaly must not make the tag deaf
_MEAN = 1 / sqrt(1 + VARIATION**2)
_SCALE = sqrt(6) / pi * VARIATION * _MEAN
_MODE = _MEAN - 0.5772156649 * _SCALE


def assumed(weights: tuple[float, ...]) -> float:
    """Typical peak of the weighted sum before any block is known: ALONE for the first three members, 1.25 for each more."""
    return ALONE + 1.25 * max(sum(weights) - 3.0, -2.0)


def typical(before: Floats, squares: Floats, blocks: Floats, peak: Floats, prior: float) -> tuple[Floats, Floats, Floats]:
    """(typical, squares, blocks) after a block with this peak; all float64[n]."""
    counted = np.minimum(peak, _MOST * before)
    squares, blocks = squares * _KEPT + counted**2, blocks * _KEPT + 1
    return np.sqrt((PRIOR_BLOCKS * prior**2 + squares) / (PRIOR_BLOCKS + blocks)), squares, blocks


def limit(probability: float) -> float:
    """In typical peaks, what a block exceeds with this probability.

    >>> limit(1 / 14) > 1.5
    True
    """
    return _MODE - _SCALE * log(-log1p(-min(probability, 0.999)))


def rarity(z: Floats) -> Floats:
    """-log10 of the probability that a block's peak is `z` typical peaks or higher, at most STRONGEST.

    >>> rarity(np.array([limit(0.01), limit(0.5)])).round(6).tolist()
    [2.0, 0.30103]
    """
    y = (z - _MODE) / _SCALE
    rare = np.exp(-np.minimum(np.maximum(y, -5.0), 700.0))
    p = np.where(y > 20, rare, -np.expm1(-rare))
    found: Floats = np.minimum(-np.log10(np.maximum(p, 10.0**-STRONGEST)), STRONGEST)
    return np.where(z > 0, found, 0.0)
