"""Allowances of the whole org: API calls in 24 hours, platform events in an hour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

_DAY, _HOUR = 86_400.0, 3_600.0


@dataclass
class Limits:
    """Both may be set by a test at any time.

    calls_most       API calls in the last 24 hours, a window that moves
    events_most      platform events in the clock hour
    may_see          False: ``/limits`` is forbidden, as it is without *View Setup and Configuration*
    bursts           also say ``api-bursts`` in the header, which newer releases do
    """

    calls_most: int = 100_000
    events_most: int = 250_000
    may_see: bool = True
    bursts: bool = False
    _calls: deque[float] = field(default_factory=deque)
    _hour: int = -1
    _events: int = 0

    def call(self, now: float) -> bool:
        """Count one; False: it is one too many."""
        while self._calls and self._calls[0] <= now - _DAY:
            self._calls.popleft()
        if len(self._calls) >= self.calls_most:
            return False
        self._calls.append(now)
        return True

    def publish(self, now: float) -> bool:
        """The same for one platform event."""
        if self._hour != int(now // _HOUR):
            self._hour, self._events = int(now // _HOUR), 0
        if self._events >= self.events_most:
            return False
        self._events += 1
        return True

    def use_up_calls(self, now: float, left: int = 0) -> None:
        """As if others had called until only `left` are left."""
        self._calls.extend([now] * (self.calls_most - left - len(self._calls)))

    def use_up_events(self, now: float, left: int = 0) -> None:
        self._hour, self._events = int(now // _HOUR), self.events_most - left

    @property
    def header(self) -> str:
        return f"api-usage={len(self._calls)}/{self.calls_most}" + ("; api-bursts=1/750" if self.bursts else "")

    def document(self, now: float) -> dict[str, Any]:
        events = self._events if self._hour == int(now // _HOUR) else 0
        return {
            "DailyApiRequests": {"Max": self.calls_most, "Remaining": self.calls_most - len(self._calls)},
            "HourlyPublishedPlatformEvents": {"Max": self.events_most, "Remaining": self.events_most - events},
            "DailyDeliveredPlatformEvents": {"Max": 10_000, "Remaining": 10_000},
        }
