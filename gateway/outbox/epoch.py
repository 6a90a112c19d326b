"""A new epoch: the outbox was restored from a backup, and what the gateway did after that backup is not known here.

Sequences, numbers of events and ids of incidents that were given since must not be given again. So the sequence leaps to the
microseconds since 1970: further than any count of events can have come, below 2^53, and further with each restore, also of
the same backup. Plain functions of a connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from gateway.contract import ConfigError
from gateway.events.build import digest
from gateway.incidents import Incident
from gateway.outbox import incidents
from gateway.outbox.append import next_sequence
from gateway.outbox.audit import audit
from gateway.outbox.ledger import GATEWAY, note_loss, seen_alive

REASON: Final = "restored from a backup: what was done after it is not known here"
_NOTE: Final = "epochs"


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """first       sequences of this epoch are above; it names the epoch
    before      the last sequence that the backup knows of the epoch before
    backup_ns   when the backup was taken
    told        the event `gateway.restored` is stored
    """

    first: int
    before: int
    backup_ns: int
    restored_ns: int
    told: bool = False


def epochs(connection: sqlite3.Connection) -> list[Epoch]:
    """Oldest first; none: it was never restored."""
    row = connection.execute("SELECT value FROM note WHERE name=?", (_NOTE,)).fetchone()
    return _decode(row[0]) if row else []


def begin(connection: sqlite3.Connection, *, backup_ns: int, now_ns: int, who: str) -> Epoch:
    """In a restored outbox, in the caller's transaction.

    raises ConfigError   the clock is behind the backup or behind an epoch before: the sequence would not leap ahead
    """
    known, after = epochs(connection), next_sequence(connection)
    epoch = Epoch(first=now_ns // 1000, before=after - 1, backup_ns=backup_ns, restored_ns=now_ns)
    if now_ns <= backup_ns or epoch.first <= after:
        raise ConfigError("the clock of this machine is behind the time of the backup; set it, then restore")
    _leap(connection, epoch.first)
    _keep(connection, [*known, epoch])
    _continue_incidents(connection, epoch)
    _forget_the_other_network(connection, now_ns)
    _write_the_gap(connection, epoch, now_ns)
    audit(connection, who=who, what="restore", name=GATEWAY, before=f"sequence {after - 1}", after=f"sequence {epoch.first}", now_ns=now_ns)
    return epoch


def mark_told(connection: sqlite3.Connection) -> None:
    """The event of the last restore is stored."""
    known = epochs(connection)
    _keep(connection, [*known[:-1], replace(known[-1], told=True)])


def stretches(last: int, known: list[Epoch]) -> Iterator[tuple[int, int]]:
    """Where sequences can lie, up to `last`: a leap holds none.

    >>> leap = Epoch(first=1000, before=7, backup_ns=0, restored_ns=0)
    >>> list(stretches(1003, [leap])), list(stretches(12, []))
    ([(0, 7), (1001, 1003)], [(0, 12)])
    """
    start = 0
    for epoch in known:
        if epoch.first < last:
            yield start, epoch.before
            start = epoch.first + 1
    yield start, last


def _leap(connection: sqlite3.Connection, first: int) -> None:
    if not connection.execute("UPDATE sqlite_sequence SET seq=? WHERE name='event'", (first,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", (first,))


def _keep(connection: sqlite3.Connection, known: list[Epoch]) -> None:
    connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (_NOTE, msgspec.json.encode(known).decode()))


def _continue_incidents(connection: sqlite3.Connection, epoch: Epoch) -> None:
    """Open ones go on under their id, for the CRM knows their cases; whether it has closed one since is not known, so each is told
    again (as what was withheld is), with a number that cannot have been given. One that was never raised gets a new id.
    """
    for row in incidents.going_on(connection):
        before = Incident.load(row.body)
        if before.state == "open":
            number = max(before.events, epoch.first)
            after = replace(before, events=number, leapt=before.leapt + number - before.events, withheld="diagnosis")
        else:
            after = replace(before, id=f"inc-{digest(before.id, epoch.first)}", events=0)
        incidents.put(connection, before.id, row._replace(id=after.id, body=after.dump()))


def _forget_the_other_network(connection: sqlite3.Connection, now_ns: int) -> None:
    """Failures of then say nothing about now, but a receiver that asked for a wait still gets it. What was spent of a budget since is
    not known, so nothing of that time is credited.
    """
    connection.execute("DELETE FROM breaker WHERE held=0")
    connection.execute("UPDATE budget SET at_ns=?", (now_ns,))


def _write_the_gap(connection: sqlite3.Connection, epoch: Epoch, now_ns: int) -> None:
    connection.execute("UPDATE ledger SET to_ns=max(from_ns, ?) WHERE to_ns=0", (epoch.backup_ns,))
    for what in ("events", "readings"):
        note_loss(connection, what=what, name=GATEWAY, from_ns=epoch.backup_ns, to_ns=now_ns, count=None, reason=REASON, now_ns=now_ns)
    seen_alive(connection, now_ns)


_decode = msgspec.json.Decoder(list[Epoch]).decode
