"""How rare is a deviation: a history of each tag's own deviations, extrapolated by a power law. Pure.

A deviation is counted by its logarithm, in bins of a quarter octave over 24 octaves that follow the tag's own scale: nothing has to
be known of units. Above the highest thirtieth the excess of the logarithm is taken as exponential, that is, the deviation as a power
law, whose index is the mean excess (Hill 1975, "A simple general approach to inference about the tail of a distribution", Annals of
Statistics 3(5)), shrunk towards what noise shows while there is little of it. A power law is a careful bound for lighter tails.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.anomaly.rounds import span
from models.anomaly.settings import STRONGEST

Floats = NDArray[np.float64]

PER_OCTAVE, OCTAVES = 4, 24
BINS = PER_OCTAVE * OCTAVES
UNSET = -(2**31)
_SHARE = 0.03  # of the history taken as its tail
_EXCESS, _PRIOR = 0.25, 10.0  # mean excess of the natural logarithm assumed before there is data, worth this many deviations
_LEAST_EXCESS = 0.02
_HEADROOM = 2 * PER_OCTAVE  # bins left free above a new largest deviation
_PLACES = np.arange(BINS, dtype=np.float32)[:, None, None]
_FEW = 200  # sums up to which one call that adds them one by one is faster
_LN2, _LN10 = float(np.log(2.0)), float(np.log(10.0))
_TINY = 1e-300
_ONE = np.float32(1.0)  # a plain 1.0 is of another type, which `add.at` takes twenty times as long for


class Tail(NamedTuple):
    """Of each history: the score as two straight lines over log2 of the deviation. A history that was not fitted scores 0.

    middle, high   log2 of the deviations that are the history's middle and the begin of its tail
    at, known      the scores there
    inside, steep  the scores' slopes between them and beyond, per octave
    """

    middle: Floats
    high: Floats
    at: Floats
    known: Floats
    inside: Floats
    steep: Floats


def logs(deviation: Floats) -> Floats:
    """log2, that of 0 far below everything."""
    result: Floats = np.log2(np.maximum(deviation, _TINY))
    return result


def score(tail: Tail, log: Floats) -> Floats:
    """-log10 of the probability of a deviation this large or larger, 0 below the middle, at most STRONGEST.

    >>> half = Tail(*(np.array([v]) for v in (0.0, 2.0, 0.3, 1.3, 0.5, 1.2)))
    >>> [score(half, np.array([log])).round(2).tolist()[0] for log in (-1.0, 1.0, 2.0, 4.0)]
    [0.0, 0.8, 1.3, 3.7]
    """
    beyond = tail.known + (log - tail.high) * tail.steep
    within = tail.at + (log - tail.middle) * tail.inside
    found: Floats = np.where(log > tail.high, beyond, np.where(log > tail.middle, within, 0.0))
    return np.minimum(found, STRONGEST)


def deviation(tail: Tail, wanted: float) -> Floats:
    """The deviation whose score is `wanted`, above the begin of the tail; 0 for a history that was not fitted."""
    fitted = tail.steep > 0
    log = tail.high + (wanted - tail.known) / np.where(fitted, tail.steep, 1.0)
    return np.where(fitted, np.exp2(np.clip(log, -1000, 500)), 0.0)


def count(
    history: NDArray[np.float32],
    origin: NDArray[np.int32],
    zeros: NDArray[np.float32],
    row: NDArray[np.intp],
    deviations: Floats,
    log: Floats,
) -> None:
    """Add one deviation of each member and tag, in place.

    history float32[m, k, BINS], origin int32[m, k], zeros float32[m, k]; row intp[n], rising; deviations and log float64[m, n]
    """
    members, k, _ = history.shape
    at, positive, quarter = span(row), deviations > 0, np.floor(log * PER_OCTAVE).astype(np.int64)
    bins = quarter - origin[:, at]
    beyond = bins >= BINS
    if beyond.any():
        _make_room(history, origin, row, log, quarter, beyond & positive)
        bins = quarter - origin[:, at]
    flat = (np.arange(0, members * k, k)[:, None] + row) * BINS + np.maximum(bins, 0)
    if not positive.all():
        zeros[:, at] += ~positive
        flat = flat[positive]
    np.add.at(history.reshape(-1), flat.ravel(), _ONE)  # of one axis: with more, numpy 2.4 reads beyond values that it should broadcast


def _make_room(
    history: NDArray[np.float32],
    origin: NDArray[np.int32],
    row: NDArray[np.intp],
    log: Floats,
    quarter: NDArray[np.int64],
    beyond: NDArray[np.bool_],
) -> None:
    """A first deviation gets the bins around it, one above all bins moves them; both are bool[m, n] in `beyond`."""
    member, column = np.nonzero(beyond)
    place = member, row[column]
    first, quarter = origin[place], quarter[beyond]
    first = np.where(first == UNSET, (np.floor(log[beyond]) - OCTAVES / 2).astype(np.int32) * PER_OCTAVE, first)
    over = quarter - first - BINS + 1
    shift = np.where(over > 0, over + _HEADROOM, 0)
    history[place] = _moved(history[place], shift)
    origin[place] = first + shift


def _moved(history: NDArray[np.float32], shift: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same counts with the first bin `shift` higher; what leaves at an end is counted in the last bin there."""
    source = np.arange(BINS) + shift[:, None]
    moved = np.where((source >= 0) & (source < BINS), np.take_along_axis(history, np.clip(source, 0, BINS - 1), axis=1), 0)
    below = np.arange(BINS) < shift[:, None]  # now under the first bin
    above = np.arange(BINS) >= BINS + shift[:, None]
    moved[:, 0] += np.where(below, history, 0).sum(axis=1)
    moved[:, -1] += np.where(above, history, 0).sum(axis=1)
    return moved.astype(np.float32)


def fit(history: NDArray[np.float32], origin: NDArray[np.int32], zeros: NDArray[np.float32]) -> Tail:
    """Tails of histories: float32[m, n, BINS], int32[m, n], float32[m, n]."""
    sums = _sums(history)
    above = sums[:, 0]
    total = np.maximum(above[0] + zeros, 1e-9)
    high = np.maximum(_count(above >= _SHARE * total) - 1, 0)
    middle = np.minimum(_count(above >= 0.5 * total), high)
    flat, each = sums.reshape(-1), np.arange(origin.size).reshape(origin.shape)
    at_high, at_middle = high * (2 * origin.size) + each, middle * (2 * origin.size) + each
    size = flat[at_high]
    mean = flat[at_high + origin.size] / np.maximum(size, 1e-9) + 0.5 - high
    excess = (np.maximum(mean, 0.0) / PER_OCTAVE * _LN2 * size + _EXCESS * _PRIOR) / (size + _PRIOR)
    share = np.minimum(np.maximum(size, 1.0) / np.maximum(total, 1.0), 1.0)
    seen = origin != UNSET
    first = np.where(seen, origin, 0) / PER_OCTAVE
    known, at = -np.log10(share), -np.log10(np.maximum(flat[at_middle] / total, share))
    wide = np.maximum(high - middle, 1e-9) / PER_OCTAVE
    steep = _LN2 / _LN10 / np.maximum(excess, _LEAST_EXCESS)
    lines = (middle / PER_OCTAVE + first, high / PER_OCTAVE + first, at, known, np.where(high > middle, (known - at) / wide, 0.0), steep)
    return Tail(*np.where(seen, lines, 0.0))


def _sums(history: NDArray[np.float32]) -> Floats:
    """Of each bin and all above it, float64[BINS, 2, m, n]: deviations, and the sum of their bins."""
    bins = history.transpose(2, 0, 1)
    sums = np.empty((BINS, 2, *bins.shape[1:]))
    sums[:, 0] = bins
    np.multiply(bins, _PLACES, out=sums[:, 1])
    if sums[0].size < _FEW:
        return np.cumsum(sums[::-1], axis=0)[::-1]
    above, *below = reversed(sums)  # the same, with additions of many histories at once
    for one in below:
        one += above
        above = one
    return sums


def _count(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many are true along the first axis, of at most 255; as bytes that is many times as fast."""
    found: NDArray[np.uint8] = mask.view(np.uint8).sum(axis=0, dtype=np.uint8)
    return found.astype(np.intp)


def follow(history: NDArray[np.float32], origin: NDArray[np.int32], high: Floats) -> None:
    """A tag whose deviations became much smaller (another unit) gets finer bins again, in place; shapes as in `fit`, `high` of it."""
    low = (origin != UNSET) & (high * PER_OCTAVE - origin < BINS / 6)
    if low.any():
        low[low] = history[low][:, 1:].sum(axis=-1) > 0
        shift = (high * PER_OCTAVE - origin)[low].astype(np.int64) - BINS // 2
        history[low] = _moved(history[low], shift)
        origin[low] += shift.astype(np.int32)
