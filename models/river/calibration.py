"""Makes scores of any model comparable: how rare is this one among the model's own last scores. Pure.

Beyond the highest twentieth of the scores the excess is taken as generalised Pareto, fitted by probability-weighted
moments (Hosking & Wallis 1987, Technometrics 29(3)); its shape may be negative, so a score with an upper end has one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHARE = 0.05
_SHAPES = (-0.1, 0.5)  # a hundred scores do not tell where a tail ends
STRONGEST = 30.0


class Yardstick(NamedTuple):
    """P(score > threshold + y) = share * (1 + shape * y / scale) ** (-1 / shape)."""

    threshold: float
    share: float
    shape: float
    scale: float


def fit(scores: NDArray[np.float64], together: int = 1) -> Yardstick:
    """From at least 20 scores; those of a model that always says the same give a scale of nearly nothing.

    together   so many scores in a row tell the same (each is a mean over as many rows): they count as one

    >>> fit(-np.log1p(-(np.arange(2000) + 0.5) / 2000)).shape < 0.1  # exponential: shape 0
    True
    """
    ordered = np.sort(scores)[::-1]
    size = max(int(len(ordered) * _SHARE), 10)
    threshold = float(ordered[size])
    excess = ordered[:size] - threshold
    b0 = float(excess.mean())
    b1 = float((excess * (np.arange(size) + 0.5)).mean()) / size
    if b0 <= 0:
        return Yardstick(threshold, size / len(ordered), 0.0, _least(threshold))
    shape = float(np.clip(2 - b0 / max(b0 - 2 * b1, 1e-3 * b0), *_SHAPES))
    # One standard error more: a short history must not alarm out of ignorance.
    error = max(size / together, 1.0) ** -0.5
    return Yardstick(threshold, size / len(ordered), shape, max(b0 * (1 - shape) * (1 + error), _least(threshold)))


def rarity(yardstick: Yardstick, score: float) -> float:
    """-log10 of the probability of this score or a higher one, at most STRONGEST; what is common is between 0 and 1.3.

    >>> round(rarity(Yardstick(2.0, 0.05, 0.0, 1.0), 2.0 + float(np.log(50))), 6)
    3.0
    """
    y = (score - yardstick.threshold) / yardstick.scale
    known = -float(np.log10(yardstick.share))
    if y <= 0:
        return known * float(2.0 ** max(y, -20.0))
    if abs(yardstick.shape) < 1e-6:
        return min(known + y / float(np.log(10)), STRONGEST)
    inside = max(1 + yardstick.shape * y, 1e-300)  # 0: beyond the end of a tail that has one
    return min(known + float(np.log10(inside)) / yardstick.shape, STRONGEST)


def _least(threshold: float) -> float:
    return 1e-6 * max(abs(threshold), 1e-6)
