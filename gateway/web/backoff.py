"""How long somebody who guesses passwords has to wait: per address, and per user from anywhere.

A wait grows and ends by itself; nobody is locked out for good. Where a user has logged in before, only guesses from
there count for that user: a stranger who guesses cannot keep the owner out. They are counted apart from the address,
whose wait ends when anybody there logs in.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

FREE: Final = 3
"""Failures before the first wait."""
LONGEST_OF_ADDRESS, LONGEST_OF_USER = 60.0, 30.0
_FORGET_SECONDS: Final = 3600.0
_MOST: Final = 1024


class Backoff:
    """Bounded: the key that was seen longest ago is forgotten first."""

    def __init__(self, longest: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._longest, self._monotonic = longest, monotonic
        self._seen: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()  # key -> failures, time of the last

    def wait(self, key: Hashable) -> float:
        """Seconds until the next attempt; 0: now."""
        failures, last = self._seen.get(key, (0, 0.0))
        since = self._monotonic() - last
        if failures < FREE or since > _FORGET_SECONDS:
            return 0.0
        return max(0.0, min(self._longest, 2.0 ** min(failures - FREE, 20)) - since)

    def failed(self, key: Hashable) -> None:
        failures, last = self._seen.pop(key, (0, 0.0))
        now = self._monotonic()
        self._seen[key] = (1 if now - last > _FORGET_SECONDS else failures + 1), now
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def passed(self, key: Hashable) -> None:
        self._seen.pop(key, None)

    def undo(self, key: Hashable) -> None:
        """One failure was none."""
        failures, last = self._seen.get(key, (0, 0.0))
        if failures > 1:
            self._seen[key] = failures - 1, last
        else:
            self.passed(key)


class Attempts:
    """All waits. An attempt counts as failed from its beginning, so that many at once gain nothing."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._addresses, self._users = Backoff(LONGEST_OF_ADDRESS, monotonic), Backoff(LONGEST_OF_USER, monotonic)
        self._places = Backoff(LONGEST_OF_USER, monotonic)  # of those that are known
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, user: str, address: str) -> float:
        known = (user, address) in self._known
        return max(self._addresses.wait(address), self._places.wait((user, address)) if known else self._users.wait(user))

    def begin(self, user: str, address: str) -> None:
        self._addresses.failed(address)
        self._users.failed(user)
        if (user, address) in self._known:
            self._places.failed((user, address))

    def passed(self, user: str, address: str) -> None:
        """The wait of the user from elsewhere stays: what was guessed there did not become right."""
        self._addresses.passed(address)
        self._places.passed((user, address))
        (self._users.undo if (user, address) in self._known else self._users.passed)(user)
        self._known[user, address] = None
        self._known.move_to_end((user, address))
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
