"""What the writer thread does to the file: plain functions of a connection, each inside the group's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

from gateway.contract import Event, Outcome, OutcomeKind
from gateway.outbox.rows import COLUMNS, INSERT, from_row, to_row

READY, PARKED, QUARANTINED = 0, 1, 2
TALLIED = ("stored", "delivered", "expired", "dropped")
"""What is counted since the outbox was created, by destination: it only grows."""
_ROWS_PER_STATEMENT = 32
_DONE = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)
_LEASE = (
    f"SELECT {','.join(f'e.{name}' for name in COLUMNS.split(','))} FROM delivery d JOIN event e USING (seq) "  # noqa: S608
    "WHERE d.destination=? AND d.state=? AND d.seq>?"
)


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


class Addressed(NamedTuple):
    """An event and the destinations that want it (may be none)."""

    event: Event
    destinations: tuple[str, ...]


def append(connection: sqlite3.Connection, incidents: Sequence[IncidentRow], events: Sequence[Addressed]) -> int:
    """Incident changes and their events; returns how many events were new. An id that is there already is not stored twice."""
    insert_many(connection, "INSERT OR REPLACE INTO incident VALUES", [(*row, crc32(row.body)) for row in incidents])
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
    insert_many(connection, INSERT, [to_row(entry.event, seq) for seq, entry in enumerate(fresh, first)])
    deliveries = [(seq, destination) for seq, entry in enumerate(fresh, first) for destination in entry.destinations]
    insert_many(connection, "INSERT INTO delivery (seq, destination) VALUES", deliveries)
    tally(connection, "stored", Counter(destination for _, destination in deliveries))
    return len(fresh)


def _known(connection: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    rows = connection.execute("SELECT id FROM event WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
    return [row[0] for row in rows.fetchall()]


def insert_many(connection: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of one shape, many per statement: each statement gives the interpreter away and has to win it back."""
    if not rows:
        return
    one = f"({','.join('?' * len(rows[0]))})"
    full = len(rows) // _ROWS_PER_STATEMENT * _ROWS_PER_STATEMENT
    if full:
        statement = f"{head} {','.join([one] * _ROWS_PER_STATEMENT)}"
        for start in range(0, full, _ROWS_PER_STATEMENT):
            connection.execute(statement, [value for row in rows[start : start + _ROWS_PER_STATEMENT] for value in row])
    if full < len(rows):
        connection.executemany(f"{head} {one}", rows[full:])


def next_sequence(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='event'").fetchone()
    return int(row[0]) + 1 if row else 1


def tally(connection: sqlite3.Connection, what: str, counts: Counter[str]) -> None:
    connection.executemany(
        "INSERT INTO tally VALUES (?,?,?) ON CONFLICT (destination, what) DO UPDATE SET count = count + excluded.count",
        [(destination, what, count) for destination, count in counts.items() if count],
    )


def lease(
    connection: sqlite3.Connection, destination: str, after: int, limit: int, *, without: Collection[str] = (), only: str | None = None
) -> list[Event]:
    """The oldest ready events of a destination behind sequence `after`; damaged rows are quarantined on the way.

    without, only   machines (`partitionkey`) that are left out, the one that is wanted
    """
    statement, parameters = _LEASE, [destination, READY, after]
    if without:
        statement += " AND e.partitionkey NOT IN (SELECT value FROM json_each(?))"
        parameters.append(json.dumps(list(without)))
    if only is not None:
        statement += " AND e.partitionkey=?"
        parameters.append(only)
    rows = _rows(connection, f"{statement} ORDER BY d.seq LIMIT ?", (*parameters, limit))
    events, damaged = [], []
    for row in rows:
        event = from_row(row)
        if event is None:
            damaged.append((QUARANTINED, "the stored row is damaged (checksum)", row[0]))
        else:
            events.append(event)
    if damaged:
        connection.executemany("UPDATE delivery SET state=?, reason=? WHERE seq=?", damaged)
    return events


def _rows(connection: sqlite3.Connection, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
    """All rows; text that a flipped bit made invalid is read all the same, so that its checksum can condemn it alone."""
    try:
        return connection.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as exc:
        if "decode" not in str(exc).lower():
            raise
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        return connection.execute(statement, parameters).fetchall()
    finally:
        connection.text_factory = str


def settle(connection: sqlite3.Connection, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome]) -> None:
    """Write down what came of a batch: delivered rows go, parked ones stay with their reason, the others wait.

    Doing it twice is the same as once: what counts as delivered is the rows that were still there.
    """
    done = [e.sequence for e, o in zip(events, outcomes, strict=True) if o.kind in _DONE]
    failed = [
        (PARKED if o.kind is OutcomeKind.PARK else READY, o.reason[:500], destination, e.sequence, READY)
        for e, o in zip(events, outcomes, strict=True)
        if o.kind not in _DONE
    ]
    if failed:
        statement = "UPDATE delivery SET state=?, attempts=attempts+1, reason=? WHERE destination=? AND seq=? AND state=?"
        connection.executemany(statement, failed)
    if done:
        tally(connection, "delivered", Counter({destination: remove(connection, destination, done)}))


def remove(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> int:
    """Delete deliveries, and the events nobody waits for any more; returns how many deliveries there were."""
    first, last = sequences[0], sequences[-1]
    if last - first + 1 == len(sequences):
        found = connection.execute("DELETE FROM delivery WHERE seq BETWEEN ? AND ? AND destination=?", (first, last, destination))
        connection.execute(
            "DELETE FROM event WHERE seq BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq=event.seq)", (first, last)
        )
        return found.rowcount
    found = connection.executemany("DELETE FROM delivery WHERE seq=? AND destination=?", [(seq, destination) for seq in sequences])
    drop_orphans(connection, sequences)
    return found.rowcount


def drop_orphans(connection: sqlite3.Connection, sequences: Iterable[int]) -> None:
    connection.executemany(
        "DELETE FROM event WHERE seq=? AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq=event.seq)", [(seq,) for seq in sequences]
    )


def note_loss(
    connection: sqlite3.Connection, *, what: str, name: str, from_ns: int, to_ns: int, count: int, reason: str, now_ns: int
) -> None:
    """One line in the loss ledger."""
    connection.execute(
        "INSERT INTO ledger (recorded_ns, what, name, from_ns, to_ns, count, reason) VALUES (?,?,?,?,?,?,?)",
        (now_ns, what, name, from_ns, to_ns, count, reason),
    )


def backlog(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """By destination: stored, delivered, expired, dropped (since ever), parked, quarantined, ready (now).

    `ready` follows from the conservation law, so that a million waiting rows need not be counted.
    """
    found: dict[str, dict[str, int]] = {}
    for destination, what, count in connection.execute("SELECT destination, what, count FROM tally"):
        found.setdefault(destination, dict.fromkeys((*TALLIED, "parked", "quarantined"), 0))[what] = count
    for destination, counts in found.items():
        for state, name in ((PARKED, "parked"), (QUARANTINED, "quarantined")):
            row = connection.execute("SELECT count(*) FROM delivery WHERE destination=? AND state=?", (destination, state)).fetchone()
            counts[name] = row[0]
        counts["ready"] = counts["stored"] - sum(counts[name] for name in ("delivered", "expired", "dropped", "parked", "quarantined"))
    return found


def oldest_recorded_ns(connection: sqlite3.Connection) -> int | None:
    """When the oldest waiting event was written."""
    row = connection.execute("SELECT recorded_ns FROM event ORDER BY seq LIMIT 1").fetchone()
    return row[0] if row else None
