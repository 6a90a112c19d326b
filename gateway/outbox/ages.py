"""How old an event is by the clock of today, when the clock was another one when it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Shifts: TypeAlias = Sequence[tuple[int, int, int]]
"""(first, last, delta_ns): events of this stretch were recorded by a clock that was so far behind."""


def recorded(seq: int, recorded_ns: int, shifts: Shifts) -> int:
    """When it was, by the clock of today.

    >>> recorded(7, 1000, [(1, 10, 50), (8, 20, 5)]), recorded(7, 1000, [])
    (1050, 1000)
    """
    return recorded_ns + sum(delta_ns for first, last, delta_ns in shifts if first <= seq <= last)
