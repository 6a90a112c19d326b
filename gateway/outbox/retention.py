"""The caps of the outbox: bytes, free disk and age. What is sacrificed is declared, counted and written into the ledger.

Order of sacrifice: what is kept of incidents that are over (it is only shown, while an event still has to arrive); then the
lowest severity first, oldest first. Never the closing event of an incident whose opening was sent: a case that nobody closes
is worse than one that came late. When an opening goes, what waits of its incident goes with it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import Any

from gateway.contract import Severity
from gateway.outbox import tally
from gateway.outbox.incidents import forget_oldest
from gateway.outbox.lease import EARLIEST_NS, drop_orphans
from gateway.outbox.ledger import note_loss

CHUNK = 500
_SLACK_BYTES = 64 << 20
WAL_BYTES = 16 << 20
"""What SQLite cuts the WAL back to after a checkpoint (`journal_size_limit`)."""
_CLOSING = "type LIKE '%.cleared.v%'"


@dataclass(frozen=True, slots=True)
class Caps:
    """max_bytes counts the WAL too; min_free_bytes is of the disk the file lies on; keep_ns is the age that is given up."""

    max_bytes: int
    min_free_bytes: int
    keep_ns: int


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use and of the WAL. Free pages do not count: they are used again before the file grows."""
    return _page_bytes(connection) + wal_bytes(connection)


def _page_bytes(connection: sqlite3.Connection) -> int:
    return _pages(connection)[0]


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of pages in use, and of free ones."""
    size, count, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_size", "page_count", "freelist_count"))
    return size * (count - free), size * free


def wal_bytes(connection: sqlite3.Connection) -> int:
    """Of the file beside."""
    path = file_of(connection)
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def file_of(connection: sqlite3.Connection) -> Path:
    """Where the database lies; the current folder for one in memory, which has no size to speak of."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])


def allowed_bytes(connection: sqlite3.Connection, caps: Caps) -> int:
    """The cap, or what is there now as soon as the disk has less free than it must have: the file may not grow then."""
    if not caps.min_free_bytes:
        return caps.max_bytes
    missing = caps.min_free_bytes - disk_usage(file_of(connection).parent).free
    # Free pages count here: giving up events makes pages free but no disk, so a shortage must not be paid for again and again.
    taken = sum(_pages(connection)) + wal_bytes(connection)
    return caps.max_bytes if missing <= 0 else min(caps.max_bytes, max(1 << 20, taken - missing))


def enforce(connection: sqlite3.Connection, caps: Caps, now_ns: int) -> int:
    """Bring the outbox under its caps; returns the number of deliveries given up."""
    given_up = _age(connection, now_ns - caps.keep_ns, now_ns)
    allowed = allowed_bytes(connection, caps)
    reason = f"evicted: {'max' if allowed == caps.max_bytes else 'min_free'}_megabytes"
    # Deleting makes the WAL longer, and a reader keeps it from being reset: neither may be paid for with more events. So it counts
    # as it is now, and no more than it is cut back to once nobody reads.
    allowed -= min(wal_bytes(connection), WAL_BYTES)
    while _page_bytes(connection) > allowed and forget_oldest(connection, CHUNK):
        continue
    while _page_bytes(connection) > allowed:
        count = _sacrifice(connection, reason, now_ns)
        if not count:
            break
        given_up += count
    return given_up


def give_back(connection: sqlite3.Connection) -> None:
    """Return a little of a large unused rest of the file to the disk; a small one is kept for the next outage."""
    page_size, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
    surplus = int(free) - _SLACK_BYTES // int(page_size)
    if surplus > 0:
        connection.execute(f"PRAGMA incremental_vacuum({min(surplus, 4096)})").fetchall()


def _age(connection: sqlite3.Connection, before_ns: int, now_ns: int) -> int:
    """Looks at the old end only: a million events that are young enough cost nothing."""
    young = connection.execute("SELECT seq FROM event WHERE recorded_ns >= ? ORDER BY seq LIMIT 1", (before_ns,)).fetchone()
    bounds = (EARLIEST_NS, before_ns - 1, young[0] if young else (1 << 63) - 1)
    given_up = 0
    for table in ("delivery", "dead_letter"):
        where = "e.recorded_ns BETWEEN ? AND ? AND e.seq < ?"
        statement = f"SELECT d.destination, e.seq, e.time_ns FROM event e JOIN {table} d ON d.seq=e.seq AND d.destination IN "
        statement += f"(SELECT destination FROM tally WHERE what='stored') {_lanes(table)} WHERE {where}"
        rows = connection.execute(statement, bounds).fetchall()
        given_up += _give_up(connection, table, "aged", "expired: older than keep_events_days", rows, now_ns)
    return given_up


def _lanes(table: str) -> str:
    return f"AND d.lane IN {tally.LANES}" if table == "delivery" else ""


def _sacrifice(connection: sqlite3.Connection, reason: str, now_ns: int) -> int:
    for severity in sorted(Severity):
        rows = _victims(connection, severity)
        if rows:
            return _give_up(connection, "delivery", "evicted", reason, rows, now_ns)
    dead = "SELECT d.destination, d.seq, e.time_ns FROM dead_letter d JOIN event e USING (seq) ORDER BY d.seq LIMIT ?"
    return _give_up(connection, "dead_letter", "evicted", reason, connection.execute(dead, (CHUNK,)).fetchall(), now_ns)


def _victims(connection: sqlite3.Connection, severity: Severity) -> list[Any]:
    """The oldest of a severity that may go, and with each opening the rest of its incident that waits for the same destination."""
    rows = connection.execute(
        "SELECT d.destination, d.seq, e.time_ns, e.id, e.correlationid FROM delivery d CROSS JOIN event e USING (seq) "
        f"WHERE d.severity=? AND NOT {_CLOSING} ORDER BY d.seq LIMIT ?",
        (int(severity), CHUNK),
    ).fetchall()
    victims = {row[:2]: row[:3] for row in rows}
    for destination, _, _, identity, incident in rows:
        if incident and identity.endswith("-0001"):
            rest = connection.execute(
                "SELECT e.seq, e.time_ns FROM event e CROSS JOIN delivery d "
                f"ON d.destination=? AND d.lane IN {tally.LANES} AND d.seq=e.seq WHERE e.id>? AND e.id<?",
                (destination, identity, f"{incident}."),
            ).fetchall()
            victims |= {(destination, seq): (destination, seq, time_ns) for seq, time_ns in rest}
    return list(victims.values())


def _give_up(connection: sqlite3.Connection, table: str, what: str, reason: str, rows: list[Any], now_ns: int) -> int:
    connection.executemany(
        f"DELETE FROM {table} WHERE destination=? AND seq=? {_lanes(table).replace('d.', '')}",
        [row[:2] for row in rows],
    )
    counts = Counter(row[0] for row in rows)
    tally.add(connection, what, counts)
    for destination, count in counts.items():
        mine = [row for row in rows if row[0] == destination]
        drop_orphans(connection, destination, [row[1] for row in mine])
        times = [row[2] for row in mine]
        note_loss(
            connection, what="events", name=destination, from_ns=min(times), to_ns=max(times), count=count, reason=reason, now_ns=now_ns
        )
    return len(rows)
