"""Accepting: incidents and their events go to disk in one transaction. Plain functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from gateway.contract import Event
from gateway.outbox import tally
from gateway.outbox.rows import INSERT, checksum, to_row
from gateway.outbox.tally import LANES, Kind, lane_of

_ROWS_PER_STATEMENT = (32, 8, 1)
"""More at once cost memory: SQLite keeps every statement, some four kilobytes a row."""
_CHANGED = (
    "ON CONFLICT (id) DO UPDATE SET machine=excluded.machine, condition=excluded.condition, state=excluded.state, "
    "since_ns=excluded.since_ns, raised_ns=excluded.raised_ns, changed_ns=excluded.changed_ns, body=excluded.body, crc=excluded.crc"
)
"""An incident that is there keeps its row: replacing it would touch twice as many pages."""


class IncidentRow(NamedTuple):
    """An incident as it is stored; `body` is JSON of `gateway.incidents.Incident`."""

    id: str
    machine: str
    condition: str
    state: str
    since_ns: int
    raised_ns: int
    changed_ns: int
    body: bytes

    @property
    def crc(self) -> int:
        """Over all of it but `changed_ns`, which decides about nothing but the order, and is moved along when the clock leaps."""
        return checksum(self[:6], self.body)


class Addressed(NamedTuple):
    """An event and the destinations that want it (may be none)."""

    event: Event
    destinations: tuple[str, ...]


class Rejected(NamedTuple):
    """An event of ours that breaks its contract: kept as a dead letter of every destination that wanted it, to be corrected."""

    event: Event
    destinations: tuple[str, ...]
    reason: str


CONTRACT = "contract"
"""The code of such a dead letter."""


def reject(connection: sqlite3.Connection, rejected: Sequence[Rejected], now_ns: int) -> None:
    """Store them as dead letters; an id that is there already is not stored twice."""
    for event, destinations, reason in rejected:
        append(connection, [], [Addressed(event, destinations)])
        (seq,) = connection.execute("SELECT seq FROM event WHERE id=?", (event.id,)).fetchone()
        for destination in destinations:
            if connection.execute(f"DELETE FROM delivery WHERE destination=? AND lane IN {LANES} AND seq=?", (destination, seq)).rowcount:
                connection.execute(
                    "INSERT INTO dead_letter (destination, seq, kind, at_ns, code, reason) VALUES (?,?,?,?,?,?)",
                    (destination, seq, Kind.PARKED, now_ns, CONTRACT, reason[:500]),
                )


def append(connection: sqlite3.Connection, incidents: Sequence[IncidentRow], events: Sequence[Addressed]) -> int:
    """Incident changes and their events; returns how many events were new. An id that is there already is not stored twice.
    An incident that is over before it was raised is nobody's business any more, and its row goes.
    """
    never_raised = {row.id for row in incidents if row.state == "closed" and not row.raised_ns}
    kept = [(*row, row.crc) for row in incidents if row.id not in never_raised]
    insert_many(connection, "INSERT INTO incident VALUES", kept, _CHANGED)
    connection.executemany("DELETE FROM incident WHERE id=?", [(name,) for name in never_raised])
    wanted: dict[str, Addressed] = {}
    for entry in events:
        if entry.destinations:
            wanted.setdefault(entry.event.id, entry)
    if not wanted:
        return 0
    for known in _known(connection, wanted):
        del wanted[known]
    fresh = list(wanted.values())
    first = next_sequence(connection)
    insert_many(connection, INSERT, [to_row(entry.event, seq, len(entry.destinations)) for seq, entry in enumerate(fresh, first)])
    deliveries = [
        (destination, lane_of(entry.event.severity), seq, int(entry.event.severity))
        for seq, entry in enumerate(fresh, first)
        for destination in entry.destinations
    ]
    insert_many(connection, "INSERT INTO delivery (destination, lane, seq, severity) VALUES", deliveries)
    tally.add(connection, "stored", Counter(row[0] for row in deliveries))
    return len(fresh)


def _known(connection: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    rows = connection.execute("SELECT id FROM event WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
    return [row[0] for row in rows.fetchall()]


def insert_many(connection: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
    """Rows of one shape, many per statement: each statement gives the interpreter away and has to win it back."""
    if not rows:
        return
    one, start = f"({','.join('?' * len(rows[0]))})", 0
    for size in _ROWS_PER_STATEMENT:
        statement = f"{head} {','.join([one] * size)} {tail}"
        while len(rows) - start >= size:
            connection.execute(statement, [*chain.from_iterable(rows[start : start + size])])
            start += size


def next_sequence(connection: sqlite3.Connection) -> int:
    """Of the next event; what was ever given is never given again."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='event'").fetchone()
    return int(row[0]) + 1 if row else 1
