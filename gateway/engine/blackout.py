"""`blackout`: windows in plant time in which a watch neither looks nor learns, and nothing new is raised."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gateway.contract.windows import window

_MINUTE_NS = 60_000_000_000
_MOST_KNOWN = 20_000


class Blackout:
    """Judges readings by their own time, minute by minute: windows, and what time zones are from UTC, are whole minutes."""

    def __init__(self, windows: Iterable[str], timezone: ZoneInfo) -> None:
        self._windows = [window(text) for text in windows]
        self._timezone = timezone
        self._known: dict[int, bool] = {}

    def at(self, t_ns: int) -> bool:
        return self._minute(t_ns // _MINUTE_NS)

    def rows(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """bool[n]: inside a window; None: none of them is."""
        first, last = int(t_ns.min()) // _MINUTE_NS, int(t_ns.max()) // _MINUTE_NS
        if first == last:
            return np.ones(len(t_ns), dtype=bool) if self._minute(first) else None
        minutes, of = np.unique(t_ns // _MINUTE_NS, return_inverse=True)
        inside = np.array([self._minute(int(minute)) for minute in minutes])
        return inside[of] if inside.any() else None

    def _minute(self, minute: int) -> bool:
        known = self._known.get(minute)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[minute] = self._inside(minute)
        return known

    def _inside(self, minute: int) -> bool:
        local = datetime.fromtimestamp(minute * 60, self._timezone)
        return any(window.holds(local) for window in self._windows)
