"""Splits a batch so that each piece holds a tag at most once, in the order of the tags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


def rounds(row: Places, t_ns: NDArray[np.int64]) -> list[Places | slice]:
    """Positions of each piece, by rising row; the order per tag is kept.

    What is not later than the tag's reading before it is left out: it would be anyway, one piece each.

    >>> rounds(np.array([3, 5, 3, 3]), np.array([1, 1, 1, 2]))
    [array([0, 1]), array([3])]
    >>> rounds(np.array([3, 5]), np.array([1, 1]))
    [slice(None, None, None)]
    """
    if len(row) == 1 or (row[1:] > row[:-1]).all():
        return [slice(None)]
    order = np.argsort(row, kind="stable")
    ordered, t_ns = row[order], t_ns[order]
    again = ordered[1:] == ordered[:-1]
    if not again.any():
        return [order]
    fresh = np.r_[True, ~again | (t_ns[1:] > t_ns[:-1])]
    order, ordered = order[fresh], ordered[fresh]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    nth = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    return list(np.split(order[np.argsort(nth, kind="stable")], np.cumsum(np.bincount(nth))[:-1]))


def span(row: Places) -> Places | slice:
    """Rising rows as a slice, if they are at even distances: an array is then not gathered but looked at.

    >>> span(np.array([3, 4, 5])), span(np.array([3, 5])), span(np.array([3, 5, 6]))
    (slice(3, 6, 1), slice(3, 6, 2), array([3, 5, 6]))
    """
    first, last, gaps = int(row[0]), int(row[-1]), len(row) - 1
    step = (last - first) // gaps if gaps else 1
    if first + step * gaps == last and (step == 1 or gaps < 2 or (row[1:] - row[:-1] == step).all()):
        return slice(first, last + 1, step)
    return row
