"""What a tag usually does at this half hour of the day and this hour of the week, in plant time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.calendar import Slots
from models.anomaly.columns import Columns
from models.anomaly.rounds import span
from models.anomaly.settings import TRUSTED

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_LONGEST = 60.0  # values that a slot averages at most
_LARGEST = 1e37  # what single precision holds
_VALUE = 300.0  # seconds that one value stands for: what is read more often must not fill a slot within a minute


def known(columns: Columns, row: Places, slots: Slots) -> Floats:
    """What is known of these slots, float64[2, 2, n]: mean and weight, of the half hour and of the hour of the week."""
    (half, hour), at = slots, _at(row, slots)
    return np.array((columns.half_hour[:, at, half], columns.weekly[:, at, hour]), dtype=np.float64)


def expected(known: Floats) -> Floats:
    """Deviation from the usual level to be expected, float64[n].

    A half hour is like any other until it was seen often enough, and an hour of the week is like that of any other day: both are
    shrunk towards it by `TRUSTED` values.
    """
    sums, weights = known[:, 0] * known[:, 1], known[:, 1] + TRUSTED
    found: Floats = (sums[0] / weights[0] * TRUSTED + sums[1]) / weights[1]
    return found


def learn(columns: Columns, row: Places, slots: Slots, known: Floats, deviation: Floats, dt: Floats) -> None:
    """Take in the deviation from the usual level of each tag, which stands for `dt` seconds; `known` as of before."""
    deviation, counted = np.minimum(np.maximum(deviation, -_LARGEST), _LARGEST), np.minimum(dt / _VALUE, 1.0)
    mean, weight = known[:, 0], np.minimum(known[:, 1] + counted, _LONGEST)
    known[:, 0] = mean + (deviation - mean) * (counted / np.maximum(weight, 1e-9))
    known[:, 1] = weight
    (half, hour), at = slots, _at(row, slots)
    columns.half_hour[:, at, half], columns.weekly[:, at, hour] = known


def _at(row: Places, slots: Slots) -> Places | slice:
    """With one slot for all, rows may be looked at."""
    return span(row) if isinstance(slots[0], int) else row
