"""A destination takes over what another one cannot be given. Plain functions of a connection.

Each event belongs to one of the two at any time: it is moved in one transaction, and only while the first one surely has not
taken it. So nothing is sent twice when the first one comes back; what was moved stays moved.
"""

from __future__ import annotations

import sqlite3

from gateway.outbox import tally
from gateway.outbox.tally import Lane, lane_of

MOST = 2000
"""Deliveries per transaction."""


def take_over(connection: sqlite3.Connection, first: str, second: str, *, after_ns: int, now_ns: int, well: bool = True) -> int:
    """Move what waits for `first` to `second`, the oldest first, if `first` took nothing for so long; returns how many were moved.

    well   `second` took what it was last given; else it gets a single one to try, if it has none
    """
    row = connection.execute("SELECT since_ns FROM breaker WHERE destination=?", (first,)).fetchone()
    if row is None or not row[0] or now_ns - row[0] < after_ns:
        return 0
    found = _oldest(connection, first, MOST if well else 1 - _has_any(connection, second))
    connection.executemany("DELETE FROM delivery WHERE destination=? AND lane=? AND seq=?", [(first, lane, seq) for seq, lane, _ in found])
    inserted = connection.executemany(
        "INSERT OR IGNORE INTO delivery (destination, lane, seq, severity, reason) VALUES (?,?,?,?,?)",
        [(second, lane_of(severity), seq, severity, f"taken over from {first}") for seq, _, severity in found],
    ).rowcount
    tally.add(connection, "moved", {first: len(found)})
    tally.add(connection, "stored", {second: max(inserted, 0)})
    return len(found)


def _oldest(connection: sqlite3.Connection, destination: str, most: int) -> list[tuple[int, int, int]]:
    """Sequence, lane and severity of what was surely not taken. Of all lanes together: an incident may lie in several."""
    statement = "SELECT seq, lane, severity FROM delivery WHERE destination=? AND lane=? AND tried=0 ORDER BY seq LIMIT ?"
    found = [row for lane in Lane for row in connection.execute(statement, (destination, lane, most)).fetchall()]
    return sorted(found)[:most]


def _has_any(connection: sqlite3.Connection, destination: str) -> bool:
    return connection.execute("SELECT 1 FROM delivery WHERE destination=? LIMIT 1", (destination,)).fetchone() is not None
