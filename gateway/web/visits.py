"""Logins and logouts for the audit: the first ones of a user one by one, what comes fast as a sum, so that a loop of them does not push
out the old lines.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

EACH: Final = 5
"""A minute, of one user, one by one."""
_MINUTE: Final = 60.0


class _Line(Protocol):
    def __call__(self, what: str, *, who: str, after: str = ...) -> None: ...


class Visits:
    """`note` writes a line. Users are those of accounts, so there are no more than those."""

    def __init__(self, note: _Line, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._note, self._monotonic = note, monotonic
        self._began = monotonic()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._last: dict[tuple[str, str], str] = {}

    def add(self, what: str, user: str, address: str) -> None:
        self.sum_up()
        self._seen[what, user] += 1
        if self._seen[what, user] <= EACH:
            self._note(what, who=user, after=f"from {address}")
        else:
            self._last[what, user] = address

    def sum_up(self, *, now: bool = False) -> None:
        """When the minute is over; called again and again."""
        if not now and self._monotonic() - self._began < _MINUTE:
            return
        self._began = self._monotonic()
        for (what, user), address in self._last.items():
            self._note(what, who=user, after=f"{self._seen[what, user] - EACH} more times, the last from {address}")
        self._seen.clear()
        self._last.clear()
