"""Incidents in the outbox's file: what a start continues with, what the page shows, what is forgotten.

Plain functions of a connection, like `append.py`; bodies are JSON of `gateway.incidents.Incident` and are given
back as bytes. A body whose checksum is wrong is never given back.
"""

from __future__ import annotations

import sqlite3
from zlib import crc32

MOST_CLOSED = 10_000
_BODY = "SELECT body, crc FROM incident"


def unfinished(connection: sqlite3.Connection) -> list[bytes]:
    """Pending and open ones, the longest unchanged first."""
    return _sound(connection.execute(f"{_BODY} WHERE state IN ('pending','open') ORDER BY changed_ns"))


def condemn(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Mark unfinished incidents whose row is damaged, once; returns (machine, condition, since_ns) of them."""
    rows = connection.execute("SELECT rowid, machine, condition, since_ns, body, crc FROM incident WHERE state IN ('pending','open')")
    damaged = [row for row in rows if crc32(row[4]) != row[5]]
    connection.executemany("UPDATE incident SET state='damaged' WHERE rowid=?", [(row[0],) for row in damaged])
    return [(row[1], row[2], row[3]) for row in damaged]


def last_closed(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """(machine, condition) -> when the last incident of it that is over began; those that were never raised do not count."""
    rows = connection.execute(
        "SELECT machine, condition, max(since_ns) FROM incident WHERE state='closed' AND raised_ns > 0 GROUP BY machine, condition"
    )
    return {(machine, condition): since_ns for machine, condition, since_ns in rows}


def recent(connection: sqlite3.Connection, limit: int) -> list[bytes]:
    """Open ones first, then the latest closed ones; what ended before it was raised is not shown."""
    order = "ORDER BY CASE state WHEN 'closed' THEN 1 ELSE 0 END, raised_ns DESC"
    return _sound(connection.execute(f"{_BODY} WHERE state IN ('open','closed') AND raised_ns > 0 {order} LIMIT ?", (limit,)))


def one(connection: sqlite3.Connection, identity: str) -> bytes | None:
    found = _sound(connection.execute(f"{_BODY} WHERE id=?", (identity,)))
    return found[0] if found else None


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


def _sound(rows: sqlite3.Cursor) -> list[bytes]:
    return [body for body, crc in rows if crc32(body) == crc]
