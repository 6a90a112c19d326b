"""Failed logins for the audit: the first ones one by one, what comes fast as a sum, so that guessing does not fill the audit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

EACH: Final = 5
"""A minute, one by one."""
_MINUTE: Final = 60.0
_MOST_NAMES: Final = 50


class Failures:
    """`note(name, after)` writes a line."""

    def __init__(self, note: Callable[[str, str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._note, self._monotonic = note, monotonic
        self._began, self._told = monotonic(), 0
        self._more: Counter[tuple[str, str]] = Counter()

    def add(self, user: str, address: str) -> None:
        self.sum_up()
        name, place = printable(user), f"from {address}"
        if self._told < EACH:
            self._told += 1
            self._note(name, place)
        elif (name, place) in self._more or len(self._more) < _MOST_NAMES:
            self._more[name, place] += 1
        else:
            self._more["others", ""] += 1

    def sum_up(self, *, now: bool = False) -> None:
        """When the minute is over; called again and again."""
        if not now and self._monotonic() - self._began < _MINUTE:
            return
        self._began, self._told = self._monotonic(), 0
        if self._more:
            most = ", ".join(f"{name} {place} {count}×".replace("  ", " ") for (name, place), count in self._more.most_common(3))
            self._note(f"{sum(self._more.values())} times", f"{most}{', ...' if len(self._more) > 3 else ''}")
            self._more.clear()


def printable(user: str) -> str:
    """What somebody typed as a name may be anything, a password among it: only what is a name is written down.

    >>> printable("eva"), printable("Tr0ub4dor&3"), printable("x" * 200)
    ('eva', '(no name)', '(no name)')
    """
    fine = 0 < len(user) <= 63 and all(c.isascii() and (c.islower() or c.isdigit() or c in "._-") for c in user)
    return user if fine else "(no name)"
