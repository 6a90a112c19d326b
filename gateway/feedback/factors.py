"""The factors of thresholds in the outbox's file; each change stands in the audit. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway.outbox.audit import audit
from gateway.outbox.labels import last_number


class Place(NamedTuple):
    """A condition of a machine as one detector tells it."""

    detector: str
    machine: str
    condition: str


class Move(NamedTuple):
    """A factor changed; `who` and `why` as the audit has them."""

    place: Place
    before: float
    after: float
    who: str
    why: str


def factors(connection: sqlite3.Connection) -> dict[Place, float]:
    """All that verdicts ever moved; 1.0 where it was taken back."""
    rows = connection.execute("SELECT detector, machine, condition, factor FROM tuning ORDER BY detector, machine, condition")
    return {Place(detector, machine, condition): factor for detector, machine, condition, factor in rows}


def move(connection: sqlite3.Connection, moved: Move, *, now_ns: int, label: int | None = None) -> None:
    """Write the factor and the line of the audit.

    label   number of the label that caused it; None: none did, so the row keeps the one it has
    """
    connection.execute(
        "INSERT INTO tuning (detector, machine, condition, factor, label) VALUES (?,?,?,?,?) "
        "ON CONFLICT (detector, machine, condition) DO UPDATE SET factor=excluded.factor, label=max(label, excluded.label)",
        (*moved.place, moved.after, label or 0),
    )
    name = f"{moved.place.detector} {moved.place.machine}/{moved.place.condition}"
    before, after = f"{moved.before:.6g}", f"{moved.after:.6g}"
    audit(connection, who=moved.who, what=f"threshold: {moved.why}", name=name, before=before, after=after, now_ns=now_ns)


def reverted(connection: sqlite3.Connection, place: Place) -> int:
    """Labels up to this number move it no more: they were learnt, or it was set back after them."""
    row = connection.execute("SELECT label FROM tuning WHERE detector=? AND machine=? AND condition=?", place).fetchone()
    return int(row[0]) if row else 0


def revert(
    connection: sqlite3.Connection,
    *,
    who: str,
    now_ns: int,
    detector: str | None = None,
    machine: str | None = None,
    condition: str | None = None,
) -> list[Move]:
    """Set the factors of what was named (nothing named: of all) back to 1; returns what was another one. Verdicts that are there
    already, learnt or not, do not move them again.
    """
    wanted = (detector, machine, condition)
    meant = {
        place: factor
        for place, factor in factors(connection).items()
        if all(want in (None, have) for want, have in zip(wanted, place, strict=True))
    }
    last = last_number(connection)
    connection.executemany("UPDATE tuning SET label=? WHERE detector=? AND machine=? AND condition=?", [(last, *place) for place in meant])
    made = [Move(place, factor, 1.0, who, "reverted") for place, factor in meant.items() if factor != 1.0]
    for one in made:
        move(connection, one, now_ns=now_ns)
    return made
