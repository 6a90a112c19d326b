"""Half hour of the day and hour of the week in plant time, daylight saving included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

HALF_HOURS, WEEK_HOURS = 48, 168
_QUARTER_NS = 900 * 10**9  # every zone's offset is whole quarters of an hour, and changes at one
_REMEMBERED = 256
_DAY, _THURSDAY = 86_400, 3  # 1970-01-01 was a Thursday; Monday is 0

Slots: TypeAlias = tuple[int, int] | tuple[NDArray[np.intp], NDArray[np.intp]]


class Calendar:
    """Knows one zone; remembers the slots of the quarters of an hour it was asked for last."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._known: dict[int, tuple[int, int]] = {}

    def slots(self, t_ns: NDArray[np.int64]) -> Slots:
        """(half hour of the day 0..47, hour of the week 0..167): of all times if they share it, else of each."""
        first, last = int(t_ns.min()) // _QUARTER_NS, int(t_ns.max()) // _QUARTER_NS
        if first == last:
            return self._slots(first)
        known, where = np.unique(t_ns // _QUARTER_NS, return_inverse=True)
        half, hour = np.array([self._slots(int(quarter)) for quarter in known], dtype=np.intp).T
        return half[where], hour[where]

    def _slots(self, quarter: int) -> tuple[int, int]:
        found = self._known.get(quarter)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone).utcoffset()
            local = quarter * 900 + (0 if offset is None else int(offset.total_seconds()))
            days, second = divmod(local, _DAY)
            found = self._known[quarter] = second // 1800, (days + _THURSDAY) % 7 * 24 + second // 3600
        return found
