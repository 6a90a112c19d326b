"""Verdicts in the outbox's file, one row each; what was learnt from already; how often a detector was right.

Plain functions of a connection, like `incidents.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from gateway.contract import Verdict
from gateway.outbox import incidents

MOST = 100_000
"""Labels kept; beyond, the oldest are forgotten."""
_MARK = "label_learnt"
_LATEST_NS = 2**63 - 1
_LONGEST, _LONGEST_COMMENT = 200, 4000


class LabelRow(NamedTuple):
    """A row; `judgement` is the word as it stands there. Machine, condition and detector are empty when the incident is not known."""

    number: int
    id: str
    incident: str
    machine: str
    condition: str
    detector: str
    judgement: str
    t_ns: int
    recorded_ns: int
    origin: str
    by: str
    comment: str
    case_number: str


class Votes(NamedTuple):
    """Incidents by the verdict that counts: the last one that came in on each."""

    true_positive: int = 0
    false_alarm: int = 0
    known_issue: int = 0
    maintenance: int = 0

    @property
    def precision(self) -> float | None:
        """Share of real faults among what was judged real or false; None: nothing was.

        >>> Votes(true_positive=3, false_alarm=1, maintenance=9).precision
        0.75
        """
        judged = self.true_positive + self.false_alarm
        return self.true_positive / judged if judged else None


class Meant(NamedTuple):
    """What an incident is about; `detector` is empty when its body is of another version, `until_ns` is 0 while it is open."""

    machine: str
    condition: str
    detector: str
    since_ns: int
    until_ns: int


class _Body(msgspec.Struct):
    detector: str = ""
    cleared_ns: int = 0


_decode = msgspec.json.Decoder(_Body).decode
_ALL = f"SELECT {', '.join(LabelRow._fields)} FROM label"


def add(connection: sqlite3.Connection, verdicts: Iterable[Verdict], *, origin: str, now_ns: int) -> list[LabelRow]:
    """Keep what is new among them, in their order; a verdict whose id is known changes nothing.

    origin   the destination it came from, or ``command``
    """
    new = [row for verdict in verdicts if (row := _add(connection, verdict, origin, now_ns)) is not None]
    if new:
        connection.execute("DELETE FROM label WHERE number <= ?", (new[-1].number - MOST,))
    return new


def _add(connection: sqlite3.Connection, verdict: Verdict, origin: str, now_ns: int) -> LabelRow | None:
    incident = _text(verdict.incident)
    found = meant(connection, incident) or Meant("", "", "", 0, 0)
    row = (
        _identity(verdict.id),
        incident,
        found.machine,
        found.condition,
        found.detector,
        verdict.judgement.value,
        min(max(verdict.t_ns, 0), _LATEST_NS),
        now_ns,
        origin,
        _text(verdict.by),
        _text(verdict.comment, _LONGEST_COMMENT),
        _text(verdict.case),
    )
    columns = ", ".join(LabelRow._fields[1:])
    done = connection.execute(f"INSERT OR IGNORE INTO label ({columns}) VALUES ({', '.join('?' * len(row))})", row)
    return LabelRow(int(done.lastrowid or 0), *row) if done.rowcount else None


def _text(said: str, longest: int = _LONGEST) -> str:
    """What the file can hold: half a surrogate pair out of a JSON text is none."""
    return said[:longest].encode("utf-8", "replace").decode()


def _identity(said: str) -> str:
    """Two that are too long must not become one."""
    if len(said) <= _LONGEST:
        return _text(said)
    return _text(said, _LONGEST - 33) + "-" + blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


def meant(connection: sqlite3.Connection, incident: str) -> Meant | None:
    """None: it is not known here, not any more, or damaged."""
    row = incidents.one(connection, incident)
    if row is None:
        return None
    try:
        read = _decode(row.body)
    except msgspec.MsgspecError:  # of another version: no reason for the verdict to come again for ever
        read = _Body()
    return Meant(row.machine, row.condition, read.detector, row.since_ns, read.cleared_ns)


def unlearnt(connection: sqlite3.Connection, limit: int) -> list[LabelRow]:
    """Those nobody has learnt from yet, in the order they came. Belongs into a transaction that may write."""
    rows = connection.execute(f"{_ALL} WHERE number > ? ORDER BY number LIMIT ?", (_mark(connection), limit))
    return [LabelRow(*row) for row in rows]


def learnt(connection: sqlite3.Connection, number: int) -> None:
    """Up to and with this one; belongs into the transaction that keeps what came of it."""
    connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (_MARK, str(number)))


def last_number(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM label").fetchone()[0])


def _mark(connection: sqlite3.Connection) -> int:
    """A file that was salvaged may have lost the mark: then the last label that moved something stands for it. Or the last labels:
    then their numbers are given again, to labels nobody has learnt from.
    """
    row = connection.execute("SELECT value FROM note WHERE name=?", (_MARK,)).fetchone()
    if row is None:
        row = connection.execute("SELECT coalesce(max(label), 0) FROM tuning").fetchone()
    mark, last = int(row[0]), last_number(connection)
    if mark <= last:
        return mark
    learnt(connection, last)
    connection.execute("UPDATE tuning SET label=? WHERE label>?", (last, last))
    return last


def before(connection: sqlite3.Connection, label: LabelRow) -> str:
    """The judgement of the same incident that stood until this one came; empty: there was none."""
    row = connection.execute(
        "SELECT judgement FROM label WHERE incident=? AND number<? ORDER BY number DESC LIMIT 1", (label.incident, label.number)
    ).fetchone()
    return str(row[0]) if row else ""


def recent(connection: sqlite3.Connection, limit: int) -> list[LabelRow]:
    """The latest first."""
    return [LabelRow(*row) for row in connection.execute(f"{_ALL} ORDER BY number DESC LIMIT ?", (limit,))]


def precision(connection: sqlite3.Connection, since_ns: int = 0) -> dict[str, Votes]:
    """Votes by detector on incidents whose last verdict came in since then; incidents nobody knows here have no detector and no vote."""
    rows = connection.execute(
        "SELECT detector, judgement, count(*) FROM label WHERE number IN (SELECT max(number) FROM label GROUP BY incident) "
        "AND detector <> '' AND recorded_ns >= ? GROUP BY detector, judgement ORDER BY detector",
        (since_ns,),
    )
    found: dict[str, Votes] = {}
    for detector, judgement, count in rows:
        if judgement in Votes._fields:
            found[detector] = found.get(detector, Votes())._replace(**{judgement: count})
    return found
