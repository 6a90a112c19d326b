"""Splits a batch so that each piece holds a tag at most once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rounds(row: NDArray[np.intp]) -> list[NDArray[np.intp] | slice]:
    """Positions of each piece; the order per tag is kept.

    >>> rounds(np.array([3, 5, 3, 3]))
    [array([0, 1]), array([2]), array([3])]
    >>> rounds(np.array([3, 5]))
    [slice(None, None, None)]
    """
    n = len(row)
    if n <= 1 or (np.diff(row) > 0).all():
        return [slice(None)]
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(first) == n:
        return [slice(None)]
    nth = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n]))
    return [np.sort(order[nth == k]) for k in range(int(nth.max()) + 1)]
