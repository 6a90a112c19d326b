"""Which deliveries and dead letters are given up next, and giving them up. Plain functions of a connection.

What goes next is found bit by bit, between the transactions of others: what was seen in one is looked at again in the one that
gives it up. Only numbers are read of an event, so text that a flipped bit made invalid stops nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from gateway.contract import Severity
from gateway.outbox import tally
from gateway.outbox.ages import Shifts, recorded
from gateway.outbox.lease import EARLIEST_NS, drop_orphans
from gateway.outbox.ledger import note_more
from gateway.outbox.tally import LANES, Kind, Lane

CHUNK = 100
"""Rows given up in one step, not counting what goes with an opening."""
WINDOW = 5_000
"""Sequences looked at in one step."""
_LANES = {"delivery": f"AND d.lane IN {LANES}", "dead_letter": ""}
_FIRST = {
    table: f"SELECT min((SELECT seq FROM {table} d WHERE d.destination=t.destination {lane} AND d.seq>=? ORDER BY seq LIMIT 1)) "
    f"FROM tally t CROSS JOIN json_each('{lanes}') l WHERE t.what='stored'"
    for table, lane, lanes in (("delivery", "AND d.lane=l.value", list(map(int, Lane))), ("dead_letter", "", [0]))
}
"""The lowest sequence from there on; one look at the key per destination and lane."""
_UNDECIDED = f"d.kind={int(Kind.PARKED)} AND d.replaced_by=''"
_REST = (
    "event r CROSS JOIN delivery w WHERE e.id = e.correlationid || '-0001' AND r.id > e.id AND r.id < e.correlationid || '.' "
    f"AND w.destination=:destination AND w.lane IN {LANES} AND w.seq=r.seq"
)
"""What waits of the incident that e opened; nothing, if e opened none."""
_MAY_GO = f"e.type NOT LIKE '%.cleared.v%' AND NOT EXISTS (SELECT 1 FROM {_REST} AND w.severity>:severity)"


class Row(NamedTuple):
    """A delivery or a dead letter."""

    destination: str
    seq: int
    time_ns: int


def too_old(connection: sqlite3.Connection, before_ns: int, shifts: Shifts = ()) -> Iterator[tuple[str, list[Row]]]:
    """What was recorded before, and of which table. Looks at the old end only: a million events that are young enough cost nothing."""
    after = 0
    while True:
        statement = "SELECT seq, recorded_ns FROM event WHERE seq>? ORDER BY seq LIMIT ?"
        seen = connection.execute(statement, (after, CHUNK)).fetchall()
        old = list(takewhile(lambda row: recorded(row[0], row[1], shifts) < before_ns, seen))
        known = [seq for seq, recorded_ns in old if recorded_ns >= EARLIEST_NS]
        if old:
            for table in _LANES:
                yield table, [row for name in tally.destinations(connection) for row in _still(connection, table, name, known, "1")]
        if not old or len(old) < len(seen):
            return
        after = old[-1][0]


def in_order(connection: sqlite3.Connection) -> Iterator[tuple[str, list[Row]]]:
    """What goes next for room, and of which table; no rows: it was only looked for."""
    yield from _walk(connection, "dead_letter", f"NOT ({_UNDECIDED})")
    for severity in sorted(Severity):
        if severity is Severity.CRITICAL:
            yield from _walk(connection, "dead_letter", "1")
        yield from _walk(connection, "delivery", f"d.severity<={int(severity)}", severity)


def _walk(connection: sqlite3.Connection, table: str, where: str, severity: int = 0) -> Iterator[tuple[str, list[Row]]]:
    """Oldest first, over all destinations."""
    joined = f"tally t CROSS JOIN {table} d ON d.destination=t.destination {_LANES[table]}"
    low = 0
    while (row := connection.execute(_FIRST[table], (low,)).fetchone())[0] is not None:
        low = row[0]
        within = f"SELECT t.destination, d.seq FROM {joined} WHERE t.what='stored' AND d.seq>=? AND d.seq<? AND {where} ORDER BY d.seq"
        found = connection.execute(within, (low, low + WINDOW)).fetchall()
        yield table, []
        for start in range(0, len(found), CHUNK):
            yield table, _able(connection, table, found[start : start + CHUNK], where, severity)
        low += WINDOW


def _able(connection: sqlite3.Connection, table: str, found: Sequence[tuple[str, int]], where: str, severity: int) -> list[Row]:
    """Of these, what is still there and may go, with what goes with it."""
    rows: list[Row] = []
    for destination in dict.fromkeys(name for name, _ in found):
        sequences = [seq for name, seq in found if name == destination]
        if table == "dead_letter":
            rows += _still(connection, table, destination, sequences, where)
            continue
        go = _still(connection, table, destination, sequences, f"{where} AND {_MAY_GO}", severity)
        rows += dict.fromkeys([*go, *_with_openings(connection, destination, [row.seq for row in go])])
    return rows


def _still(
    connection: sqlite3.Connection, table: str, destination: str, sequences: Sequence[int], where: str, severity: int = 0
) -> list[Row]:
    statement = (
        f"SELECT d.seq, e.time_ns FROM json_each(:sequences) c CROSS JOIN {table} d ON d.destination=:destination "
        f"{_LANES[table]} AND d.seq=c.value CROSS JOIN event e ON e.seq=d.seq WHERE {where}"
    )
    about = {"sequences": json.dumps(sequences), "destination": destination, "severity": severity}
    return [Row(destination, *row) for row in connection.execute(statement, about).fetchall()]


def _with_openings(connection: sqlite3.Connection, destination: str, sequences: Sequence[int]) -> list[Row]:
    statement = f"SELECT w.seq, r.time_ns FROM json_each(:sequences) c CROSS JOIN event e ON e.seq=c.value CROSS JOIN {_REST}"
    about = {"sequences": json.dumps(sequences), "destination": destination}
    return [Row(destination, *row) for row in connection.execute(statement, about).fetchall()]


def give_up(connection: sqlite3.Connection, table: str, what: str, reason: str, rows: Sequence[Row], now_ns: int) -> int:
    """Delete them, and the events nobody waits for any more; counted as `what` in the tally, with the reason in the ledger."""
    deleted = f"DELETE FROM {table} WHERE destination=? AND seq=? {_LANES[table].replace('d.', '')}"
    connection.executemany(deleted, [row[:2] for row in rows])
    counts = Counter(row.destination for row in rows)
    tally.add(connection, what, counts)
    for destination, count in counts.items():
        mine = [row for row in rows if row.destination == destination]
        drop_orphans(connection, destination, [row.seq for row in mine])
        times = [row.time_ns for row in mine]
        stretch = {"from_ns": min(times), "to_ns": max(times)}
        note_more(connection, what="events", name=destination, **stretch, count=count, reason=reason, now_ns=now_ns)
    return len(rows)
