"""What is over a budget goes as one summary per machine instead of vanishing. Plain functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.contract import Event, Severity
from gateway.outbox import tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.lease import remove
from gateway.outbox.tally import Lane

SUMMARISED = "io.lineside.gateway.events_summarised."
MOST = 20_000
"""Deliveries per transaction."""
MOST_INCIDENTS = 50


@dataclass
class Group:
    """What waits of one machine, and why it may not go as it is.

    worst       the highest severity in it
    incidents   at most 50 ids, the latest first
    """

    machine: str
    reason: str = ""
    from_ns: int = 1 << 62
    to_ns: int = 0
    count: int = 0
    worst: Severity = Severity.INFO
    by_type: Counter[str] = field(default_factory=Counter)
    by_severity: Counter[str] = field(default_factory=Counter)
    incidents: list[str] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)

    def take(self, seq: int, type_: str, severity: int, time_ns: int, incident: str) -> None:
        """One event."""
        self._span(seq, severity, time_ns, time_ns)
        self.count += 1
        self.by_type[type_] += 1
        self.by_severity[Severity(severity).name.lower()] += 1
        self._incidents([incident] if incident else [])

    def take_summary(self, seq: int, severity: int, from_ns: int, to_ns: int, data: dict[str, Any]) -> None:
        """A summary that waits still: what it stands for goes into this one."""
        self._span(seq, severity, from_ns, to_ns)
        self.count += data["count"]
        self.by_type.update(data["by_type"])
        self.by_severity.update(data["by_severity"])
        self._incidents(data["incidents"])

    def _span(self, seq: int, severity: int, from_ns: int, to_ns: int) -> None:
        self.sequences.append(seq)
        self.worst = max(self.worst, Severity(severity))
        self.from_ns, self.to_ns = min(self.from_ns, from_ns), max(self.to_ns, to_ns)

    def _incidents(self, ids: list[str]) -> None:
        self.incidents = list(dict.fromkeys([*ids, *self.incidents]))[:MOST_INCIDENTS]


Summarise = Callable[[Group], Event]


def roll_up(connection: sqlite3.Connection, destination: str, summarise: Summarise, *, reason: str, machine: str | None = None) -> int:
    """Put one summary in the place of what waits of each machine, or of one; returns how many deliveries it replaced.

    Critical events are left alone, and so is the end of an incident whose opening was sent: somebody waits for it.
    """
    groups: dict[str, Group] = {}
    for row in _waiting(connection, destination, machine):
        _sort_in(groups, row)
    replaced = 0
    for group in groups.values():
        if len(group.sequences) < 2:
            continue
        remove(connection, destination, sorted(group.sequences))
        group.reason = reason
        append(connection, [], [Addressed(summarise(group), (destination,))])
        replaced += len(group.sequences)
    tally.add(connection, "summarised", {destination: replaced})
    return replaced


def _sort_in(groups: dict[str, Group], row: Any) -> None:
    seq, _, type_, severity, machine, time_ns, recorded_ns, incident, data = row
    group = groups.setdefault(machine, Group(machine))
    if type_.startswith(SUMMARISED):
        group.take_summary(seq, severity, time_ns, recorded_ns, json.loads(data))
    else:
        group.take(seq, type_, severity, time_ns, incident)


def _waiting(connection: sqlite3.Connection, destination: str, machine: str | None) -> Iterator[Any]:
    rows = connection.execute(
        "SELECT e.seq, e.id, e.type, e.severity, e.partitionkey, e.time_ns, e.recorded_ns, e.correlationid, e.data "
        "FROM delivery d CROSS JOIN event e USING (seq) WHERE d.destination=? AND d.lane=? AND d.severity<? "
        f"{'' if machine is None else 'AND e.partitionkey=?'} ORDER BY d.seq LIMIT ?",
        (destination, Lane.ORDERED, int(Severity.CRITICAL), *([] if machine is None else [machine]), MOST),
    ).fetchall()
    openings = {row[7] for row in rows if row[1].endswith("-0001")}
    return (row for row in rows if ".cleared." not in row[2] or row[7] in openings)
