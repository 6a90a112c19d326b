"""The caps of the outbox: bytes and age. What is sacrificed is declared, counted and written into the ledger.

Order of sacrifice: lowest severity first, oldest first; never the closing event of an incident (its opening may have
been delivered, and a case that nobody closes is worse than a case that came late). Before any event, what is kept of
incidents that are over goes: it is only shown, while an event still has to arrive.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter

from gateway.outbox.incidents import forget_oldest
from gateway.outbox.operations import READY, drop_orphans, note_loss, tally

CHUNK = 500
EARLIEST_NS = 1_420_070_400_000_000_000
"""2015-01-01: an event recorded before was recorded before the clock was set; its age is not known."""


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use (free pages are reused, so the file itself does not shrink)."""
    page_size, pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count"))
    return int(page_size) * (int(pages) - int(free))


def enforce(connection: sqlite3.Connection, *, max_bytes: int, keep_ns: int, now_ns: int) -> int:
    """Bring the outbox under its caps; returns the number of deliveries given up."""
    given_up = _expire(connection, now_ns - keep_ns, now_ns)
    while used_bytes(connection) > max_bytes and forget_oldest(connection, CHUNK):
        continue
    while used_bytes(connection) > max_bytes:
        count = _give_up(connection, "dropped", "max_megabytes", "e.type NOT LIKE '%.cleared.v%'", (), CHUNK, now_ns)
        if not count:
            break
        given_up += count
    return given_up


def _expire(connection: sqlite3.Connection, before_ns: int, now_ns: int) -> int:
    """Looks at the old end only: a million events that are young enough cost nothing."""
    young = connection.execute("SELECT seq FROM event WHERE recorded_ns >= ? ORDER BY seq LIMIT 1", (before_ns,)).fetchone()
    where = "e.recorded_ns BETWEEN ? AND ? AND d.seq < ?"
    bounds = (EARLIEST_NS, before_ns - 1, young[0] if young else sys.maxsize)
    return _give_up(connection, "expired", "older than keep_events_days", where, bounds, None, now_ns)


def _give_up(
    connection: sqlite3.Connection, what: str, reason: str, where: str, parameters: tuple[int, ...], limit: int | None, now_ns: int
) -> int:
    rows = connection.execute(
        f"SELECT d.seq, d.destination, e.time_ns FROM delivery d JOIN event e USING (seq) WHERE d.state >= {READY} AND {where} "  # noqa: S608
        f"ORDER BY e.severity, d.seq {f'LIMIT {limit}' if limit else ''}",
        parameters,
    ).fetchall()
    if not rows:
        return 0
    connection.executemany("DELETE FROM delivery WHERE seq=? AND destination=?", [row[:2] for row in rows])
    drop_orphans(connection, {row[0] for row in rows})
    counts = Counter(row[1] for row in rows)
    tally(connection, what, counts)
    for destination, count in counts.items():
        times = [row[2] for row in rows if row[1] == destination]
        note_loss(
            connection, what="events", name=destination, from_ns=min(times), to_ns=max(times), count=count, reason=reason, now_ns=now_ns
        )
    return len(rows)
