"""Context memory: which moves from one level to the next a tag has made, on a grid of quarter spreads.

A value that is usual may come where it never came before. After A. Smirnov's contextual detector (CAD-OSE in NAB), reduced to
contexts of one reading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.columns import CELLS, GRID, Columns

Floats = NDArray[np.float64]

_PER_SPREAD = 4.0
_UNSEEN = 0.02  # moves that any move counts before it was seen
_SIDES = np.array([0.5, 1.0, 0.5], dtype=np.float32)  # neighbouring cells count by half
_BESIDE = np.arange(-1, 2)
_AROUND = (np.arange(-1, 2)[:, None] * GRID + np.arange(-1, 2)).ravel()
_SHARES = np.outer(_SIDES, _SIDES).ravel()


def cell(deviation: Floats, spread: Floats) -> NDArray[np.intp]:
    """Cell of a deviation from the usual level: quarter spreads, the outer ones without end.

    >>> cell(np.array([0.0, 9.0, -0.6]), np.ones(3)).tolist()
    [8, 15, 5]
    """
    place = np.minimum(np.maximum(deviation / spread * _PER_SPREAD + CELLS / 2, 0), CELLS - 1)
    found: NDArray[np.intp] = place.astype(np.intp)
    return found


def places(row: NDArray[np.intp], before: NDArray[np.intp], now: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of the moves from `before` to `now`: in `Columns.left` and in `Columns.context`, both flat; the grid has a margin of one cell."""
    origin = row * GRID + before + 1
    return origin, origin * GRID + now + 1


def surprise(columns: Columns, before: NDArray[np.intp], origin: NDArray[np.intp], move: NDArray[np.intp]) -> Floats:
    """-ln of the share of moves from `before` that were this one, see `places`; 0 where `before` is -1."""
    made, left = columns.context.reshape(-1)[move], columns.left.reshape(-1)[origin]
    rare: Floats = -np.log((made + _UNSEEN) / (left + (_UNSEEN * CELLS + 1.0)))
    return np.where(before >= 0, rare, 0.0)


def learn(columns: Columns, origin: NDArray[np.intp], move: NDArray[np.intp]) -> None:
    """Count the moves, and those between neighbouring cells by half each way: so that what is asked for is one number."""
    columns.context.reshape(-1)[move[:, None] + _AROUND] += _SHARES
    columns.left.reshape(-1)[origin[:, None] + _BESIDE] += _SIDES
