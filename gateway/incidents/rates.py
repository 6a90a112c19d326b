"""How alarms come, after ISA-18.2: floods and chattering. O(1) per alarm."""

from __future__ import annotations

from collections import deque

from gateway.contract import Clock

FLOOD_SECONDS, FLOOD_MOST = 600.0, 10
"""More than so many in so long is a flood: nobody can answer them one by one."""
CHATTER_SECONDS, CHATTER_LEAST = 60.0, 3
"""A condition that begins so often in so long chatters: it wants a deadband, hysteresis or `hold`."""
STANDING_NS = 86_400_000_000_000
"""An alarm that stands longer is stale: nobody acts on it."""
_MOST = 10_000


class Rates:
    """Monotonic seconds; forgotten with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._raised: deque[float] = deque(maxlen=_MOST)
        self._begun: dict[tuple[str, str], deque[float]] = {}
        self._looked = clock.monotonic()

    def raised(self) -> None:
        """An incident was told."""
        self._forget()  # here, too: nobody may look for days
        self._raised.append(self._clock.monotonic())

    def activated(self, key: tuple[str, str]) -> None:
        """(machine, condition) began, told or not."""
        now = self._clock.monotonic()
        if (times := self._begun.get(key)) is not None:
            times.append(now)
            return
        if len(self._begun) >= _MOST:
            if now - self._looked >= CHATTER_SECONDS:  # not for each of a storm
                self._looked = now
                self._begun = {known: times for known, times in self._begun.items() if now - times[-1] <= CHATTER_SECONDS}
            if len(self._begun) >= _MOST:
                return
        self._begun[key] = deque((now,), maxlen=CHATTER_LEAST)

    def recent(self) -> int:
        """Alarms in the last ten minutes."""
        self._forget()
        return len(self._raised)

    def _forget(self) -> None:
        since = self._clock.monotonic() - FLOOD_SECONDS
        while self._raised and self._raised[0] < since:
            self._raised.popleft()

    def chattering(self) -> list[tuple[str, str]]:
        """(machine, condition) of those that chatter now."""
        since = self._clock.monotonic() - CHATTER_SECONDS
        return [key for key, times in self._begun.items() if len(times) == CHATTER_LEAST and times[0] >= since]
