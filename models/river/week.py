"""When alarms began, as long as they count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

WEEK_SECONDS = 604_800.0
_MOST = 1000


class Week:
    """Times of the last seven days of the readings' time, at most a thousand."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_MOST)

    def add(self, t_ns: int) -> None:
        self._times.append(t_ns)

    def leap(self, delta_ns: int) -> None:
        """All of them were so much later."""
        self._times = deque((t_ns + delta_ns for t_ns in self._times), maxlen=_MOST)

    def count(self, now_ns: int) -> int:
        return sum(now_ns - t_ns < WEEK_SECONDS * 1e9 for t_ns in self._times)

    def table(self) -> NDArray[np.int64]:
        return np.array(self._times, dtype=np.int64)

    def restore(self, times: Iterable[int]) -> None:
        self._times = deque(times, maxlen=_MOST)
