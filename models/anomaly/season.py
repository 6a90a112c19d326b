"""What a tag usually does at this half hour of the day and this hour of the week, in plant time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anomaly.columns import Columns
from models.anomaly.settings import DAYS_TO_TRUST

Floats = NDArray[np.float64]

_LONGEST = 60.0  # values that a slot averages at most


def expected(columns: Columns, row: NDArray[np.intp], half: NDArray[np.intp], hour: NDArray[np.intp]) -> Floats:
    """Deviation from the usual level to be expected, float64[n].

    A half hour is like any other until it was seen often enough, and an hour of the week is like that of any other day: both are
    shrunk towards it by `DAYS_TO_TRUST` values.
    """
    mean, weight = columns.half_hour[:, row, half].astype(np.float64)
    daily = mean * weight / (weight + DAYS_TO_TRUST)
    mean, weight = columns.weekly[:, row, hour].astype(np.float64)
    found: Floats = (daily * DAYS_TO_TRUST + mean * weight) / (DAYS_TO_TRUST + weight)
    return found


def learn(columns: Columns, row: NDArray[np.intp], half: NDArray[np.intp], hour: NDArray[np.intp], deviation: Floats) -> None:
    """Take in the deviation from the usual level of each tag."""
    for table, slot in ((columns.half_hour, half), (columns.weekly, hour)):
        mean, weight = table[:, row, slot]
        weight = np.minimum(weight + 1, np.float32(_LONGEST))
        table[0, row, slot] = mean + (deviation.astype(np.float32) - mean) / weight
        table[1, row, slot] = weight
