"""Dead letters: what a receiver refused, what is damaged, what is too old. Plain functions of a connection.

They are kept until somebody decides: sent again as they are, replaced by a corrected event, or dropped.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.contract import Event
from gateway.outbox import incidents, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.audit import audit
from gateway.outbox.lease import drop_orphans
from gateway.outbox.ledger import note_more
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.tally import LANES, Kind, lane_of

EACH = 50
"""Of one transaction, that stand in the audit one by one."""


class DeadLetter(NamedTuple):
    """`event` is None when its row is damaged."""

    seq: int
    destination: str
    kind: Kind
    at_ns: int
    attempts: int
    code: str
    reason: str
    replaced_by: str
    id: str
    type: str
    time_ns: int
    event: Event | None


_ALL = (
    f"SELECT d.seq, d.destination, d.kind, d.at_ns, d.attempts, d.code, d.reason, d.replaced_by, {SELECTED} "
    "FROM dead_letter d JOIN event e USING (seq)"
)


def find(connection: sqlite3.Connection, event_id: str | None = None, destination: str | None = None, limit: int = -1) -> list[DeadLetter]:
    """Oldest first; all of them, of one event (by its whole id or its beginning), of one destination."""
    where, parameters = ["1"], []
    if event_id is not None:
        where.append("(e.id=? OR substr(e.id, 1, length(?))=?)")
        parameters += [event_id] * 3
    if destination is not None:
        where.append("d.destination=?")
        parameters.append(destination)
    rows = connection.execute(f"{_ALL} WHERE {' AND '.join(where)} ORDER BY d.seq, d.destination LIMIT ?", (*parameters, limit))
    return [_letter(row) for row in rows.fetchall()]


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    seq, destination, kind, at_ns, attempts, code, reason, replaced_by, *event = row
    return DeadLetter(
        seq, destination, Kind(kind), at_ns, attempts, code, reason, replaced_by, event[1], event[2], event[5], from_row(tuple(event))
    )


def retry(connection: sqlite3.Connection, letters: Sequence[DeadLetter], *, who: str, now_ns: int) -> int:
    """Send them again as they are: back into the lane, at their old place in the order. Damaged ones stay."""
    again, done = [letter for letter in letters if letter.event is not None and not letter.replaced_by], []
    for letter in again:
        found = connection.execute("DELETE FROM dead_letter WHERE destination=? AND seq=?", (letter.destination, letter.seq)).rowcount
        if found and letter.event is not None:
            lane = lane_of(letter.event.severity)
            connection.execute(
                "INSERT OR IGNORE INTO delivery (destination, lane, seq, severity, attempts, reason, kept) VALUES (?,?,?,?,?,?,1)",
                (letter.destination, lane, letter.seq, int(letter.event.severity), letter.attempts, letter.reason),
            )
            done.append((letter, ""))
    _note(connection, done, "sent again", who=who, now_ns=now_ns)
    return len(again)


def _note(connection: sqlite3.Connection, done: Sequence[tuple[DeadLetter, str]], word: str, *, who: str, now_ns: int) -> None:
    """What was done with them in this transaction, and what came of each. Many are one line: as many lines as letters would push out
    all that the audit had before.
    """
    if len(done) <= EACH:
        for letter, after in done:
            audit(connection, who=who, what=f"dead letter {word}", name=letter.id, before=letter.reason, after=after, now_ns=now_ns)
        return
    first, last = done[0][0], done[-1][0]
    whose = ", ".join(dict.fromkeys(letter.destination for letter, _ in done))
    name = f"{len(done)} of {whose}: {first.id} to {last.id}"
    audit(connection, who=who, what=f"dead letters {word}", name=name, before=first.reason, after=done[-1][1], now_ns=now_ns)


def overtaken(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Those whose incident went on, and whose destination may have what came later: it waits no more and is no dead letter."""
    return [letter for letter in letters if (later := _later(connection, letter)) > 0 and later > _kept(connection, letter)]


def _later(connection: sqlite3.Connection, letter: DeadLetter) -> int:
    """How many events its incident caused after this one."""
    identity, _, number = letter.id.rpartition("-")
    row = incidents.one(connection, identity) if number.isdecimal() else None
    if row is None or row.state == "damaged":
        return 0
    return int(msgspec.json.decode(row.body)["events"]) - int(number)


def _kept(connection: sqlite3.Connection, letter: DeadLetter) -> int:
    """How many of them the destination has not got."""
    has_not = (
        f"EXISTS (SELECT 1 FROM delivery d WHERE d.destination=? AND d.lane IN {LANES} AND d.seq=e.seq) "
        "OR EXISTS (SELECT 1 FROM dead_letter l WHERE l.destination=? AND l.seq=e.seq)"
    )
    identity = letter.id.rpartition("-")[0]
    statement = f"SELECT count(*) FROM event e WHERE e.id>? AND e.id<? AND +e.seq>? AND ({has_not})"
    values = (f"{identity}-", f"{identity}.", letter.seq, letter.destination, letter.destination)
    return int(connection.execute(statement, values).fetchone()[0])


def replace(
    connection: sqlite3.Connection, letters: Sequence[DeadLetter], correct: Callable[[Event], Event], *, who: str, now_ns: int
) -> list[Event]:
    """Send a corrected event in the place of each; the original is kept and knows by which one it was replaced.

    correct   makes the new event; whatever it raises leaves the letter as it was and is raised here
    """
    made, done = [], []
    open_ones = [letter for letter in letters if letter.event is not None and not letter.replaced_by]
    for group in _by_event(open_ones):
        event = correct(group[0].event)  # type: ignore[arg-type]  # those without one are left out above
        _deliver(connection, event, [letter.destination for letter in group])
        for letter in group:
            connection.execute(
                "UPDATE dead_letter SET replaced_by=? WHERE destination=? AND seq=?", (event.id, letter.destination, letter.seq)
            )
            done.append((letter, event.id))
        made.append(event)
    _note(connection, done, "corrected", who=who, now_ns=now_ns)
    return made


def _by_event(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    groups: dict[int, list[DeadLetter]] = {}
    for letter in letters:
        groups.setdefault(letter.seq, []).append(letter)
    return list(groups.values())


def _deliver(connection: sqlite3.Connection, event: Event, destinations: Sequence[str]) -> None:
    """The same correction for another destination has the same id: if it still waits there, it is stored already."""
    if append(connection, [], [Addressed(event, tuple(destinations))]):
        return
    (seq,) = connection.execute("SELECT seq FROM event WHERE id=?", (event.id,)).fetchone()
    connection.execute("UPDATE event SET copies=2 WHERE seq=?", (seq,))
    lane = lane_of(event.severity)
    inserted = connection.executemany(
        "INSERT OR IGNORE INTO delivery (destination, lane, seq, severity) VALUES (?,?,?,?)",
        [(destination, lane, seq, int(event.severity)) for destination in destinations],
    ).rowcount
    tally.add(connection, "stored", Counter(destinations) if inserted == len(destinations) else {})


def drop(connection: sqlite3.Connection, letters: Sequence[DeadLetter], *, who: str, now_ns: int) -> int:
    """Give them up; each destination gets a line in the ledger. One that was replaced is not lost, so it gets none."""
    dropped = []
    for letter in letters:
        if connection.execute("DELETE FROM dead_letter WHERE destination=? AND seq=?", (letter.destination, letter.seq)).rowcount:
            drop_orphans(connection, letter.destination, [letter.seq])
            dropped.append(letter)
    _note(connection, [(letter, "") for letter in dropped], "dropped", who=who, now_ns=now_ns)
    tally.add(connection, "discarded", Counter(letter.destination for letter in dropped))
    for destination in {letter.destination for letter in dropped if not letter.replaced_by}:
        times = [letter.time_ns for letter in dropped if letter.destination == destination and not letter.replaced_by]
        note_more(
            connection,
            what="events",
            name=destination,
            from_ns=min(times),
            to_ns=max(times),
            count=len(times),
            reason="rejected by the receiver, dropped by hand",
            now_ns=now_ns,
        )
    return len(dropped)
