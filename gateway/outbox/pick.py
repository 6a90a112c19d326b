"""Which deliveries are next. Plain functions of a connection.

Urgent deliveries go first, each with what still waits of its own incident, so that no incident is told out of order. Then
what lies in order. With `Pace`, what is newer than the backlog goes before it, again each with the rest of its incident.

What is stored for a machine that is set aside moves to a lane of its own when its turn comes, a bounded number at a time. So setting
aside costs nothing, however much waits, and that lane always holds the oldest of its machines.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from random import randint
from typing import Any, NamedTuple

from gateway.outbox.ages import Shifts
from gateway.outbox.rows import SELECTED, fetch
from gateway.outbox.tally import LANES, Lane

NEWEST = (1 << 63) - 1
_PAGE = 200
STEP, LOOK = 500, 5000
"""Deliveries that change their lane, or are looked at, in one transaction: everybody uses the writer, so nobody may have it for long."""
_WAITING = f"SELECT {SELECTED} FROM delivery d CROSS JOIN event e USING (seq) WHERE d.destination=? AND "
_KEYS = (
    "SELECT d.seq, e.partitionkey FROM delivery d CROSS JOIN event e USING (seq) WHERE d.destination=? AND d.lane=? AND d.seq>? "
    "AND d.seq<=? ORDER BY d.seq LIMIT ?"
)
_SEQ, _ID, _MACHINE, _INCIDENT = 0, 1, 8, 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sender may have now.

    limit           events
    urgent_only     nothing but the urgent lane: the rest of the budget is a reserve
    alone           a single one, of its incident the oldest; the next three are for it
    only            of this machine, wherever it lies
    without         of none of these machines
    anywhere        not the oldest but any, chosen by chance: when the oldest may be what the receiver cannot take
    backlog_until   with `backlog`: deliveries up to this sequence are the backlog, and at most so many of them may go
    max_age_ns      what is older is not sent: it becomes a dead letter, expired; 0: nothing is too old
    newest          nothing behind this sequence: what is newer waits for its time to be put right
    shifts          see ages.py
    mark            write down that they are tried, before they are: there is a fallback, which must not get them too. A number of the
                    sender's own, so that it takes back its own marks only; 0: none
    """

    limit: int
    urgent_only: bool = False
    alone: bool = False
    only: str | None = None
    without: tuple[str, ...] = ()
    anywhere: bool = False
    backlog_until: int = 0
    backlog: int = 0
    max_age_ns: int = 0
    newest: int = NEWEST
    shifts: Shifts = ()
    mark: int = 0


class Place(NamedTuple):
    """How far a look has come; it goes on in the next transaction."""

    lane: Lane
    seq: int


def pick(connection: sqlite3.Connection, destination: str, wanted: Wanted, place: Place | None = None) -> list[Any] | Place:
    """Rows for `from_row`, in the order they shall be sent; or the place to go on at: nothing was found so far, and there is more."""
    waiting = _Waiting(connection, destination, wanted.newest)
    if wanted.alone and not wanted.anywhere:
        found = waiting.first(wanted, place)
        return found if isinstance(found, Place) else found[:1]
    rows = waiting.anywhere(urgent_only=wanted.urgent_only) if wanted.anywhere else waiting.in_turn(wanted)
    if not rows and waiting.moved >= STEP:
        return Place(Lane.URGENT, 0)
    return rows[:1] if wanted.alone else rows


class _Waiting:
    """What waits for one destination, within one transaction."""

    def __init__(self, connection: sqlite3.Connection, destination: str, newest: int) -> None:
        self._connection, self._destination, self._newest = connection, destination, newest
        self._aside = dict(connection.execute("SELECT machine, why FROM aside WHERE destination=?", (destination,)).fetchall())
        self.moved = 0

    def in_turn(self, wanted: Wanted) -> list[Any]:
        urgent = self._with_incident(self._of(Lane.URGENT, wanted.limit))
        if wanted.urgent_only or len(urgent) >= wanted.limit:
            return urgent
        if not wanted.backlog_until:
            rest = self._of(Lane.ORDERED, wanted.limit)
            return rest if not urgent else _joined(urgent, rest)[: wanted.limit]
        live = self._of(Lane.ORDERED, wanted.limit - len(urgent), after=wanted.backlog_until)
        first = _joined(urgent, self._with_incident(live))
        return _joined(first, self._of(Lane.ORDERED, min(wanted.backlog, wanted.limit - len(first)), until=wanted.backlog_until))

    def anywhere(self, *, urgent_only: bool) -> list[Any]:
        """Any one, by chance, and what is older of its incident."""
        end = "(SELECT {}(seq) FROM delivery WHERE destination=?1 AND lane=?2)"
        for lane in (Lane.URGENT,) if urgent_only else (Lane.ORDERED, Lane.URGENT):
            first, last = self._connection.execute(f"SELECT {end.format('min')}, {end.format('max')}", (self._destination, lane)).fetchone()
            if first is not None and (rows := self._of(lane, 1, after=randint(first, last) - 1)):
                return self._with_incident(rows)
        return []

    def first(self, wanted: Wanted, place: Place | None) -> list[Any] | Place:
        """The oldest of a machine that may be, and what is older of its incident."""
        lanes = self._lanes(wanted)
        for lane in lanes if place is None else lanes[lanes.index(place.lane) :]:
            out = self._stepping(lane) | set(wanted.without) if wanted.only is None else set()
            after = place.seq if place is not None and place.lane is lane else 0
            keys = self._fetch(_KEYS, lane, after, self._newest, LOOK)
            for seq, machine in keys:
                if machine not in out and wanted.only in (None, machine):
                    return self._with_incident(self._rows("d.lane=? AND d.seq=?", lane, seq))
            if len(keys) == LOOK:
                return Place(lane, keys[-1][0])
        return []

    def _lanes(self, wanted: Wanted) -> list[Lane]:
        """Where `first` looks: what waits for the budget of its machine is no trial of it."""
        if wanted.only is None:
            return [Lane.URGENT] if wanted.urgent_only else [Lane.URGENT, Lane.ORDERED]
        why = self._aside.get(wanted.only)
        return [Lane.URGENT] if why == "budget" else [*([Lane.ASIDE] if why else []), Lane.URGENT, Lane.ORDERED]

    def _of(self, lane: Lane, limit: int, *, after: int = 0, until: int = NEWEST) -> list[Any]:
        """Of a lane, without what steps aside."""
        stepping = self._stepping(lane)
        size = min(max(limit, _PAGE), STEP) if stepping else limit
        found: list[Any] = []
        while len(found) < limit and self.moved < STEP:
            page = self._rows("d.lane=? AND d.seq>? AND d.seq<=? ORDER BY d.seq LIMIT ?", lane, after, min(until, self._newest), size)
            found += [row for row in page if row[_MACHINE] not in stepping]
            self._step_aside(lane, [row[_SEQ] for row in page if row[_MACHINE] in stepping])
            if len(page) < size or not stepping:
                break
            after = page[-1][_SEQ]
        return found[:limit]

    def _stepping(self, lane: Lane) -> set[str]:
        """Critical events may use the reserve of a budget, so they wait for none."""
        return {machine for machine, why in self._aside.items() if why == "refused" or lane is Lane.ORDERED}

    def _step_aside(self, lane: Lane, sequences: Sequence[int]) -> None:
        statement = "UPDATE delivery SET lane=? WHERE destination=? AND lane=? AND seq=?"
        self._connection.executemany(statement, [(Lane.ASIDE, self._destination, lane, seq) for seq in sequences])
        self.moved += len(sequences)

    def _with_incident(self, rows: list[Any]) -> list[Any]:
        """The same, and ahead of each event what still waits of its incident and is older, wherever it lies."""
        ordered: dict[int, Any] = {}
        earlier = f"d.lane IN {LANES} AND d.seq IN (SELECT seq FROM event WHERE id>=? AND id<?) ORDER BY d.seq"
        for row in rows:
            if row[_INCIDENT] and not row[_ID].endswith("-0001"):
                for before in self._rows(earlier, f"{row[_INCIDENT]}-", row[_ID]):
                    ordered.setdefault(before[_SEQ], before)
            ordered.setdefault(row[_SEQ], row)
        return list(ordered.values())

    def _rows(self, which: str, *parameters: Any) -> list[Any]:
        return self._fetch(_WAITING + which, *parameters)

    def _fetch(self, statement: str, *parameters: Any) -> list[Any]:
        """All rows; text that a flipped bit made invalid is read all the same, so that its checksum can condemn it alone."""
        return fetch(self._connection, statement, (self._destination, *parameters))


def _joined(first: list[Any], then: list[Any]) -> list[Any]:
    """Each once, at its first place."""
    return list({row[_SEQ]: row for row in [*first, *then]}.values()) if then else first
