"""A destination takes over what another one cannot be given, or what waits for one that is gone. Plain functions of a connection.

Each event belongs to one of the two at any time: it is moved in one transaction, and only while the first one surely has not
taken it. So nothing is sent twice when the first one comes back; what was moved stays moved.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway.outbox import tally
from gateway.outbox.tally import LANES, Lane, lane_of

MOST = 2000
"""Deliveries per transaction."""


class _Waiting(NamedTuple):
    """Of a delivery, what goes along."""

    seq: int
    lane: int
    severity: int
    tried: int
    kept: int


def take_over(connection: sqlite3.Connection, first: str, second: str, *, after_ns: int, now_ns: int, well: bool = True) -> int:
    """Move what waits for `first` to `second`, the oldest first, if `first` took nothing for so long; returns how many were moved.

    well   `second` took what it was last given; else it gets a single one to try, if it has none
    """
    row = connection.execute("SELECT since_ns FROM breaker WHERE destination=?", (first,)).fetchone()
    if row is None or not row[0] or now_ns - row[0] < after_ns:
        return 0
    found = _oldest(connection, first, MOST if well else 1 - _has_any(connection, second), "AND tried=0")
    return _hand_over(connection, first, second, found, f"taken over from {first}")


def move(connection: sqlite3.Connection, old: str, new: str) -> int:
    """Move what waits for a destination that is not configured any more, `MOST` at a time, the oldest first; returns how many were
    moved. What `new` has already, waiting or as a dead letter, it gets no second time; what `old` may have taken, `new` may have, too: a
    renamed one is the same receiver.
    """
    return _hand_over(connection, old, new, _oldest(connection, old, MOST), f"moved from {old}")


def _hand_over(connection: sqlite3.Connection, first: str, second: str, found: list[_Waiting], why: str) -> int:
    connection.executemany(
        "DELETE FROM delivery WHERE destination=? AND lane=? AND seq=?", [(first, each.lane, each.seq) for each in found]
    )
    inserted = connection.executemany(
        "INSERT INTO delivery (destination, lane, seq, severity, tried, reason, kept) "
        "SELECT :to, :lane, :seq, :severity, :tried, :why, :kept WHERE NOT EXISTS "
        f"(SELECT 1 FROM delivery WHERE destination=:to AND lane IN {LANES} AND seq=:seq) "
        "AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE destination=:to AND seq=:seq)",
        [each._asdict() | {"to": second, "lane": lane_of(each.severity), "why": why} for each in found],
    ).rowcount
    tally.add(connection, "moved", {first: len(found)})
    tally.add(connection, "stored", {second: max(inserted, 0)})
    return len(found)


def _oldest(connection: sqlite3.Connection, destination: str, most: int, which: str = "") -> list[_Waiting]:
    """Of all lanes together: an incident may lie in several. ``AND tried=0``: what was surely not taken."""
    statement = f"SELECT seq, lane, severity, tried>0, kept FROM delivery WHERE destination=? AND lane=? {which} ORDER BY seq LIMIT ?"
    found = [_Waiting(*row) for lane in Lane for row in connection.execute(statement, (destination, lane, most)).fetchall()]
    return sorted(found)[:most]


def _has_any(connection: sqlite3.Connection, destination: str) -> bool:
    return connection.execute("SELECT 1 FROM delivery WHERE destination=? LIMIT 1", (destination,)).fetchone() is not None
