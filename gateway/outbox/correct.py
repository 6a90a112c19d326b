"""Times that the gateway stamped before its clock was trusted, put right once it is. Plain functions of a connection.

Only what was surely never sent is changed, and only times within the stretch that are the gateway's own: one that a source told
stays as it was told. Ids and sequence stay, so nothing is doubled and nothing changes its place.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.contract import Event, Json
from gateway.events.build import is_time, rfc3339, to_ns
from gateway.outbox import incidents, ledger
from gateway.outbox.append import IncidentRow, next_sequence
from gateway.outbox.rows import SELECTED, from_row, to_row

_NOTE = "clock_corrected"
_LEAPT = "clock_leapt"
_BEFORE_NS = 3_600_000_000_000
"""Evidence begins before what it is evidence of, by so much at most."""
_TIMES = {
    "budget": ("at_ns",),
    "ledger": ("recorded_ns", "from_ns", "to_ns"),
    "dead_letter": ("at_ns",),
    "shadow_alarm": ("at_ns",),
    "label": ("recorded_ns",),
    "request": ("at_ns", "done_ns"),
}
"""Columns without a checksum that hold the gateway's time. The audit is not among them: what is written there stays."""
_ENDS = {"breaker": "ready_ns", "shelf": "until_ns"}
"""What began within it ends as much later."""


class Stretch(NamedTuple):
    """Of the gateway's time, which was `delta_ns` too early.

    after   events up to this sequence may have been sent as they are
    """

    after: int
    from_ns: int
    to_ns: int
    delta_ns: int

    def right(self, t_ns: int, before_ns: int = 0) -> int:
        """`before_ns`: it may be a time so long before one of the gateway's."""
        return t_ns + self.delta_ns if self.from_ns - before_ns <= t_ns <= self.to_ns else t_ns

    def event(self, event: Event) -> Event:
        """Put right."""
        data = msgspec.json.encode(moved(msgspec.json.decode(event.data), self))
        return replace(event, time_ns=self.right(event.time_ns), recorded_ns=self.right(event.recorded_ns), data=data)

    def row(self, row: IncidentRow) -> IncidentRow:
        """Put right."""
        since_ns, raised_ns, changed_ns = map(self.right, (row.since_ns, row.raised_ns, row.changed_ns))
        body = msgspec.json.encode(moved(msgspec.json.decode(row.body), self))
        return row._replace(since_ns=since_ns, raised_ns=raised_ns, changed_ns=changed_ns, body=body)


def last_sequence(connection: sqlite3.Connection) -> int:
    """Of the newest event there ever was."""
    return next_sequence(connection) - 1


def correct(connection: sqlite3.Connection, stretch: Stretch) -> tuple[int, int]:
    """All of it in one transaction, which notes the stretch by its beginning: a commit that nobody knows of, or a crash behind it, does
    it no second time.

    Returns how many events were put right, and the last sequence.
    """
    if noted(connection)[0] == stretch.from_ns:
        return 0, last_sequence(connection)
    rows = connection.execute(f"SELECT {SELECTED}, e.copies FROM event e WHERE e.seq>?", (stretch.after,)).fetchall()
    changed = [(found, row[0]) for row in rows if (found := _event(row, stretch)) is not None]
    connection.executemany("UPDATE event SET time_ns=?, recorded_ns=?, data=?, crc=? WHERE seq=?", [(*new, seq) for new, seq in changed])
    _incidents(connection, stretch)
    for table, end in _ENDS.items():
        statement = f"UPDATE {table} SET since_ns=since_ns+?1, {end}={end}+?1 WHERE since_ns BETWEEN ?2 AND ?3"
        connection.execute(statement, (stretch.delta_ns, stretch.from_ns, stretch.to_ns))
    for table, columns in _TIMES.items():
        for column in columns:
            statement = f"UPDATE {table} SET {column}={column}+? WHERE {column} BETWEEN ? AND ?"
            connection.execute(statement, (stretch.delta_ns, stretch.from_ns, stretch.to_ns))
    alive_ns = ledger.last_alive_ns(connection)
    if alive_ns:
        ledger.seen_alive(connection, stretch.right(alive_ns))
    connection.execute("INSERT OR REPLACE INTO note VALUES (?,?)", (_NOTE, json.dumps([stretch.from_ns, stretch.delta_ns])))
    return len(changed), last_sequence(connection)


def noted(connection: sqlite3.Connection) -> tuple[int, int]:
    """Of the last correction, the beginning and by how much; zeros: there was none."""
    row = connection.execute("SELECT value FROM note WHERE name=?", (_NOTE,)).fetchone()
    from_ns, delta_ns = json.loads(row[0]) if row else (0, 0)
    return from_ns, delta_ns


class Leap(NamedTuple):
    """A trusted clock was set, and another time followed.

    number     counts them, over all starts
    boot       and offset_ns: of the gateway's time since, as in `clock.json`
    delta_ns   what was stamped before is so far behind
    last       sequence of the last event before
    """

    number: int
    boot: str
    offset_ns: int
    delta_ns: int
    last: int = 0

    def event(self, event: Event) -> Event:
        """One that is not stored yet: it keeps the time it tells, as others of then do, and comes behind `last`."""
        return replace(event, recorded_ns=event.recorded_ns + self.delta_ns)

    def row(self, row: IncidentRow) -> IncidentRow:
        """It changed as long ago as before: of one that goes on, a start asks how much of its hold has passed."""
        changed_ns = row.changed_ns + self.delta_ns
        body = row.body if row.state == "closed" else msgspec.json.encode({**msgspec.json.decode(row.body), "changed_ns": changed_ns})
        return row._replace(changed_ns=changed_ns, body=body)


def age_as_before(connection: sqlite3.Connection, leap: Leap) -> int:
    """What waits for its end, or is kept for some days, is no older than it was. Returns the last sequence.

    The transaction notes the leap: a commit that nobody knows of, or a crash behind it, does it no second time.
    """
    known = leapt(connection)
    if known is not None and known.number == leap.number:
        return known.last
    delta_ns = leap.delta_ns
    connection.execute("UPDATE shelf SET since_ns=since_ns+?, until_ns=until_ns+?", (delta_ns, delta_ns))
    connection.execute("UPDATE breaker SET ready_ns=ready_ns+?, since_ns=since_ns+?", (delta_ns, delta_ns))
    connection.execute("UPDATE aside SET until_ns=until_ns+?", (delta_ns,))
    connection.execute("UPDATE budget SET at_ns=at_ns+?", (delta_ns,))
    connection.execute("UPDATE incident SET changed_ns=changed_ns+? WHERE state='closed'", (delta_ns,))
    for row in incidents.going_on(connection):
        incidents.put(connection, row.id, leap.row(row))
    connection.execute("UPDATE shadow_alarm SET at_ns=at_ns+?", (delta_ns,))
    connection.execute("UPDATE ledger SET from_ns=from_ns+? WHERE to_ns=0", (delta_ns,))
    alive_ns = ledger.last_alive_ns(connection)
    if alive_ns:
        ledger.seen_alive(connection, alive_ns + delta_ns)
    last = last_sequence(connection)
    connection.execute("INSERT OR REPLACE INTO note VALUES (?,?)", (_LEAPT, json.dumps(leap._replace(last=last))))
    return last


def leapt(connection: sqlite3.Connection) -> Leap | None:
    """The last one; None: there was none."""
    row = connection.execute("SELECT value FROM note WHERE name=?", (_LEAPT,)).fetchone()
    return Leap(*json.loads(row[0])) if row else None


def oldest(connection: sqlite3.Connection) -> int:
    """The lowest sequence there is; 0: there is none."""
    return int(connection.execute("SELECT coalesce(min(seq), 0) FROM event").fetchone()[0])


def waited(connection: sqlite3.Connection, after: int, before_ns: int, most: int) -> int:
    """How far events behind `after` were recorded before, at most so many; `after`: none was."""
    statement = "SELECT max(seq) FROM (SELECT seq, recorded_ns FROM event WHERE seq>? ORDER BY seq LIMIT ?) WHERE recorded_ns<?"
    return int(connection.execute(statement, (after, most, before_ns)).fetchone()[0] or after)


def _event(row: tuple[object, ...], stretch: Stretch) -> tuple[int, int, bytes, int] | None:
    event = from_row(row[:-1])
    if event is None:
        return None  # damaged: its turn to be found comes when it is sent
    right = stretch.event(event)
    if (right.time_ns, right.recorded_ns, right.data) == (event.time_ns, event.recorded_ns, event.data):
        return None
    return right.time_ns, right.recorded_ns, right.data, to_row(right, event.sequence, 0)[13]


def _incidents(connection: sqlite3.Connection, stretch: Stretch) -> None:
    for row in incidents.changed(connection, stretch.from_ns):
        incidents.put(connection, row.id, stretch.row(row))


def moved(value: Json, stretch: Stretch, key: str = "") -> Json:
    """Times in JSON: texts of RFC 3339 as events have them, and numbers that are called ``…_ns``."""
    if isinstance(value, dict):
        return {name: moved(each, stretch, name) for name, each in value.items()}
    if isinstance(value, list):
        return [moved(each, stretch, key) for each in value]
    if isinstance(value, str) and is_time(value):
        return rfc3339(stretch.right(to_ns(value)))
    if key.endswith("_ns") and isinstance(value, int):
        return stretch.right(value, _BEFORE_NS)
    return value
