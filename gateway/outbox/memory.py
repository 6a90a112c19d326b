"""What a sender remembers over a restart: breaker, budget, machines set aside. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from gateway.outbox.breaker import WELL, Memory
from gateway.outbox.budget import Filling
from gateway.outbox.pick import STEP
from gateway.outbox.tally import Lane, lane_of

Why: TypeAlias = Literal["refused", "budget"]
ALL = (1 << 63) - 1


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
    """From now on the machine's events step aside when their turn comes, see pick.py."""
    connection.execute("INSERT OR REPLACE INTO aside VALUES (?,?,?,?)", (destination, *entry))


def due(connection: sqlite3.Connection, destination: str) -> None:
    """The machines it refused are tried now."""
    connection.execute("UPDATE aside SET until_ns=0 WHERE destination=? AND why='refused'", (destination,))


def take_back(connection: sqlite3.Connection, destination: str, machine: str, why: Why, before: int = ALL) -> int:
    """One step of it: of the deliveries before that sequence, the newest go back where they belong.

    Returns where the next step begins; 0: all of them are back, and the machine is set aside no more. The newest first, and the
    entry last: whatever ends it halfway, what is still aside is older than what is not. A machine set aside for another reason
    meanwhile stays.
    """
    is_aside = "SELECT 1 FROM aside WHERE destination=? AND machine=? AND why=?"
    if connection.execute(is_aside, (destination, machine, why)).fetchone() is None:
        return 0
    statement = (
        "SELECT d.seq, d.severity, e.partitionkey=? FROM delivery d CROSS JOIN event e USING (seq) "
        "WHERE d.destination=? AND d.lane=? AND d.seq<? ORDER BY d.seq DESC LIMIT ?"
    )
    looked_at = connection.execute(statement, (machine, destination, Lane.ASIDE, before, STEP)).fetchall()
    connection.executemany(
        "UPDATE delivery SET lane=? WHERE destination=? AND lane=? AND seq=?",
        [(lane_of(severity), destination, Lane.ASIDE, seq) for seq, severity, its in looked_at if its],
    )
    if len(looked_at) == STEP:
        return int(looked_at[-1][0])
    connection.execute("DELETE FROM aside WHERE destination=? AND machine=?", (destination, machine))
    return 0


def aside(connection: sqlite3.Connection, destination: str) -> list[SetAside]:
    rows = connection.execute("SELECT machine, until_ns, why FROM aside WHERE destination=? ORDER BY machine", (destination,))
    return [SetAside(*row) for row in rows.fetchall()]
