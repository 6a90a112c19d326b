"""What sources handed over against what the CRM holds: pure comparing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Arrival(NamedTuple):
    """One event in the CRM's log.

    seq      the gateway's sequence
    machine  order holds within it
    key      of the record that caused it; empty: it was caused by readings
    """

    source: str
    seq: int
    id: str
    machine: str
    key: str


@dataclass(frozen=True)
class Balance:
    """taken     records that were acknowledged to their source
    stored       events the gateway says it has stored
    delivered    events at the CRM, each counted once
    lost         acknowledged or stored, and neither at the CRM nor still kept
    silently     of them, what no counter of the gateway admits
    doubled      happenings that are at the CRM under two ids
    repeats      events that came again with the same id, which the CRM drops
    backward     events that came after a later one of their machine
    """

    taken: int
    stored: int
    delivered: int
    lost: int
    silently: int
    doubled: int
    repeats: int
    backward: int
    examples: tuple[str, ...] = ()


def balance(taken: Iterable[str], arrived: Sequence[Arrival], *, stored: int, kept: int = 0, admitted: int = 0) -> Balance:
    """`kept`: events that wait or are dead letters; `admitted`: events given up, by the gateway's own counters.

    >>> log = [Arrival("gw", 1, "a", "m", "A1"), Arrival("gw", 2, "b", "m", "A2"), Arrival("gw", 1, "a", "m", "A1")]
    >>> found = balance(["A1", "A2", "A3"], log, stored=2)
    >>> found.lost, found.silently, found.doubled, found.repeats, found.examples
    (1, 1, 0, 1, ('A3',))
    """
    first = {each.id: each for each in reversed(arrived)}
    keys = {each.key for each in first.values() if each.key}
    wanted = set(taken)
    gone = sorted(wanted - keys)
    rows = len({(each.source, each.seq, each.id) for each in arrived})  # an event that was stored twice is two rows with one id
    lost = max(len(gone) - kept, stored - rows - kept, 0)
    unsaid = max(len(gone) - kept - admitted, stored - rows - kept - admitted, 0)
    return Balance(
        taken=len(wanted),
        stored=stored,
        delivered=len(first),
        lost=lost,
        silently=unsaid,
        doubled=_doubled(first),
        repeats=len(arrived) - len(first),
        backward=_backward(arrived),
        examples=tuple(gone[:5]),
    )


def _doubled(first: Mapping[str, Arrival]) -> int:
    """Records with two events, and sequence numbers that two events have."""
    by_key = Counter(each.key for each in first.values() if each.key)
    by_seq = Counter((each.source, each.seq) for each in first.values())
    return sum(count - 1 for count in by_key.values()) + sum(count - 1 for count in by_seq.values())


def _backward(arrived: Iterable[Arrival]) -> int:
    """Of first arrivals."""
    latest: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    found = 0
    for each in arrived:
        if each.id in seen:
            continue
        seen.add(each.id)
        place = each.source, each.machine
        found += each.seq < latest.get(place, 0)
        latest[place] = max(each.seq, latest.get(place, 0))
    return found
