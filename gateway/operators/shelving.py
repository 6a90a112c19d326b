"""The shelves of now, asked for each change of an incident."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from gateway.contract import Clock
from gateway.events.build import rfc3339
from gateway.incidents import Incident
from gateway.outbox.shelves import Shelf

log = logging.getLogger("lineside")


class Shelving:
    """An expired shelf holds nothing, also while the disk refuses to take it away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shelves: dict[int, Shelf] = {}
        self.leaps = 0

    @property
    def shelves(self) -> list[Shelf]:
        """The one that ends first first."""
        now_ns = self._clock.now_ns()
        return [shelf for shelf in self._shelves.values() if shelf.until_ns > now_ns]

    def take(self, shelves: Iterable[Shelf]) -> None:
        """As they are on disk now; what is new or gone stands in the log."""
        before, self._shelves = self._shelves, {shelf.number: shelf for shelf in shelves}
        for number in self._shelves.keys() - before.keys():
            log.info("shelved", extra={"fields": _facts(self._shelves[number])})
        for number in before.keys() - self._shelves.keys():
            log.info("not shelved any more", extra={"fields": _facts(before[number])})

    def leap(self, right: Callable[[int], int]) -> None:
        """The gateway's clock was set: each lasts as long as it would have."""
        self.leaps += 1
        for number, shelf in self._shelves.items():
            since_ns = right(shelf.since_ns)
            self._shelves[number] = shelf._replace(since_ns=since_ns, until_ns=shelf.until_ns + since_ns - shelf.since_ns)

    def why(self, incident: Incident) -> str:
        """Why it is not told now; empty: nothing withholds it."""
        for shelf in self.shelves if self._shelves else ():
            if shelf.covers(incident.machine, incident.condition, incident.peak):
                return words(shelf)
        return ""


def words(shelf: Shelf) -> str:
    """For people: ``shelved until 2027-01-15T16:00:00Z by Eva: pump is replaced``."""
    return f"shelved until {rfc3339(shelf.until_ns)[:19]}Z by {shelf.who}: {shelf.why}"


def _facts(shelf: Shelf) -> dict[str, object]:
    until = f"{rfc3339(shelf.until_ns)[:19]}Z"
    return {"shelf": shelf.number, "what": shelf.name, "until": until, "critical": shelf.critical, "who": shelf.who, "why": shelf.why}
