"""Order of readings in a batch: what came before each in its group, and pieces that can be computed at once. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]
Ints = NDArray[np.int64]


def alone(group: Positions) -> bool:
    """No group is there twice."""
    return len(group) <= 1 or bool((np.diff(group) > 0).all()) or len(set(group.tolist())) == len(group)


def largest_before(group: Positions, value: Ints, known: Ints) -> Ints:
    """int64[n]: the largest value of the same group before this one, at least what was `known` of the group.

    group   intp[n], position in `known`
    value   int64[n]

    >>> largest_before(np.array([0, 1, 0, 0]), np.array([5, 9, 3, 7]), np.array([4, 0])).tolist()
    [4, 0, 5, 5]
    """
    if alone(group):
        return known[group]
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    # Times are too large to be shifted apart by group, so their ranks are.
    levels, rank = np.unique(value[order], return_inverse=True)
    shifted = (np.cumsum(first) - 1) * len(levels) + rank
    reached = np.maximum.accumulate(shifted)
    before = np.empty(len(group), dtype=np.int64)
    before[order] = np.where(first, known[ordered], levels[np.r_[0, reached[:-1]] % len(levels)])
    return np.maximum(before, known[group])


def nth(group: Positions, counted: NDArray[np.bool_]) -> Positions:
    """intp[n]: how many of the same group are counted up to and with this one.

    >>> nth(np.array([0, 1, 0, 0]), np.array([True, True, False, True])).tolist()
    [1, 1, 1, 2]
    """
    if alone(group):
        return counted.astype(np.intp)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    total = np.cumsum(counted[order])
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    before: Ints = np.repeat(total[first] - counted[order][first], np.diff(np.r_[first, len(group)]))
    found = np.empty(len(group), dtype=np.intp)
    found[order] = total - before
    return found


def pieces(number: Positions) -> list[Positions]:
    """Positions by ascending number, the order within a number kept.

    >>> [piece.tolist() for piece in pieces(np.array([2, 1, 2]))]
    [[1], [0, 2]]
    """
    if (number == number[0]).all():
        return [np.arange(len(number))]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def rounds(group: Positions) -> list[Positions]:
    """Positions split so that each piece holds a group at most once; the order within a group is kept.

    >>> [piece.tolist() for piece in rounds(np.array([3, 5, 3, 3]))]
    [[0, 1], [2], [3]]
    """
    if alone(group):
        return [np.arange(len(group))]
    return pieces(nth(group, np.ones(len(group), dtype=np.bool_)))
