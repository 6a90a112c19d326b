"""What watches on trial would have raised, in the outbox's file. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

KEEP_NS = 30 * 86_400_000_000_000
MOST = 10_000
"""The newest that are kept."""


class ShadowAlarm(NamedTuple):
    """`id` is that of the incident it would have been."""

    watch: str
    id: str
    machine: str
    condition: str
    at_ns: int
    title: str


def keep(connection: sqlite3.Connection, alarms: Iterable[ShadowAlarm]) -> None:
    """One that began before a restart and goes on is kept once."""
    connection.executemany("INSERT OR IGNORE INTO shadow_alarm (watch, id, machine, condition, at_ns, title) VALUES (?,?,?,?,?,?)", alarms)


def counts(connection: sqlite3.Connection, since_ns: int) -> dict[str, int]:
    """By watch."""
    return dict(connection.execute("SELECT watch, count(*) FROM shadow_alarm WHERE at_ns>=? GROUP BY watch", (since_ns,)).fetchall())


def recent(connection: sqlite3.Connection, watch: str, limit: int) -> list[ShadowAlarm]:
    """The latest first."""
    columns = ", ".join(ShadowAlarm._fields)
    rows = connection.execute(f"SELECT {columns} FROM shadow_alarm WHERE watch=? ORDER BY at_ns DESC LIMIT ?", (watch, limit))
    return [ShadowAlarm(*row) for row in rows]


def forget(connection: sqlite3.Connection, now_ns: int) -> None:
    """The old ones, and those that are too many."""
    connection.execute("DELETE FROM shadow_alarm WHERE at_ns<?", (now_ns - KEEP_NS,))
    connection.execute(
        "DELETE FROM shadow_alarm WHERE (watch, id) IN (SELECT watch, id FROM shadow_alarm ORDER BY at_ns DESC LIMIT -1 OFFSET ?)", (MOST,)
    )
