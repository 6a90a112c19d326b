"""The loss ledger: from, to, how much, why, and how much of it came later after all. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

MOST_LINES = 50_000
"""The newest lines that are kept."""
_RECENT = 100
"""Of these the last ones."""
GATEWAY = "gateway"
NOT_RUNNING = "the gateway was not running"
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    to_ns    0: it goes on
    count    None: nobody knows how many there would have been
    filled   how many of them came later (backfill, a dead letter sent again)
    """

    recorded_ns: int
    what: str
    name: str
    from_ns: int
    to_ns: int
    count: int | None
    reason: str
    filled: int


def note_loss(
    connection: sqlite3.Connection, *, what: str, name: str, from_ns: int, to_ns: int, count: int | None, reason: str, now_ns: int
) -> None:
    """One line."""
    connection.execute(
        "INSERT INTO ledger (recorded_ns, what, name, from_ns, to_ns, count, reason) VALUES (?,?,?,?,?,?,?)",
        (now_ns, what, name, from_ns, to_ns, count, reason),
    )


def note_more(
    connection: sqlite3.Connection, *, what: str, name: str, from_ns: int, to_ns: int, count: int, reason: str, now_ns: int
) -> None:
    """More of a loss that is written down bit by bit: what has the same time of writing is one line."""
    done = connection.execute(
        "UPDATE ledger SET from_ns=min(from_ns, ?), to_ns=max(to_ns, ?), count=count+? "
        "WHERE id > (SELECT max(id) FROM ledger) - ? AND recorded_ns=? AND what=? AND name=? AND reason=?",
        (from_ns, to_ns, count, _RECENT, now_ns, what, name, reason),
    )
    if not done.rowcount:
        note_loss(connection, what=what, name=name, from_ns=from_ns, to_ns=to_ns, count=count, reason=reason, now_ns=now_ns)


def begin_gap(connection: sqlite3.Connection, *, what: str, name: str, from_ns: int, reason: str, now_ns: int) -> None:
    """A loss that goes on; a second one of the same kind at the same time is not written."""
    open_line = connection.execute("SELECT 1 FROM ledger WHERE what=? AND name=? AND reason=? AND to_ns=0", (what, name, reason)).fetchone()
    if open_line is None:
        note_loss(connection, what=what, name=name, from_ns=from_ns, to_ns=0, count=None, reason=reason, now_ns=now_ns)


def end_gap(connection: sqlite3.Connection, *, what: str, name: str, to_ns: int, count: int | None, reason: str) -> None:
    """It is over; `count` of them were lost."""
    connection.execute(
        "UPDATE ledger SET to_ns=max(?, from_ns), count=? WHERE what=? AND name=? AND reason=? AND to_ns=0",
        (to_ns, count, what, name, reason),
    )


def fill(connection: sqlite3.Connection, *, what: str, name: str, from_ns: int, to_ns: int, count: int) -> int:
    """`count` of what was lost between came later; returns the number of lines it belongs to."""
    rows = connection.execute(
        "SELECT id FROM ledger WHERE what=? AND name=? AND from_ns<=? AND (to_ns=0 OR to_ns>=?) ORDER BY id", (what, name, to_ns, from_ns)
    ).fetchall()
    if rows:
        connection.execute("UPDATE ledger SET filled=filled+? WHERE id=?", (count, rows[-1][0]))
    return len(rows)


def shorten(connection: sqlite3.Connection) -> None:
    """A ledger that has grown too long loses its oldest lines."""
    connection.execute("DELETE FROM ledger WHERE id <= (SELECT max(id) FROM ledger) - ?", (MOST_LINES,))


def lines(connection: sqlite3.Connection, since_ns: int = 0) -> list[Line]:
    """What was lost since, oldest first."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT recorded_ns, what, name, from_ns, to_ns, count, reason, filled FROM ledger WHERE to_ns=0 OR to_ns>=? ORDER BY id",
        (since_ns,),
    ).fetchall()
    return [Line(*row) for row in rows]


def seen_alive(connection: sqlite3.Connection, now_ns: int) -> None:
    """Every few minutes, so that the next start knows how long nothing was read."""
    connection.execute("INSERT OR REPLACE INTO note VALUES ('alive_ns', ?)", (str(now_ns),))


def last_alive_ns(connection: sqlite3.Connection) -> int:
    """When the gateway was last seen running; 0: never."""
    row = connection.execute("SELECT value FROM note WHERE name='alive_ns'").fetchone()
    return int(row[0]) if row else 0


def note_absence(connection: sqlite3.Connection, now_ns: int) -> float:
    """At the start: write down how long the gateway was away; returns the seconds, 0 at the very first one."""
    last_ns = last_alive_ns(connection) or now_ns
    connection.execute("UPDATE ledger SET to_ns=max(from_ns, ?) WHERE to_ns=0", (last_ns,))
    if now_ns > last_ns:
        note_loss(connection, what="readings", name=GATEWAY, from_ns=last_ns, to_ns=now_ns, count=None, reason=NOT_RUNNING, now_ns=now_ns)
    seen_alive(connection, now_ns)
    return max(0, now_ns - last_ns) / 1e9
