"""How rare is a deviation: a histogram of each tag's own deviations, extrapolated by extreme value theory. Pure.

A deviation z >= 0 is counted in bins that are 1/16 octave wide. Beyond a high threshold the excess of z^1.5 is taken
as generalised Pareto (Pickands 1975; for streams: Siffer et al., "Anomaly detection in streams with extreme value
theory", KDD 2017), fitted by probability-weighted moments (Hosking & Wallis 1987, Technometrics 29(3), eq. 8-9).
The power 1.5 makes Gaussian and Laplace noise near exponential at thresholds a short history can know; power laws
stay power laws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 160
PER_OCTAVE, LOWEST = 16, -1  # 0.5 to 512 standard deviations; what is smaller or larger counts in the end bins
POWER = 1.5
_EDGES: Floats = 2.0 ** (POWER * (LOWEST + np.arange(BINS) / PER_OCTAVE))
_CENTRES: Floats = 2.0 ** (POWER * (LOWEST + (np.arange(BINS) + 0.5) / PER_OCTAVE))
_SHARE, _AT_LEAST, _AT_MOST = 0.01, 50.0, 0.15  # of the history taken as its tail
_SHAPE, _SHAPE_WEIGHT = 0.1, 20.0  # what is assumed of the shape before there is data, worth this many deviations
_SHAPES = (-0.05, 0.75)
_ERRORS = 1.0  # standard errors of the scale that are added to it: a short history must not alarm out of ignorance
STRONGEST = 30.0
"""Scores end here: no history tells 1e-30 from 1e-300."""


class Tail(NamedTuple):
    """Of each history [m]: P(z^1.5 > threshold + y) = share * (1 + shape * y / scale) ** (-1 / shape)."""

    threshold: Floats
    share: Floats
    shape: Floats
    scale: Floats


def bins(z: Floats) -> NDArray[np.intp]:
    """Bin of each deviation.

    >>> bins(np.array([0.0, 0.5, 1.0, 2.0, 1e9])).tolist()
    [0, 0, 16, 32, 159]
    """
    octaves: Floats = np.log2(np.maximum(z, 0.5)) - LOWEST
    found: NDArray[np.intp] = np.minimum(octaves * PER_OCTAVE, BINS - 1).astype(np.intp)
    return found


def fit(histogram: NDArray[np.float32]) -> Tail:
    """Tails of m histograms.

    histogram  float32[m, BINS], weights >= 0, each with more than nothing in it
    """
    h = histogram.astype(np.float64)
    above = np.cumsum(h[:, ::-1], axis=1)[:, ::-1]  # weight in this bin and higher
    total = above[:, 0]
    wanted = np.minimum(np.maximum(_SHARE * total, _AT_LEAST), _AT_MOST * total)
    first = np.minimum((above > wanted[:, None]).sum(axis=1), BINS - 1)
    threshold = _EDGES[first]
    inside = np.arange(BINS) >= first[:, None]
    weight = np.where(inside, h, 0.0)
    size = np.maximum(weight.sum(axis=1), 1e-9)
    excess = weight * (_CENTRES - threshold[:, None])
    b0 = excess.sum(axis=1) / size
    b1 = (excess * (above - h / 2)).sum(axis=1) / size**2
    return _pareto(threshold, size, total, b0, b1)


def _pareto(threshold: Floats, size: Floats, total: Floats, b0: Floats, b1: Floats) -> Tail:
    """Shape and scale from the moments b0 = E[y], b1 = E[y (1 - F(y))]."""
    spread = np.maximum(b0 - 2 * b1, 1e-3 * np.maximum(b0, 1e-12))
    shape = (size * (2 - b0 / spread) + _SHAPE_WEIGHT * _SHAPE) / (size + _SHAPE_WEIGHT)
    shape = np.clip(shape, *_SHAPES)
    # A tail of almost nothing (a tag that hardly moves) keeps a scale that belongs to its threshold.
    mean = (size * b0 + 0.5 * threshold) / (size + 1.0)
    scale = mean * (1 - shape) * (1 + _ERRORS / np.sqrt(np.maximum(size, 1.0)))
    return Tail(threshold, np.maximum(size, 1.0) / np.maximum(total, 1.0), shape, scale)


def limit(tail: Tail, p: Floats) -> Floats:
    """The deviation that is exceeded with probability `p`.

    >>> gaussian = Tail(*(np.array([v]) for v in (4.132, 0.01, 0.0, 0.97)))
    >>> limit(gaussian, np.array([1e-4])).round(2).tolist()
    [4.2]
    """
    log = np.log(np.maximum(tail.share / p, 1.0))
    shape = np.where(np.abs(tail.shape) < 1e-6, 1e-6, tail.shape)
    exceeded: Floats = tail.threshold + tail.scale * np.expm1(shape * log) / shape
    return exceeded ** (1 / POWER)


def score(tail: Tail, z: Floats) -> Floats:
    """-log10 of the probability of a deviation of `z` or more, at most STRONGEST; a straight line below the threshold.

    >>> gaussian = Tail(*(np.array([v]) for v in (4.132, 0.01, 0.0, 0.97)))
    >>> score(gaussian, np.array([4.2])).round(1).tolist()
    [4.0]
    """
    y = (z**POWER - tail.threshold) / tail.scale
    shape = np.where(np.abs(tail.shape) < 1e-6, 1e-6, tail.shape)
    inside = np.maximum(1 + shape * np.maximum(y, 0.0), 1e-300)  # 0: beyond the end of a tail that has one
    known = -np.log10(tail.share)
    beyond = known + np.log10(inside) / shape
    return np.minimum(np.where(y > 0, beyond, known * z**POWER / tail.threshold), STRONGEST)
