"""Context memory: which moves from one level to the next a tag has made, on a grid of quarter spreads.

A value that is usual may come where it never came before. After A. Smirnov's contextual detector (CAD-OSE in NAB), reduced to
contexts of one reading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.columns import CELLS, Columns

Floats = NDArray[np.float64]

_PER_SPREAD = 4.0
_UNSEEN = 0.02  # moves that any move counts before it was seen
_STEPS, _SIDES = np.array([-1, 0, 1]), np.array([0.5, 1.0, 0.5])  # neighbouring cells count by half


def cell(deviation: Floats, spread: Floats) -> NDArray[np.intp]:
    """Cell of a deviation from the usual level: quarter spreads, the outer ones without end.

    >>> cell(np.array([0.0, 9.0, -0.6]), np.ones(3)).tolist()
    [8, 15, 5]
    """
    place = np.clip(deviation / spread * _PER_SPREAD + CELLS / 2, 0, CELLS - 1)
    found: NDArray[np.intp] = place.astype(np.intp)
    return found


def surprise(columns: Columns, row: NDArray[np.intp], before: NDArray[np.intp], now: NDArray[np.intp]) -> Floats:
    """-ln of the share of moves from `before` that went to `now`; 0 where `before` is -1."""
    start = before[:, None] + _STEPS
    side = np.where((before[:, None] >= 0) & (start >= 0) & (start < CELLS), _SIDES, 0.0)
    seen = columns.context[row[:, None], np.clip(start, 0, CELLS - 1)]
    moves = seen[:, 0] * side[:, 0:1] + seen[:, 1] * side[:, 1:2] + seen[:, 2] * side[:, 2:3]
    padded = np.zeros((len(row), CELLS + 2))
    padded[:, 1:-1] = moves
    hits = (padded[np.arange(len(row))[:, None], now[:, None] + 1 + _STEPS] * _SIDES).sum(axis=1)
    rare: Floats = -np.log((hits + _UNSEEN) / (moves.sum(axis=1) + _UNSEEN * CELLS + 1.0))
    return np.where(before >= 0, rare, 0.0)


def learn(columns: Columns, row: NDArray[np.intp], before: NDArray[np.intp], now: NDArray[np.intp]) -> None:
    """Count the moves."""
    known = before >= 0
    columns.context[row[known], before[known], now[known]] += 1.0
