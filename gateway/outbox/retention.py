"""The caps of the outbox: bytes and age. What is sacrificed is declared, counted and written into the ledger.

Order of sacrifice: lowest severity first, oldest first; never the closing event of an incident (its opening may have
been delivered, and a case that nobody closes is worse than a case that came late).
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from gateway.outbox.operations import READY, drop_orphans, note_loss, tally

CHUNK = 500


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use (free pages are reused, so the file itself does not shrink)."""
    page_size, pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count"))
    return int(page_size) * (int(pages) - int(free))


def enforce(connection: sqlite3.Connection, *, max_bytes: int, keep_ns: int, now_ns: int) -> int:
    """Bring the outbox under its caps; returns the number of deliveries given up."""
    given_up = _give_up(connection, "expired", "older than keep_events_days", "e.recorded_ns < ?", (now_ns - keep_ns,), None, now_ns)
    while used_bytes(connection) > max_bytes:
        count = _give_up(connection, "dropped", "max_megabytes", "e.type NOT LIKE '%.cleared.v%'", (), CHUNK, now_ns)
        if not count:
            break
        given_up += count
    return given_up


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
