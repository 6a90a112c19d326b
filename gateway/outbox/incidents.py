"""Incidents in the outbox's file: what a start continues with, what the page shows, what is forgotten.

Plain functions of a connection, like `append.py`; bodies are JSON of `gateway.incidents.Incident` and are given
back as bytes. A row whose checksum is wrong is never given back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from gateway.outbox.append import IncidentRow
from gateway.outbox.rows import fetch

MOST_CLOSED = 10_000
SELECTED = "id, machine, condition, state, since_ns, raised_ns, changed_ns, body, crc"
"""The columns `sound` wants."""
DAMAGED = "damaged"
"""The state of a row that was set aside."""
_CHUNK = 500
_TABLE = "incident NOT INDEXED"
"""For what a start acts on: an entry of an index that a flipped bit changed would hide its row."""
_LAST = f"SELECT rowid FROM (SELECT rowid, max(since_ns) FROM {_TABLE} WHERE state='closed' AND raised_ns > 0 GROUP BY machine, condition)"


def sound(row: Sequence[Any]) -> IncidentRow | None:
    """None: the row was damaged on disk and must not be taken for good."""
    *columns, crc = row
    found = IncidentRow(*columns)
    return found if isinstance(found.body, bytes) and found.crc == crc else None


def sound_before_5(row: Sequence[Any]) -> IncidentRow | None:
    """The same in a file of a version before 5, in which the checksum was over the body alone."""
    found = IncidentRow(*row[:-1])
    return found if isinstance(found.body, bytes) and crc32(found.body) == row[-1] else None


def seal(connection: sqlite3.Connection) -> None:
    """In such a file: over the columns, too. What is damaged stays damaged."""
    last = -1
    while found := fetch(connection, f"SELECT rowid, {SELECTED} FROM incident WHERE rowid>? ORDER BY rowid LIMIT {_CHUNK}", (last,)):
        last = found[-1][0]
        rows = ((sound_before_5(row[1:]), row[0]) for row in found)
        connection.executemany("UPDATE incident SET crc=? WHERE rowid=?", [(row.crc, number) for row, number in rows if row is not None])


def unfinished(connection: sqlite3.Connection) -> list[bytes]:
    """Pending and open ones, the longest unchanged first."""
    return [row.body for row in going_on(connection)]


def going_on(connection: sqlite3.Connection) -> list[IncidentRow]:
    """The same as rows."""
    return _rows(connection, f"FROM {_TABLE} WHERE state IN ('pending','open') ORDER BY changed_ns")


def condemn(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Set aside, once, what is damaged of that on which a start acts: what is not over, or of no state there is, and the last closed
    one of each condition. Returns (machine, condition, since_ns) of them, as they stand there.
    """
    found = _condemn(connection, f"state NOT IN ('closed','{DAMAGED}')")
    while more := _condemn(connection, f"rowid IN ({_LAST})"):  # then another one is the last
        found += more
    return found


def _condemn(connection: sqlite3.Connection, which: str) -> list[tuple[str, str, int]]:
    rows = fetch(connection, f"SELECT rowid, {SELECTED} FROM {_TABLE} WHERE {which}")
    damaged = [row for row in rows if sound(row[1:]) is None]
    if damaged:
        connection.execute("REINDEX incident")  # a change looks for the entries of the row as it is, and they may be of what it was
        connection.executemany(f"UPDATE incident SET state='{DAMAGED}' WHERE rowid=?", [(row[0],) for row in damaged])
    return [(_readable(row[2]), _readable(row[3]), row[5] if isinstance(row[5], int) else 0) for row in damaged]


def _readable(value: object) -> str:
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def last_closed(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """(machine, condition) -> when the last incident of it that is over began; those that were never raised do not count."""
    rows = connection.execute(f"SELECT machine, condition, since_ns FROM incident WHERE rowid IN ({_LAST})")
    return {(machine, condition): since_ns for machine, condition, since_ns in rows}


def recent(connection: sqlite3.Connection, limit: int) -> list[bytes]:
    """Open ones first, then the latest closed ones; what ended before it was raised is not shown."""
    order = "ORDER BY CASE state WHEN 'closed' THEN 1 ELSE 0 END, raised_ns DESC"
    found = _rows(connection, f"FROM incident WHERE state IN ('open','closed') AND raised_ns > 0 {order} LIMIT ?", (limit,))
    return [row.body for row in found]


def one(connection: sqlite3.Connection, identity: str) -> IncidentRow | None:
    found = _rows(connection, "FROM incident WHERE id=?", (identity,))
    return found[0] if found else None


def changed(connection: sqlite3.Connection, since_ns: int) -> list[IncidentRow]:
    """All that changed since then."""
    return _rows(connection, "FROM incident WHERE changed_ns>=?", (since_ns,))


def put(connection: sqlite3.Connection, identity: str, row: IncidentRow) -> None:
    """Instead of the one with this id."""
    statement = f"UPDATE incident SET ({SELECTED}) = ({','.join('?' * (len(row) + 1))}) WHERE id=?"
    connection.execute(statement, (*row, row.crc, identity))


def forget(connection: sqlite3.Connection, closed_before_ns: int) -> int:
    """Delete closed incidents that are old or too many; returns how many. Looks at the index alone."""
    old = connection.execute("DELETE FROM incident WHERE state='closed' AND changed_ns<?", (closed_before_ns,)).rowcount
    many = connection.execute(
        "DELETE FROM incident WHERE rowid IN (SELECT rowid FROM incident WHERE state='closed' ORDER BY changed_ns DESC LIMIT -1 OFFSET ?)",
        (MOST_CLOSED,),
    ).rowcount
    return old + many


def forget_oldest(connection: sqlite3.Connection, limit: int) -> int:
    """Delete the oldest `limit` closed incidents for room; returns how many. The last of each condition stays: it keeps the
    id of the next one from being given twice, see `last_closed`.
    """
    last = "SELECT rowid FROM (SELECT rowid, max(since_ns) FROM incident WHERE state='closed' GROUP BY machine, condition)"
    return connection.execute(
        "DELETE FROM incident WHERE rowid IN (SELECT rowid FROM incident WHERE state='closed' "
        f"AND rowid NOT IN ({last}) ORDER BY changed_ns LIMIT ?)",
        (limit,),
    ).rowcount


def _rows(connection: sqlite3.Connection, statement: str, parameters: tuple[Any, ...] = ()) -> list[IncidentRow]:
    found = fetch(connection, f"SELECT {SELECTED} {statement}", parameters)
    return [row for row in map(sound, found) if row is not None]
