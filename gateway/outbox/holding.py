"""How long the outbox can hold what comes while nothing is delivered: at the rate of the last hour."""

from __future__ import annotations

from collections import deque

from gateway.contract import Clock

_HOUR, _SLOT = 3600.0, 60.0
_LEAST_SECONDS = 60.0
ROW_BYTES = 400
"""What an event takes beside its data: attributes, keys, its delivery. Measured by the benchmark `backlog`."""


class Holding:
    """Counts what is accepted, minute by minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._slots: deque[tuple[float, int]] = deque()

    def accepted(self, data_bytes: int, events: int = 1) -> None:
        """So many events with so much data together."""
        now, size = self._clock.monotonic(), data_bytes + events * ROW_BYTES
        if self._slots and now - self._slots[-1][0] < _SLOT:
            began, before = self._slots.pop()
            self._slots.append((began, before + size))
        else:
            self._forget(now)  # here, too: nobody may ask for days
            self._slots.append((now, size))

    def bytes_per_hour(self) -> float | None:
        """Of the last hour, or of the time since the start; None in the first minute."""
        now = self._clock.monotonic()
        self._forget(now)
        seconds = min(_HOUR, now - self._began)
        return sum(size for _, size in self._slots) * _HOUR / seconds if seconds >= _LEAST_SECONDS else None

    def _forget(self, now: float) -> None:
        while self._slots and now - self._slots[0][0] > _HOUR:
            self._slots.popleft()

    def hours(self, free_bytes: int) -> float | None:
        """Until so much room is used up; None when nothing comes, or nobody knows yet."""
        rate = self.bytes_per_hour()
        return max(0, free_bytes) / rate if rate else None
