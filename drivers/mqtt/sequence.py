"""How many blocks are missing, by the sender's own count. Pure."""

from __future__ import annotations

MOST = 1_000_000


class Sequence:
    """A counter of blocks of 32 bits that begins anew at 0 after its last number.

    >>> counter = Sequence()
    >>> [counter.missed(number) for number in (7, 8, 8, 11, "12", 0)]
    [0, 0, None, 2, 0, 0]
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def missed(self, number: object) -> int | None:
        """Blocks between this one and the one before; None: it is the same one again.

        A number that is none, one that goes back or jumps by more than a million (the sender was restarted) tells nothing: 0.
        """
        told = _number(number)
        if told is None:
            return 0
        last, self._last = self._last, told
        if last is None:
            return 0
        if told == last:
            return None
        gap = (told - last - 1) % (1 << 32)
        return gap if gap <= MOST else 0


def _number(number: object) -> int | None:
    if isinstance(number, str) and number.isdecimal() and len(number) <= 20:
        return int(number)
    return number if isinstance(number, int) and not isinstance(number, bool) else None
