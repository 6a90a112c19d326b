"""Windows of the week in plant time, as a plant engineer writes them: ``sat 06:00-14:00``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_DAY = "(?:" + "|".join(DAYS) + ")"
PATTERN = rf"^(daily|{_DAY}(?:-{_DAY})?(?:, ?{_DAY}(?:-{_DAY})?)*) +(\d\d):(\d\d) ?- ?(\d\d):(\d\d)$"
_WINDOW = re.compile(PATTERN)
_HELP = "write for example 'sat 06:00-14:00', 'mon-fri 12:00-12:30' or 'daily 22:00-02:00'"


class Window(NamedTuple):
    """Minutes of the day, `from_minute` in it and `to_minute` not; one that ends before it begins goes on past midnight.

    days   on which it begins, 0 = Monday
    """

    days: frozenset[int]
    from_minute: int
    to_minute: int

    def holds(self, local: datetime) -> bool:
        """By the clock on the plant's wall, so that in the hour the clocks go back it holds twice, and in the one they leave out never."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.from_minute < self.to_minute:
            return day in self.days and self.from_minute <= minute < self.to_minute
        return (day in self.days and minute >= self.from_minute) or ((day - 1) % 7 in self.days and minute < self.to_minute)


def window(text: str) -> Window:
    """
    >>> window("fri-sun 22:00-06:00") == Window(frozenset({4, 5, 6}), 1320, 360)
    True

    raises ValueError   with what to write instead
    """
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time window; {_HELP}")
    days, *clock = found.groups()
    from_hour, from_minute, to_hour, to_minute = map(int, clock)
    begin, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(from_minute, to_minute) > 59 or begin >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError("no such time of day; the day goes from 00:00 to 24:00")
    if begin == end:
        raise ValueError("it ends when it begins; for a whole day write 00:00-24:00")
    return Window(_days(days), begin, end)


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for piece in text.replace(" ", "").split(","):
        first, _, last = piece.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 + (7 if end < begin else 0))}
    return frozenset(found)
