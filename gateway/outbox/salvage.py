"""Takes over what can still be read of a damaged outbox file, row by row. Plain functions of two connections.

A row that cannot be read is found by halving the range it lies in. A row whose checksum is wrong is left behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from gateway.outbox import tally
from gateway.outbox.append import insert_many
from gateway.outbox.ledger import note_loss
from gateway.outbox.rows import COLUMNS, INSERT, from_row
from gateway.outbox.tally import LANES

REASON = "the outbox file was damaged"
_CHUNK = 500
_MOST_QUERIES = 200_000
_GAP = 100_000
"""Sequences left out when nobody knows the last one: none may be given twice."""
_PLAIN = ("label", "audit", "ledger")
_KEYED = ("breaker", "budget", "aside", "tuning", "note", "tally")


@dataclass
class Salvage:
    """What was taken over and what was not; `lost_events` is None when nobody knows how many there were."""

    events: int = 0
    incidents: int = 0
    lost_events: int | None = None
    lost_incidents: int = 0

    @property
    def unreadable(self) -> bool:
        """Nothing could be read: the new file begins with nothing, and the sequence with 1."""
        return not self.events and not self.incidents and self.lost_events is None


class _Reader:
    """Reads what can be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        self._queries = 0
        self.broken: set[str] = set()

    def span(self, table: str, key: str, where: str, first: int, last: int) -> Iterator[list[Any]]:
        """Chunks of `SELECT * FROM table WHERE where AND key BETWEEN ...`; what cannot be read is halved until it is one row."""
        ranges = [(first, last)]
        while ranges and self._queries < _MOST_QUERIES:
            low, high = ranges.pop()
            self._queries += 1
            statement = f"SELECT {key}, * FROM {table} WHERE {where} AND {key} BETWEEN ? AND ? ORDER BY {key} LIMIT {_CHUNK}"
            try:
                cursor = self._connection.execute(statement, (low, high))
                names = [column[0] for column in cursor.description][1:]
                rows = cursor.fetchall()
            except sqlite3.DatabaseError:
                self.broken.add(table)
                if low < high:
                    middle = (low + high) // 2
                    ranges += [(middle + 1, high), (low, middle)]
                continue
            if rows:
                yield [dict(zip(names, row[1:], strict=True)) for row in rows]
            if len(rows) == _CHUNK:
                ranges.append((rows[-1][0] + 1, high))

    def all(self, table: str) -> list[dict[str, Any]]:
        """A small table without a number, all or nothing."""
        try:
            cursor = self._connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except sqlite3.DatabaseError:
            self.broken.add(table)
            return []

    def number(self, statement: str) -> int | None:
        with suppress(sqlite3.DatabaseError):
            row = self._connection.execute(statement).fetchone()
            return int(row[0]) if row and row[0] is not None else None
        return None


def salvage(path: Path, target: sqlite3.Connection, destinations: Sequence[str], now_ns: int) -> Salvage:
    """Copy into the empty outbox `target`, in one transaction. A file that is no database at all gives nothing."""
    found = Salvage()
    try:
        source = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.DatabaseError:
        return found
    with closing(source):
        reader = _Reader(source)
        target.execute("BEGIN IMMEDIATE")
        last = reader.number("SELECT seq FROM sqlite_sequence WHERE name='event'")
        for table in _KEYED:
            _copy(target, table, reader.all(table))
        for table in _PLAIN:
            for rows in reader.span(table, _number(table), "1", 0, reader.number(f"SELECT max(rowid) FROM {table}") or 1 << 32):
                _copy(target, table, rows)
        _incidents(reader, target, found)
        _events(reader, target, found, last or reader.number("SELECT max(rowid) FROM event") or 1 << 32)
        _deliveries(reader, target, destinations, last or 1 << 32)
        _balance(reader, target, found, now_ns)
        _continue_sequence(target, last)
        target.execute("COMMIT")
    return found


def _number(table: str) -> str:
    return "id" if table == "ledger" else "number"


def _copy(target: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    if rows:
        names = list(rows[0])
        insert_many(target, f"INSERT OR IGNORE INTO {table} ({','.join(names)}) VALUES", [tuple(row.values()) for row in rows])


def _incidents(reader: _Reader, target: sqlite3.Connection, found: Salvage) -> None:
    for rows in reader.span("incident", "rowid", "1", 0, reader.number("SELECT max(rowid) FROM incident") or 1 << 24):
        sound = [row for row in rows if isinstance(row["body"], bytes) and crc32(row["body"]) == row["crc"]]
        _copy(target, "incident", sound)
        found.incidents += len(sound)
        found.lost_incidents += len(rows) - len(sound)


def _events(reader: _Reader, target: sqlite3.Connection, found: Salvage, last: int) -> None:
    for rows in reader.span("event", "seq", "1", 0, last):
        values = [tuple(row.get(name, "") for name in COLUMNS.split(",")) for row in rows]
        sound = [(*value, row.get("copies", 2)) for value, row in zip(values, rows, strict=True) if from_row(value) is not None]
        insert_many(target, INSERT.replace("INSERT INTO", "INSERT OR IGNORE INTO"), sound)
        found.events += len(sound)


def _deliveries(reader: _Reader, target: sqlite3.Connection, destinations: Sequence[str], last: int) -> None:
    """Who waits for what. An event of which nobody knows that any more goes to everybody: twice is better than never."""
    known = dict.fromkeys([*tally.destinations(target), *destinations])
    for name in known:
        quoted = "'" + name.replace("'", "''") + "'"
        for table, lanes in (("delivery", LANES[1:-1].split(",")), ("dead_letter", [""])):
            for lane in lanes:
                where = f"destination={quoted}" + (f" AND lane={lane}" if lane else "")
                for rows in reader.span(table, "seq", where, 0, last):
                    _copy(target, table, rows)
    target.execute("CREATE TEMP TABLE held AS SELECT seq FROM delivery UNION SELECT seq FROM dead_letter")
    target.execute("CREATE UNIQUE INDEX temp.held_seq ON held (seq)")
    if reader.broken & {"delivery", "dead_letter"}:
        for name in destinations:
            target.execute(
                "INSERT INTO delivery (destination, lane, seq, severity) SELECT ?, iif(severity>=21, 0, 1), seq, severity FROM event "
                "WHERE seq NOT IN (SELECT seq FROM held)",
                (name,),
            )
        target.execute("UPDATE event SET copies=2 WHERE seq NOT IN (SELECT seq FROM held)")
    else:
        target.execute("DELETE FROM event WHERE seq NOT IN (SELECT seq FROM held)")
    target.execute("DROP TABLE held")


def _balance(reader: _Reader, target: sqlite3.Connection, found: Salvage, now_ns: int) -> None:
    """Deliveries whose event is gone are lost; the law is made to hold again, with a line in the ledger for what is missing."""
    for table in ("delivery", "dead_letter"):
        target.execute(f"DELETE FROM {table} WHERE seq NOT IN (SELECT seq FROM event)")
    ready = tally.count_ready(target)
    tallied = "tally" not in reader.broken
    found.lost_events = 0 if tallied else None
    for name, count in ready.items():
        if not tallied:
            tally.add(target, "stored", {name: count + _dead(target, name)})
    for name, counts in tally.backlog(target).items():
        missing = counts["ready"] - ready[name]
        if missing > 0:
            tally.add(target, "damaged", {name: missing})
            found.lost_events = (found.lost_events or 0) + missing
            note_loss(target, what="events", name=name, from_ns=now_ns, to_ns=now_ns, count=missing, reason=REASON, now_ns=now_ns)
        elif missing < 0:
            tally.add(target, "stored", {name: -missing})
    if found.lost_incidents:
        note_loss(
            target, what="incidents", name="gateway", from_ns=now_ns, to_ns=now_ns, count=found.lost_incidents, reason=REASON, now_ns=now_ns
        )


def _dead(target: sqlite3.Connection, name: str) -> int:
    return int(target.execute("SELECT count(*) FROM dead_letter WHERE destination=?", (name,)).fetchone()[0])


def _continue_sequence(target: sqlite3.Connection, last: int | None) -> None:
    newest = target.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]
    after = max(last, newest) if last is not None else newest + _GAP if newest else 0
    if not after:
        return
    if not target.execute("UPDATE sqlite_sequence SET seq=? WHERE name='event'", (after,)).rowcount:
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", (after,))
