"""Who changed what by hand: thresholds, dead letters. Plain functions of a connection."""

from __future__ import annotations

import sqlite3

MOST = 100_000
"""The newest entries that are kept."""


def audit(connection: sqlite3.Connection, *, who: str, what: str, name: str, before: str, after: str, now_ns: int) -> None:
    """Who changed what."""
    connection.execute(
        "INSERT INTO audit (at_ns, who, what, name, before, after) VALUES (?,?,?,?,?,?)", (now_ns, who, what, name, before, after)
    )


def shorten(connection: sqlite3.Connection) -> None:
    """Forget the oldest when there are too many."""
    connection.execute("DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", (MOST,))
