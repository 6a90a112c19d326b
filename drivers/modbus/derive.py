"""What is computed from several raw values: exponents in registers of their own, counters that begin again. Numpy, O(1) per tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD, Batch, Quality, Tag

_EXPONENT_MOST = 10  # SunSpec: -10 to 10; -32768 says there is none


class Exponents:
    """Multiplies a value by ten to the power of a register; the rows of the registers, which are no tags, go."""

    def __init__(self, pairs: Mapping[int, int]) -> None:
        self._pairs = pairs

    def apply(self, batch: Batch) -> Batch:
        if not self._pairs or not len(batch):
            return batch
        row = {index: position for position, index in enumerate(batch.tag.tolist())}
        value, quality = batch.value.copy(), batch.quality.copy()
        for tag, exponent in self._pairs.items():
            if tag not in row:
                continue
            at = row.get(exponent)
            power = value[at] if at is not None and quality[at] < BAD else np.nan
            if abs(power) <= _EXPONENT_MOST:
                value[row[tag]] *= 10.0**power
            elif quality[row[tag]] < BAD:
                value[row[tag]], quality[row[tag]] = np.nan, Quality.BAD_DEVICE
        return Batch(batch.tag, batch.t_ns, value, quality).select(batch.tag >= 0)


class Counters:
    """A counter that falls from its last quarter to its first has begun again, and its value goes on growing.

    Any other fall is taken for a reset and passed on as it is. State: last raw value and what was added, per tag; it begins
    with the process, so after a restart the value is the device's again.
    """

    def __init__(self, tags: Sequence[Tag]) -> None:
        counters = [(tag.index, tag.options.roll_over) for tag in tags if tag.options.roll_over]
        self._row = {index: row for row, (index, _) in enumerate(counters)}
        self._limit = np.array([limit for _, limit in counters], dtype=np.float64)
        self._last = np.zeros(len(counters))
        self._added = np.zeros(len(counters))
        self._rows: dict[bytes, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}

    def apply(self, batch: Batch) -> Batch:
        if not self._row or not len(batch):
            return batch
        rows, mine = self._where(batch.tag)
        fine = batch.quality[rows] < BAD
        rows, mine = rows[fine], mine[fine]
        raw, limit = batch.value[rows], self._limit[mine]
        again = (self._last[mine] >= 0.75 * limit) & (raw < 0.25 * limit)
        reset = (raw < self._last[mine]) & ~again
        self._added[mine] = np.where(reset, 0.0, self._added[mine] + np.where(again, limit, 0.0))
        self._last[mine] = raw
        value = batch.value.copy()
        value[rows] = raw + self._added[mine]
        return Batch(batch.tag, batch.t_ns, value, batch.quality)

    def _where(self, tag: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of the counters in a batch, and which counters they are; remembered for the few forms batches have."""
        key = tag.tobytes()
        if key not in self._rows:
            if len(self._rows) > 64:
                self._rows.clear()
            pairs = [(row, self._row[index]) for row, index in enumerate(tag.tolist()) if index in self._row]
            self._rows[key] = (np.array([row for row, _ in pairs], dtype=np.intp), np.array([mine for _, mine in pairs], dtype=np.intp))
        return self._rows[key]
