"""A destination takes over what another one cannot be given. Plain functions of a connection.

Each event belongs to one of the two at any time: it is moved in one transaction, and only while the first one surely has not
taken it. So nothing is sent twice when the first one comes back; what was moved stays moved.
"""

from __future__ import annotations

import sqlite3

from gateway.outbox import tally
from gateway.outbox.tally import Lane

MOST = 5000
"""Deliveries per transaction."""


def take_over(connection: sqlite3.Connection, first: str, second: str, *, after_ns: int, now_ns: int) -> int:
    """Move what waits for `first` to `second`, if `first` took nothing for so long; returns how many were moved."""
    row = connection.execute("SELECT since_ns FROM breaker WHERE destination=?", (first,)).fetchone()
    if row is None or not row[0] or now_ns - row[0] < after_ns:
        return 0
    found = connection.execute(
        "SELECT lane, seq, severity FROM delivery WHERE destination=? AND lane IN (?,?) AND tried=0 ORDER BY lane, seq LIMIT ?",
        (first, Lane.URGENT, Lane.ORDERED, MOST),
    ).fetchall()
    connection.executemany("DELETE FROM delivery WHERE destination=? AND lane=? AND seq=?", [(first, lane, seq) for lane, seq, _ in found])
    inserted = connection.executemany(
        "INSERT OR IGNORE INTO delivery (destination, lane, seq, severity, reason) VALUES (?,?,?,?,?)",
        [(second, *entry, f"taken over from {first}") for entry in found],
    ).rowcount
    tally.add(connection, "moved", {first: len(found)})
    tally.add(connection, "stored", {second: max(inserted, 0)})
    return len(found)
