"""Leases: what a sender is given to send, and what came of it. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.contract import Event, Outcome, OutcomeKind
from gateway.outbox import tally
from gateway.outbox.ages import Shifts, recorded
from gateway.outbox.pick import Place, Wanted, pick
from gateway.outbox.rows import from_row
from gateway.outbox.tally import LANES, Kind, Lane

_DONE = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)
EARLIEST_NS = 1_420_070_400_000_000_000
"""2015-01-01: an event recorded before was recorded before the clock was set; its age is not known."""
MOST_EXPIRE = 2000
"""Deliveries per transaction, about: after a long outage all that waits may be too old."""


def lease(
    connection: sqlite3.Connection, destination: str, wanted: Wanted, now_ns: int, place: Place | None = None
) -> list[Event] | Place | None:
    """The next events, in the order they shall be sent. Damaged rows are quarantined and old ones expire on the way.

    A place, or None, the beginning: nothing was found so far; go on there, so that others get the writer between.
    """
    if wanted.max_age_ns and _expire(connection, destination, wanted, now_ns) >= MOST_EXPIRE:
        return place
    rows = pick(connection, destination, wanted, place)
    if isinstance(rows, Place):
        return rows
    events = _sound(connection, destination, rows, now_ns)
    if wanted.mark and events:
        _mark(connection, destination, [event.sequence for event in events], before=0, tried=wanted.mark)
    return events


def _sound(connection: sqlite3.Connection, destination: str, rows: Iterable[Any], now_ns: int) -> list[Event]:
    events = []
    for row in rows:
        event = from_row(row)
        if event is None:
            bury(connection, destination, [row[0]], Kind.QUARANTINED, now_ns, reason="the stored row is damaged (checksum)")
        else:
            events.append(event)
    return events


def _expire(connection: sqlite3.Connection, destination: str, wanted: Wanted, now_ns: int) -> int:
    """Looks at the old end of each lane only: a million events that are young enough cost nothing. Returns how many were not."""
    oldest_ns, expired = now_ns - wanted.max_age_ns, 0
    for lane in Lane:
        while expired < MOST_EXPIRE:
            rows = connection.execute(
                "SELECT d.seq, e.recorded_ns FROM delivery d CROSS JOIN event e USING (seq) "
                "WHERE d.destination=? AND d.lane=? AND d.kept=0 ORDER BY d.seq LIMIT 500",
                (destination, lane),
            ).fetchall()
            old = [seq for seq, at_ns in rows if at_ns >= EARLIEST_NS and recorded(seq, at_ns, wanted.shifts) < oldest_ns]
            if old:
                bury(connection, destination, old, Kind.EXPIRED, now_ns, reason="older than max_age")
            expired += len(old)
            if len(old) < len(rows) or not rows:
                break
    return expired


def bury(
    connection: sqlite3.Connection, destination: str, sequences: Sequence[int], kind: Kind, now_ns: int, *, reason: str, code: str = ""
) -> None:
    """Deliveries become dead letters; what is one already stays as it is."""
    connection.executemany(
        "INSERT OR IGNORE INTO dead_letter (destination, seq, kind, at_ns, attempts, code, reason) "
        f"SELECT destination, seq, ?, ?, attempts + 1, ?, ? FROM delivery WHERE destination=? AND lane IN {LANES} AND seq=?",
        [(kind, now_ns, code[:200], reason[:500], destination, seq) for seq in sequences],
    )
    _delete(connection, destination, sequences)


def settle(
    connection: sqlite3.Connection, destination: str, events: Sequence[Event], outcomes: Sequence[Outcome], now_ns: int, mark: int = 0
) -> None:
    """Write down what came of a batch: delivered rows go, parked ones become dead letters, the others wait. `mark`: that of their lease.

    Doing it twice is the same as once: what counts as delivered is the rows that were still there.
    """
    done, waits = [], []
    for event, outcome in zip(events, outcomes, strict=True):
        if outcome.kind in _DONE:
            done.append(event.sequence)
        elif outcome.kind is OutcomeKind.PARK:
            bury(connection, destination, [event.sequence], Kind.PARKED, now_ns, reason=outcome.reason, code=outcome.code)
        else:
            waits.append((int(outcome.unknown), mark, outcome.reason[:500], destination, event.sequence))
    if waits:
        statement = (
            "UPDATE delivery SET attempts=attempts+1, tried=CASE WHEN ? THEN 1 WHEN tried=? THEN 0 ELSE tried END, reason=? "
            f"WHERE destination=? AND lane IN {LANES} AND seq=?"
        )
        connection.executemany(statement, waits)
    if done:
        tally.add(connection, "delivered", {destination: remove(connection, destination, done)})


def untried(connection: sqlite3.Connection, destination: str, sequences: Sequence[int], mark: int) -> None:
    """Nothing of them was taken since they were marked. What an earlier attempt may have brought there, nobody knows still."""
    _mark(connection, destination, sequences, before=mark, tried=0)


def doubt(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> None:
    """They were sent, and nobody will hear what came of it."""
    statement = f"UPDATE delivery SET tried=1 WHERE destination=? AND lane IN {LANES} AND seq=?"
    connection.executemany(statement, [(destination, seq) for seq in sequences])


def _mark(connection: sqlite3.Connection, destination: str, sequences: Sequence[int], *, before: int, tried: int) -> None:
    statement = f"UPDATE delivery SET tried=? WHERE destination=? AND lane IN {LANES} AND seq=? AND tried=?"
    connection.executemany(statement, [(tried, destination, seq, before) for seq in sequences])


def remove(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> int:
    """Delete deliveries, and the events nobody waits for any more; returns how many deliveries there were."""
    count = _delete(connection, destination, sequences)
    _drop(connection, destination, sequences, unless=_BURIED.format("?1"))  # its deliveries are gone, so they are not looked for
    return count


def _delete(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> int:
    which, each = _each(sequences)
    statement = f"DELETE FROM delivery WHERE destination=? AND lane IN {LANES} AND {which}"
    return connection.executemany(statement, [(destination, *bounds) for bounds in each]).rowcount


def drop_orphans(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> None:
    """Delete events that this destination has done with, unless another one still has them, waiting or as a dead letter."""
    _drop(connection, destination, sequences, unless=holds("?1"))


def _drop(connection: sqlite3.Connection, destination: str, sequences: Sequence[int], *, unless: str) -> None:
    which, each = _each(sequences)
    statement = (
        f"DELETE FROM event WHERE NOT {unless} AND {which} "
        f"AND (copies=1 OR NOT EXISTS (SELECT 1 FROM tally t WHERE t.what='stored' AND {holds('t.destination')}))"
    )
    connection.executemany(statement, [(destination, *bounds) for bounds in each])


_WAITS = f"EXISTS (SELECT 1 FROM delivery WHERE destination={{0}} AND lane IN {LANES} AND seq=event.seq)"
_BURIED = "EXISTS (SELECT 1 FROM dead_letter WHERE destination={0} AND seq=event.seq)"


def holds(destination: str) -> str:
    """A condition on `event`: the destination has it, waiting or as a dead letter."""
    return f"({_WAITS} OR {_BURIED})".format(destination)


def _each(sequences: Sequence[int]) -> tuple[str, list[tuple[int, ...]]]:
    """A condition on `seq` and what to put into it: one range when nothing is missing, else one by one."""
    first, last = min(sequences), max(sequences)
    if last - first + 1 == len(sequences):
        return "seq BETWEEN ? AND ?", [(first, last)]
    return "seq=?", [(seq,) for seq in sequences]


def newest_waiting(connection: sqlite3.Connection, destination: str, before_ns: int, shifts: Shifts = ()) -> int:
    """Where the backlog ends: the sequence of the newest delivery in order that was recorded before; 0: there is none."""
    oldest = "SELECT seq FROM delivery WHERE destination=? AND lane=? ORDER BY seq LIMIT 1"
    row = connection.execute(oldest, (destination, Lane.ORDERED)).fetchone()
    if row is None:
        return 0
    at_ns = connection.execute("SELECT recorded_ns FROM event WHERE seq=?", row).fetchone()[0]
    if recorded(row[0], at_ns, shifts) >= before_ns:
        return 0
    row = connection.execute("SELECT max(seq) FROM delivery WHERE destination=? AND lane=?", (destination, Lane.ORDERED)).fetchone()
    return int(row[0])
