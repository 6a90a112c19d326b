"""What a tag usually does at this half hour of the day and this hour of the week, in plant time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.columns import Columns
from models.anomaly.settings import TRUSTED

Floats = NDArray[np.float64]

_LONGEST = 60.0  # values that a slot averages at most
_LARGEST = 1e37  # what single precision holds
_VALUE = 300.0  # seconds that one value stands for: what is read more often must not fill a slot within a minute


def expected(columns: Columns, row: NDArray[np.intp], half: NDArray[np.intp], hour: NDArray[np.intp]) -> Floats:
    """Deviation from the usual level to be expected, float64[n].

    A half hour is like any other until it was seen often enough, and an hour of the week is like that of any other day: both are
    shrunk towards it by `TRUSTED` values.
    """
    mean, weight = columns.half_hour[:, row, half].astype(np.float64)
    daily = mean * weight / (weight + TRUSTED)
    mean, weight = columns.weekly[:, row, hour].astype(np.float64)
    found: Floats = (daily * TRUSTED + mean * weight) / (TRUSTED + weight)
    return found


def learn(columns: Columns, row: NDArray[np.intp], half: NDArray[np.intp], hour: NDArray[np.intp], deviation: Floats, dt: Floats) -> None:
    """Take in the deviation from the usual level of each tag, which stands for `dt` seconds."""
    deviation, counted = np.clip(deviation, -_LARGEST, _LARGEST), np.minimum(dt / _VALUE, 1.0)
    for table, slot in ((columns.half_hour, half), (columns.weekly, hour)):
        mean, weight = table[:, row, slot]
        weight = np.minimum(weight + counted, _LONGEST)
        table[0, row, slot] = mean + (deviation - mean) * (counted / np.maximum(weight, 1e-9))
        table[1, row, slot] = weight
