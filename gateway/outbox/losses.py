"""Losses that happen before the outbox, gathered for its ledger: a full queue loses readings a thousand times a second."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway.contract import Clock
from gateway.outbox.operations import note_loss

MOST_LINES = 50_000
"""The newest lines of the ledger that are kept."""


@dataclass(slots=True)
class Loss:
    """From, to and how much, of one kind."""

    from_ns: int
    to_ns: int
    count: int


class Losses:
    """One line per source, kind and reason for each stretch of time between two writes to the ledger."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gathered: dict[tuple[str, str, str], Loss] = {}

    def add(self, what: str, name: str, reason: str, count: int) -> None:
        """`what` is ``readings`` or ``waveforms``, `name` the source."""
        now_ns = self._clock.now_ns()
        loss = self._gathered.setdefault((what, name, reason), Loss(now_ns, now_ns, 0))
        loss.to_ns, loss.count = now_ns, loss.count + count

    def take(self) -> dict[tuple[str, str, str], Loss]:
        """What was gathered since the last time."""
        taken, self._gathered = self._gathered, {}
        return taken


def write(connection: sqlite3.Connection, taken: dict[tuple[str, str, str], Loss], now_ns: int) -> None:
    """Into the ledger, one line each; a ledger that has grown too long loses its oldest lines."""
    for (what, name, reason), loss in taken.items():
        note_loss(connection, what=what, name=name, from_ns=loss.from_ns, to_ns=loss.to_ns, count=loss.count, reason=reason, now_ns=now_ns)
    connection.execute("DELETE FROM ledger WHERE id <= (SELECT max(id) FROM ledger) - ?", (MOST_LINES,))
