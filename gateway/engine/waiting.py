"""What was found and is not on disk yet, in the order it was found. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.contract import Event
from gateway.events.catalogue import GATEWAY, PREFIX
from gateway.outbox.append import Addressed, IncidentRow, Rejected

_OWN = f"{PREFIX}.{GATEWAY}."


@dataclass
class Waiting:
    """One commit's worth. `rows` by incident, the newest state of each; `accepted` resolve when all of it is on disk."""

    rows: dict[str, IncidentRow] = field(default_factory=dict)
    events: list[Addressed] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    accepted: list[asyncio.Future[None]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.events) + len(self.rejected)

    def take(self) -> Waiting:
        """All of it; nothing is left."""
        taken = Waiting(self.rows, self.events, self.rejected, self.accepted)
        self.rows, self.events, self.rejected, self.accepted = {}, [], [], []
        return taken

    def put_right(self, event: Callable[[Event], Event], row: Callable[[IncidentRow], IncidentRow]) -> None:
        """The clock was."""
        self.rows = {name: row(known) for name, known in self.rows.items()}
        self.events = [entry._replace(event=event(entry.event)) for entry in self.events]
        self.rejected = [entry._replace(event=event(entry.event)) for entry in self.rejected]

    def put_back(self, taken: Waiting) -> None:
        """It was not stored: in front of what came since."""
        self.rows = taken.rows | self.rows
        self.events = taken.events + self.events
        self.rejected = taken.rejected + self.rejected
        self.accepted = taken.accepted + self.accepted

    def take_pressing(self) -> Waiting:
        """The end of incidents whose beginning is on disk, and what the gateway tells of itself: for this the last room is kept."""
        taken, rest = Waiting(), Waiting()
        behind: set[str] = set()
        for entry in self.events:
            key = entry.event.correlationid or entry.event.id
            if key not in behind and is_pressing(entry):
                taken.events.append(entry)
            else:
                behind.add(key)
                rest.events.append(entry)
        told = {entry.event.correlationid for entry in taken.events} - behind
        taken.rows = {key: row for key, row in self.rows.items() if key in told}
        self.rows = {key: row for key, row in self.rows.items() if key not in told}
        self.events = rest.events
        return taken


def is_pressing(entry: Addressed) -> bool:
    """An end, or of the gateway itself."""
    return is_end(entry) or entry.event.type.startswith(_OWN)


def is_end(entry: Addressed) -> bool:
    """Of an incident."""
    return ".cleared.v" in entry.event.type
