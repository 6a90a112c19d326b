"""Losses that happen before the outbox, gathered for its ledger: a full queue loses readings a thousand times a second."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.contract import Clock
from gateway.outbox import ledger


@dataclass(slots=True)
class Loss:
    """From, to and how much, of one kind."""

    from_ns: int
    to_ns: int
    count: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A source is away. `to_ns` 0: it still is; `count` None: nobody knows how many readings there would have been."""

    name: str
    from_ns: int
    to_ns: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """Readings of a gap came later."""

    name: str
    from_ns: int
    to_ns: int
    count: int


@dataclass(slots=True)
class Gathered:
    """What goes into the ledger next."""

    losses: dict[tuple[str, str, str], Loss] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    filled: list[Filled] = field(default_factory=list)


class Losses:
    """One line per source, kind and reason for each stretch of time between two writes to the ledger; one line per absence of a source."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gathered = Gathered()

    def add(self, what: str, name: str, reason: str, count: int) -> None:
        """`what` is ``readings`` or ``waveforms``, `name` the source."""
        now_ns = self._clock.now_ns()
        loss = self._gathered.losses.setdefault((what, name, reason), Loss(now_ns, now_ns, 0))
        loss.to_ns, loss.count = now_ns, loss.count + count

    def gap(self, gap: Gap) -> None:
        """A source went away, or came back."""
        self._gathered.gaps.append(gap)

    def fill(self, filled: Filled) -> None:
        """A source delivered later what it could not then."""
        self._gathered.filled.append(filled)

    def leap(self, right: Callable[[int], int]) -> None:
        """The gateway's clock was put right, and these times are its own."""
        for loss in self._gathered.losses.values():
            loss.from_ns, loss.to_ns = right(loss.from_ns), right(loss.to_ns)
        gaps = self._gathered.gaps
        gaps[:] = [replace(gap, from_ns=right(gap.from_ns), to_ns=gap.to_ns and right(gap.to_ns)) for gap in gaps]

    def take(self) -> Gathered:
        """What was gathered since the last time."""
        taken, self._gathered = self._gathered, Gathered()
        return taken


def write(connection: sqlite3.Connection, taken: Gathered, now_ns: int) -> None:
    """Into the ledger."""
    for (what, name, reason), loss in taken.losses.items():
        ledger.note_loss(
            connection, what=what, name=name, from_ns=loss.from_ns, to_ns=loss.to_ns, count=loss.count, reason=reason, now_ns=now_ns
        )
    for gap in taken.gaps:
        if gap.to_ns:
            ledger.end_gap(connection, what="readings", name=gap.name, to_ns=gap.to_ns, count=gap.count, reason=ledger.OFFLINE)
        else:
            ledger.begin_gap(connection, what="readings", name=gap.name, from_ns=gap.from_ns, reason=ledger.OFFLINE, now_ns=now_ns)
    for late in taken.filled:
        ledger.fill(connection, what="readings", name=late.name, from_ns=late.from_ns, to_ns=late.to_ns, count=late.count)
    ledger.shorten(connection)
