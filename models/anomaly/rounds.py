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
    nth = np.empty(n, dtype=np.intp)
    nth[order] = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n]))
    return list(np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1]))


def later(row: NDArray[np.intp], t_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """bool[n]: later than the tag's reading before it; None: all are. What is not would be left out anyway, one round each.

    >>> later(np.array([3, 5, 3, 3]), np.array([1, 1, 1, 2])).tolist()
    [True, True, False, True]
    """
    order = np.argsort(row, kind="stable")
    repeated = (row[order][1:] == row[order][:-1]) & (t_ns[order][1:] <= t_ns[order][:-1])
    if not repeated.any():
        return None
    found = np.ones(len(row), dtype=np.bool_)
    found[order[1:][repeated]] = False
    return found


def span(row: NDArray[np.intp]) -> NDArray[np.intp] | slice:
    """The rows as a slice, if they are neighbours in their order: an array is then not gathered but looked at.

    >>> span(np.array([3, 4, 5])), span(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5]))
    """
    first, n = int(row[0]), len(row)
    if int(row[-1]) - first == n - 1 and (n < 3 or (np.diff(row) == 1).all()):
        return slice(first, first + n)
    return row
