"""What a sender remembers over a restart: breaker, budget, machines set aside. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from gateway.contract import Severity
from gateway.outbox.breaker import WELL, Memory
from gateway.outbox.budget import Filling
from gateway.outbox.tally import LANES, Lane

Why: TypeAlias = Literal["refused", "budget"]


class SetAside(NamedTuple):
    """A machine whose events wait; `until_ns` is wall time."""

    machine: str
    until_ns: int
    why: Why


def breaker(connection: sqlite3.Connection, destination: str) -> Memory:
    row = connection.execute("SELECT failures, held, ready_ns, since_ns, why FROM breaker WHERE destination=?", (destination,)).fetchone()
    return WELL if row is None else Memory(row[0], bool(row[1]), *row[2:])


def keep_breaker(connection: sqlite3.Connection, destination: str, memory: Memory) -> None:
    if memory == WELL:
        connection.execute("DELETE FROM breaker WHERE destination=?", (destination,))
    else:
        connection.execute("INSERT OR REPLACE INTO breaker VALUES (?,?,?,?,?,?)", (destination, *memory))


def fillings(connection: sqlite3.Connection, destination: str) -> list[Filling]:
    rows = connection.execute("SELECT bucket, tokens, at_ns FROM budget WHERE destination=?", (destination,))
    return [Filling(*row) for row in rows.fetchall()]


def keep_fillings(connection: sqlite3.Connection, destination: str, filled: Sequence[Filling]) -> None:
    connection.executemany("INSERT OR REPLACE INTO budget VALUES (?,?,?,?)", [(destination, *filling) for filling in filled])


def set_aside(connection: sqlite3.Connection, destination: str, entry: SetAside) -> None:
    """From now on the machine's events wait in a lane of their own; those that wait already go there too."""
    new = connection.execute("SELECT 1 FROM aside WHERE destination=? AND machine=?", (destination, entry.machine)).fetchone() is None
    connection.execute("INSERT OR REPLACE INTO aside VALUES (?,?,?,?)", (destination, *entry))
    if new:
        waiting = "SELECT d.seq FROM delivery d CROSS JOIN event e USING (seq) WHERE d.destination=? AND d.lane<? AND e.partitionkey=?"
        sequences = connection.execute(waiting, (destination, Lane.ASIDE, entry.machine)).fetchall()
        connection.executemany(
            f"UPDATE delivery SET lane=? WHERE destination=? AND lane IN {LANES} AND seq=?",
            [(Lane.ASIDE, destination, seq) for (seq,) in sequences],
        )


def take_back(connection: sqlite3.Connection, destination: str, machine: str) -> None:
    """Its events go on where they belong."""
    connection.execute("DELETE FROM aside WHERE destination=? AND machine=?", (destination, machine))
    waiting = "SELECT d.seq FROM delivery d CROSS JOIN event e USING (seq) WHERE d.destination=? AND d.lane=? AND e.partitionkey=?"
    sequences = connection.execute(waiting, (destination, Lane.ASIDE, machine)).fetchall()
    connection.executemany(
        "UPDATE delivery SET lane=iif(severity>=?, ?, ?) WHERE destination=? AND lane=? AND seq=?",
        [(int(Severity.CRITICAL), Lane.URGENT, Lane.ORDERED, destination, Lane.ASIDE, seq) for (seq,) in sequences],
    )


def aside(connection: sqlite3.Connection, destination: str) -> list[SetAside]:
    rows = connection.execute("SELECT machine, until_ns, why FROM aside WHERE destination=? ORDER BY machine", (destination,))
    return [SetAside(*row) for row in rows.fetchall()]
