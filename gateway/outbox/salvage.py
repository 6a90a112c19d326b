"""Takes over what can still be read of a damaged outbox file, row by row. Plain functions of two connections.

A row that cannot be read is found by halving the range it lies in. A row whose checksum is wrong is left behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contract import Severity
from gateway.outbox import tally
from gateway.outbox.append import IncidentRow, insert_many
from gateway.outbox.audit import rechain
from gateway.outbox.epoch import Epoch, epochs, stretches
from gateway.outbox.incidents import SELECTED, sound, sound_before_5
from gateway.outbox.lease import holds
from gateway.outbox.ledger import note_loss
from gateway.outbox.migrate import SCHEMA_VERSION
from gateway.outbox.rows import COLUMNS, INSERT, from_row
from gateway.outbox.tally import LANES

CRITICAL = int(Severity.CRITICAL)
REASON = "the outbox file was damaged"
_CHUNK = 500
_MOST_QUERIES, _FEW_QUERIES = 200_000, 2_000
"""Per table: one that is gone must not cost another one its rows."""
_MOST_IN_VAIN = 20_000
"""One after the other without a row; an inner page that is gone costs two for each row below it. It is the start that waits."""
_GAP = 100_000
"""Sequences left out when nobody knows the last one: none may be given twice."""
_PLAIN = ("label", "audit", "ledger")
_PLAIN_1, _KEYED_1 = ("ledger",), ("tally",)
"""What a file of version 1 has of them."""
_HOLDERS = "SELECT seq FROM delivery UNION ALL SELECT seq FROM dead_letter"
_KEYED = ("breaker", "budget", "aside", "tuning", "note", "tally", "shelf", "request", "shadow_alarm")


@dataclass
class Salvage:
    """What was taken over and what was not; `lost_events` is None when nobody knows how many there were."""

    events: int = 0
    incidents: int = 0
    lost_events: int | None = None
    lost_incidents: int = 0

    @property
    def unreadable(self) -> bool:
        """Nothing could be read: the new file begins with nothing, and the sequence far behind every number that may have been given."""
        return not self.events and not self.incidents and self.lost_events is None


def _of_a_page(error: Exception) -> bool:
    """It may be another one for other rows: not so when the schema is malformed, or a column has another name."""
    return not isinstance(error, UnicodeDecodeError) and not str(error).startswith(("malformed database schema", "no such "))


class _Reader:
    """Reads what can be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.execute("PRAGMA writable_schema=ON")  # a table whose definition is damaged must not cost the others
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        self.broken: set[str] = set()
        self.epochs: list[Epoch] = []

    def span(
        self, table: str, key: str, where: str, last: int, most: int = _MOST_QUERIES, unread: list[tuple[int, int]] | None = None
    ) -> Iterator[list[Any]]:
        """Chunks of `SELECT * FROM table WHERE where AND key BETWEEN 0 AND last`; what cannot be read is halved until it is one row.

        unread   gets the ranges of keys that could not be read
        """
        unread = [] if unread is None else unread
        ranges, queries = list(stretches(last, self.epochs if key == "seq" else [])), 0
        in_vain = 0
        while ranges and queries < most and in_vain < _MOST_IN_VAIN:
            low, high = ranges.pop()
            queries, in_vain = queries + 1, in_vain + 1
            statement = f"SELECT {key}, * FROM {table} WHERE {where} AND {key} BETWEEN ? AND ? ORDER BY {key} LIMIT {_CHUNK}"
            try:
                cursor = self._connection.execute(statement, (low, high))
                names = [column[0] for column in cursor.description][1:]
                rows = cursor.fetchall()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
                self.broken.add(table)
                if not _of_a_page(exc):  # the table itself cannot be understood: no part of it can be read
                    unread.append((low, high))
                elif low < high:
                    middle = (low + high) // 2
                    ranges += [(middle + 1, high), (low, middle)]
                elif unread and unread[-1][1] == low - 1:
                    unread[-1] = unread[-1][0], low
                else:
                    unread.append((low, low))
                continue
            if rows:
                in_vain = 0
                yield [dict(zip(names, row[1:], strict=True)) for row in rows]
            if len(rows) == _CHUNK:
                ranges.append((rows[-1][0] + 1, high))
        unread += ranges

    def all(self, table: str) -> list[dict[str, Any]]:
        """A small table without a number, all or nothing."""
        try:
            cursor = self._connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self.broken.add(table)
            return []

    def number(self, statement: str) -> int | None:
        with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            row = self._connection.execute(statement).fetchone()
            return int(row[0]) if row and row[0] is not None else None
        return None


def salvage(path: Path, target: sqlite3.Connection, destinations: Sequence[str], now_ns: int) -> Salvage:
    """Copy into the empty outbox `target`, in one transaction. A file that is no database at all gives nothing."""
    found = _take_over(path, target, destinations, now_ns)
    if found.unreadable:
        for name in destinations:
            note_loss(target, what="events", name=name, from_ns=now_ns, to_ns=now_ns, count=None, reason=REASON, now_ns=now_ns)
        _continue_sequence(target, now_ns // 1000)  # microseconds since 1970: so many events nobody has had
    return found


def _take_over(path: Path, target: sqlite3.Connection, destinations: Sequence[str], now_ns: int) -> Salvage:
    found = Salvage()
    try:
        source = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        source.execute("PRAGMA writable_schema=ON")  # else SQLite refuses a file that is shorter than its head says
        source.execute("PRAGMA schema_version").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return found
    with closing(source):
        reader = _Reader(source)
        target.execute("BEGIN IMMEDIATE")
        last = reader.number("SELECT seq FROM sqlite_sequence WHERE name='event'")
        version = reader.number("PRAGMA user_version") or SCHEMA_VERSION
        version_1 = version == 1
        for table in _KEYED_1 if version_1 else _KEYED:
            _copy(target, table, reader.all(table))
        reader.epochs = epochs(target)
        _events(reader, target, found, last or reader.number("SELECT max(rowid) FROM event") or 1 << 32)
        _deliveries(reader, target, destinations, last or 1 << 32, version_1=version_1)
        _incidents(reader, target, found, sound if version >= 5 else sound_before_5)
        for table in _PLAIN_1 if version_1 else _PLAIN:
            newest = reader.number(f"SELECT max(rowid) FROM {table}") or 1 << 32
            for rows in reader.span(table, _number(table), "1", newest, _FEW_QUERIES):
                _copy(target, table, rows)
        if version < 4:
            rechain(target)
        if version_1:
            _rename_tallies(target)
        _balance(reader, target, found, now_ns)
        _continue_sequence(target, last)
        target.execute("COMMIT")
    return found


def _rename_tallies(target: sqlite3.Connection) -> None:
    for before, after in (("expired", "aged"), ("dropped", "evicted")):
        target.execute("UPDATE tally SET what=? WHERE what=?", (after, before))


def _number(table: str) -> str:
    return "id" if table == "ledger" else "number"


def _copy(target: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    """Text that a flipped bit made invalid keeps the rest of its letters; a row that the table refuses is left behind alone."""
    if not rows:
        return
    head = f"INSERT OR IGNORE INTO {table} ({','.join(rows[0])}) VALUES"
    values = [tuple(_readable(value) for value in row.values()) for row in rows]
    try:
        insert_many(target, head, values)
    except sqlite3.Error:
        for row in values:
            with suppress(sqlite3.Error):
                insert_many(target, head, [row])


def _readable(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else value


def _incidents(reader: _Reader, target: sqlite3.Connection, found: Salvage, checked: Callable[[Sequence[Any]], IncidentRow | None]) -> None:
    for rows in reader.span("incident", "rowid", "1", reader.number("SELECT max(rowid) FROM incident") or 1 << 24):
        whole = [row for each in rows if (row := checked([each.get(name) for name in SELECTED.split(", ")])) is not None]
        _copy(target, "incident", [{**row._asdict(), "crc": row.crc} for row in whole])
        found.incidents += len(whole)
        found.lost_incidents += len(rows) - len(whole)


def _events(reader: _Reader, target: sqlite3.Connection, found: Salvage, last: int) -> None:
    for rows in reader.span("event", "seq", "1", last):
        values = [tuple(row.get(name, "") for name in COLUMNS.split(",")) for row in rows]
        sound = [(*value, row.get("copies", 2)) for value, row in zip(values, rows, strict=True) if from_row(value) is not None]
        insert_many(target, INSERT.replace("INSERT INTO", "INSERT OR IGNORE INTO"), sound)
        found.events += len(sound)


def _deliveries(reader: _Reader, target: sqlite3.Connection, destinations: Sequence[str], last: int, *, version_1: bool) -> None:
    """Who waits for what. Where nobody knows that any more, everybody who may have waited gets it: twice is better than never."""
    unread: dict[str, list[tuple[int, int]]] = {}
    for name in dict.fromkeys([*tally.destinations(target), *destinations]):
        where, unread[name] = "destination='" + name.replace("'", "''") + "'", []
        if version_1:
            _of_version_1(reader, target, where, last)
            continue
        for lane in LANES[1:-1].split(","):
            for rows in reader.span("delivery", "seq", f"{where} AND lane={lane}", last, unread=unread[name]):
                _copy(target, "delivery", rows)
        for rows in reader.span("dead_letter", "seq", where, last, unread=unread[name]):
            _copy(target, "dead_letter", rows)
    target.execute("CREATE TEMP TABLE held AS SELECT seq, count(*) AS rows FROM (" + _HOLDERS + ") GROUP BY seq")
    target.execute("CREATE UNIQUE INDEX temp.held_seq ON held (seq)")
    vanished = not version_1 and any(_missing(reader, target, name) for name in unread)
    if vanished or reader.broken & {"delivery", "dead_letter"}:
        for name in destinations or unread:
            _address(target, name, "seq NOT IN (SELECT seq FROM held)")
            if not version_1:
                _address_unread(reader, target, name, unread[name])
        target.execute("UPDATE event SET copies=2 WHERE seq NOT IN (SELECT seq FROM held)")
    else:
        target.execute("DELETE FROM event WHERE seq NOT IN (SELECT seq FROM held)")
    target.execute("DROP TABLE held")


def _address_unread(reader: _Reader, target: sqlite3.Connection, name: str, unread: Sequence[tuple[int, int]]) -> None:
    """Events that others hold still, and this one too until its row was lost: those of the ranges that could not be read, and if
    that does not explain what is missing, all of which it has no row. Of these it has taken some already, with the same id.
    """
    shared = "EXISTS (SELECT 1 FROM held h WHERE h.seq=event.seq AND h.rows < event.copies)"
    if _missing(reader, target, name):
        for low, high in unread:
            _address(target, name, f"seq BETWEEN {low} AND {high} AND {shared}")
    if "tally" not in reader.broken and _missing(reader, target, name):
        _address(target, name, shared)


def _missing(reader: _Reader, target: sqlite3.Connection, name: str) -> int:
    """Rows of a destination that were lost, as far as the tally knows; without one, as many as there may be."""
    if "tally" in reader.broken:
        return int(bool(reader.broken & {"delivery", "dead_letter"}))
    counts = tally.backlog(target).get(name)
    return max(0, counts["ready"] - tally.count_ready(target)[name]) if counts else 0


def _address(target: sqlite3.Connection, name: str, which: str) -> None:
    """Events of which it has no row."""
    target.execute(
        "INSERT INTO delivery (destination, lane, seq, severity) SELECT :name, iif(severity>=:critical, 0, 1), seq, severity FROM event "
        f"WHERE {which} AND NOT {holds(':name')}",
        {"name": name, "critical": CRITICAL},
    )


def _of_version_1(reader: _Reader, target: sqlite3.Connection, where: str, last: int) -> None:
    """One table with a state: 0 ready, 1 parked, 2 quarantined."""
    for rows in reader.span("delivery", "seq", where, last):
        severities = dict(target.execute("SELECT seq, severity FROM event WHERE seq BETWEEN ? AND ?", (rows[0]["seq"], rows[-1]["seq"])))
        waiting, dead = [], []
        for row in rows:
            about = {name: row[name] for name in ("destination", "seq", "attempts", "reason")}
            severity = severities.get(row["seq"], 0)
            if row["state"]:
                dead.append({**about, "kind": row["state"], "at_ns": 0})
            else:
                waiting.append({**about, "lane": int(severity < CRITICAL), "severity": severity, "tried": min(row["attempts"], 1)})
        _copy(target, "delivery", waiting)
        _copy(target, "dead_letter", dead)


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
    after = max([after, *(epoch.first for epoch in epochs(target))])
    if not after:
        return
    if not target.execute("UPDATE sqlite_sequence SET seq=? WHERE name='event'", (after,)).rowcount:
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", (after,))
