"""Shape of the last readings: what a few principal axes of the lag window do not explain.

Online sub-PCA: the covariance of the window forgets, its first axes follow by one step of subspace iteration at each refresh
(Oja 1982; orthogonal iteration, Golub & Van Loan, Matrix Computations, 8.2.4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.columns import LAGS, Columns
from models.anomaly.rounds import span

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

_MOST = 6.0  # spreads that one reading counts in the window
_NORM = 9.0 * LAGS  # square of a window's length that counts in the covariance, at most
_SLOWEST = 0.004  # weight of a window in the covariance once there are many
STRIDE = 4  # windows between two that are learnt: neighbours hold the same readings


def push(columns: Columns, row: NDArray[np.intp] | slice, deviation: Floats) -> Single:
    """Put a deviation, in spreads, at the window's end; the window, float32[n, LAGS]."""
    window = np.empty((len(deviation), LAGS), dtype=np.float32)
    window[:, :-1] = columns.window[row, 1:]
    window[:, -1] = np.minimum(np.maximum(deviation, -_MOST), _MOST)
    columns.window[row] = window
    return window


def unexplained(columns: Columns, row: NDArray[np.intp] | slice, window: Single) -> Floats:
    """Length of what is left of the window, float64[n]."""
    basis = columns.basis[row]
    parts = np.einsum("nal,nl->na", basis, window)
    left = window - np.einsum("na,nal->nl", parts, basis)
    length: Floats = np.sqrt(np.einsum("nl,nl->n", left, left)).astype(np.float64)
    return length


def learn(columns: Columns, row: NDArray[np.intp], window: Single, count: Floats) -> None:
    """Take the windows whose turn it is into the covariance."""
    turn = np.flatnonzero((count.astype(np.intp) + row) % STRIDE == 0)
    if not len(turn):
        return
    at, window = span(row[turn]), window[turn]
    length = np.maximum(np.einsum("nl,nl->n", window, window), np.float32(1e-9))
    scaled = window * np.sqrt(np.minimum(1.0, _NORM / length))[:, None].astype(np.float32)
    weight = np.maximum(_SLOWEST, STRIDE / (count[turn] + STRIDE)).astype(np.float32)
    scaled *= np.sqrt(weight)[:, None]
    covariance = columns.covariance[at]
    covariance *= (1 - weight)[:, None, None]
    covariance += scaled[:, :, None] * scaled[:, None, :]
    if not isinstance(at, slice):
        columns.covariance[at] = covariance


def turn(columns: Columns, row: NDArray[np.intp] | slice) -> None:
    """One step of the axes towards the covariance's first."""
    moved = np.einsum("nlm,nam->nla", columns.covariance[row], columns.basis[row])
    axes, _ = np.linalg.qr(moved)
    columns.basis[row] = axes.transpose(0, 2, 1)
