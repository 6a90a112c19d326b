"""What is over a budget goes as one summary per machine instead of vanishing. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from gateway.contract import Event, Severity
from gateway.events.build import to_ns
from gateway.outbox import tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.lease import remove
from gateway.outbox.rows import SELECTED, fetch, from_row
from gateway.outbox.tally import Lane

SUMMARISED = "io.lineside.gateway.events_summarised."
MOST = 5_000
"""Deliveries per transaction."""
MOST_SEEN = 100_000
"""Deliveries, the oldest of the lane, among which those of one machine are looked for."""
MOST_INCIDENTS = 50


class Told(msgspec.Struct):
    """What a summary says, as far as the next one needs it."""

    count: int
    by_type: dict[str, int]
    by_severity: dict[str, int]
    incidents: list[str]
    to: str
    from_: str = msgspec.field(name="from")


_told = msgspec.json.Decoder(Told).decode


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

    def take(self, event: Event) -> None:
        """One event."""
        self._span(event, event.time_ns, event.time_ns)
        self.count += 1
        self.by_type[event.type] += 1
        self.by_severity[event.severity.name.lower()] += 1
        self._incidents([event.correlationid] if event.correlationid else [])

    def take_summary(self, event: Event) -> None:
        """A summary that waits still: what it stands for goes into this one. Raises ValueError, MsgspecError: it says nothing."""
        told = _told(event.data)
        self._span(event, to_ns(told.from_), to_ns(told.to))
        self.count += told.count
        self.by_type.update(told.by_type)
        self.by_severity.update(told.by_severity)
        self._incidents(told.incidents)

    def _span(self, event: Event, from_ns: int, to_ns: int) -> None:
        self.sequences.append(event.sequence)
        self.worst = max(self.worst, event.severity)
        self.from_ns, self.to_ns = min(self.from_ns, from_ns), max(self.to_ns, to_ns)

    def _incidents(self, ids: list[str]) -> None:
        self.incidents = list(dict.fromkeys([*ids, *self.incidents]))[:MOST_INCIDENTS]


Summarise = Callable[[Group], Event]


def roll_up(connection: sqlite3.Connection, destination: str, summarise: Summarise, *, reason: str, machine: str | None = None) -> int:
    """Put one summary in the place of what waits of each machine, or of one; returns how many deliveries it replaced.

    Critical events are left alone, and so is the end of an incident whose opening was sent: somebody waits for it. A row that is
    damaged stays where it is; whoever leases it quarantines it.
    """
    groups: dict[str, Group] = {}
    for event in _waiting(connection, destination, machine):
        with suppress(msgspec.MsgspecError, ValueError):  # a summary that cannot be read is sent as it is
            _sort_in(groups, event)
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


def _sort_in(groups: dict[str, Group], event: Event) -> None:
    group = groups.setdefault(event.partitionkey, Group(event.partitionkey))
    if event.type.startswith(SUMMARISED):
        group.take_summary(event)
    else:
        group.take(event)


def _waiting(connection: sqlite3.Connection, destination: str, machine: str | None) -> Iterator[Event]:
    statement = (
        f"SELECT {SELECTED} FROM (SELECT seq FROM delivery WHERE destination=? AND lane=? AND severity<? ORDER BY seq LIMIT ?) d "
        f"CROSS JOIN event e USING (seq) {'' if machine is None else 'WHERE e.partitionkey=?'} ORDER BY d.seq LIMIT ?"
    )
    oldest = (destination, Lane.ORDERED, int(Severity.CRITICAL))
    which = (MOST,) if machine is None else (MOST_SEEN, machine)
    events = [event for row in fetch(connection, statement, (*oldest, *which, MOST)) if (event := from_row(row)) is not None]
    openings = {event.correlationid for event in events if event.id.endswith("-0001")}
    return (event for event in events if ".cleared." not in event.type or event.correlationid in openings)
