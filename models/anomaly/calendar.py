"""Half hour of the day and hour of the week in plant time, daylight saving included."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

HALF_HOURS, WEEK_HOURS = 48, 168
_QUARTER_NS = 900 * 10**9  # every zone's offset is whole quarters of an hour, and changes at one
_REMEMBERED = 256
_DAY, _THURSDAY = 86_400, 3  # 1970-01-01 was a Thursday; Monday is 0


class Calendar:
    """Knows one zone; remembers the offsets of the quarters of an hour it was asked for last."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._known: dict[int, int] = {}

    def slots(self, t_ns: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(half hour of the day 0..47, hour of the week 0..167) of each time."""
        quarter = t_ns // _QUARTER_NS
        first = int(quarter[0])
        if (quarter == first).all():
            offset: NDArray[np.int64] | int = self._offset(first)
        else:
            known, where = np.unique(quarter, return_inverse=True)
            offset = np.array([self._offset(int(one)) for one in known], dtype=np.int64)[where]
        local = t_ns // 10**9 + offset
        second = local % _DAY
        half = (second // 1800).astype(np.intp)
        weekday = (local // _DAY + _THURSDAY) % 7
        return half, (weekday * 24 + second // 3600).astype(np.intp)

    def _offset(self, quarter: int) -> int:
        offset = self._known.get(quarter)
        if offset is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone).utcoffset()
            offset = self._known[quarter] = 0 if found is None else int(found.total_seconds())
        return offset
