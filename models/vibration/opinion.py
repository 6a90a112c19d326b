"""What several blocks in a row agree on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

UNKNOWN = -1
NOTHING = 0
_FIRST = 16

Agreement: TypeAlias = Callable[[Sequence[int], int], int]


def agreed_level(recent: Sequence[int], before: int) -> int:
    """The level all recent ones have reached, or have not left.

    >>> agreed_level([1, 2, 2], 0), agreed_level([0, 1, 2], 1), agreed_level([1, 0, 1], 2)
    (1, 1, 1)
    """
    if before == UNKNOWN or min(recent) > before:
        return min(recent)
    return min(before, max(recent))


def agreed_fault(recent: Sequence[int], before: int, *, unsure: int) -> int:
    """The fault all recent ones name; `unsure` when they agree that there is one but not which; NOTHING when none is.

    >>> agreed_fault([2, 2, 2], 0, unsure=9), agreed_fault([2, 3, 2], 0, unsure=9), agreed_fault([2, 0, 2], 0, unsure=9)
    (2, 9, 0)
    >>> agreed_fault([3, 2, 3], 2, unsure=9), agreed_fault([0, 0, 0], 2, unsure=9)
    (2, 0)
    """
    if len(set(recent)) == 1:
        return recent[0]
    if before > NOTHING:
        return before
    return unsure if NOTHING not in recent else NOTHING


def agreed_trouble(recent: Sequence[int], before: int) -> int:
    """As a fault; when the last blocks are bad in different ways, the last one's."""
    return agreed_fault(recent, before, unsure=recent[-1])


@dataclass(slots=True)
class Rising:
    """Follows whether a level rises. `told`: blocks after which it is told next; 0: nothing has been told."""

    since_ns: int = 0
    blocks: int = 0
    rising: bool = False
    told: int = 0

    def add(self, t_ns: int, *, rising: bool) -> bool:
        """True if it is to be told: it begins or ends, is the first opinion, or has lasted twice as long as when it was told."""
        if rising != self.rising or self.since_ns == 0:
            self.since_ns, self.blocks, self.rising, self.told = t_ns, 0, rising, 0
        self.blocks += 1
        if self.told and not (rising and self.blocks >= self.told):
            return False
        self.told = max(2 * self.blocks, _FIRST)
        return True


@dataclass(slots=True)
class Opinion:
    """Follows one condition of one tag.

    value     what is agreed; UNKNOWN until `blocks` blocks were seen, NOTHING is healthy
    since_ns  when the condition began, or ended
    recent    (t_ns, value) of the last blocks
    told      what was last told about it; not part of the state: after a start it is told again
    """

    agree: Agreement
    blocks: int
    value: int = UNKNOWN
    since_ns: int = 0
    recent: list[tuple[int, int]] = field(default_factory=list)
    told: object = None

    def add(self, t_ns: int, value: int) -> None:
        self.recent = [*self.recent, (t_ns, value)][-self.blocks :]
        if len(self.recent) < self.blocks:
            return
        after = self.agree([found for _, found in self.recent], self.value)
        if self.value == UNKNOWN or (after > NOTHING) != (self.value > NOTHING):
            self.since_ns = self.recent[0][0]
        self.value = after

    def news(self, *said: object) -> bool:
        """True if this has not been told yet; then it counts as told."""
        if self.value == UNKNOWN or self.told == (self.value, *said):
            return False
        self.told = (self.value, *said)
        return True
