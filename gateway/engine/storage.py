"""The gateway's own disk: one incident while it does not store, and what status, metrics and systemd are told of it.

The incident is held in memory as long as nothing can be written, and stored and sent as soon as it can be: on a full disk at once, with
the room that is kept aside for that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path

from gateway.contract import Clock, Finding, Json, Severity, State
from gateway.events.catalogue import GATEWAY
from gateway.incidents import Incidents, Rule
from gateway.outbox.condition import StorageState
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Figure
from gateway.telemetry.wear import Wear

DETECTOR = "storage"
HOLD_SECONDS, CLEAR_AFTER_SECONDS, LOOK_SECONDS = 2.0, 60.0, 1.0
_WORDS: dict[StorageState, str] = {
    "full": "the disk is full",
    "read_only": "the disk is read-only",
    "locked": "another program holds the outbox",
    "failing": "the disk fails",
}
_WORN = "storage_worn"


class Storage:
    """Of one gateway, whose `name` the incidents carry as their machine."""

    def __init__(self, name: str, folder: Path, outbox: Outbox, wear: Wear, incidents: Incidents, clock: Clock) -> None:
        self._name, self._folder, self._outbox, self._incidents, self._clock = name, folder, outbox, incidents, clock
        self.wear = wear
        self.rule = Rule(DETECTOR, GATEWAY, HOLD_SECONDS, CLEAR_AFTER_SECONDS, frozenset({f"{name}/*"}))
        self._said: dict[str, Finding] = {}
        self._looked, self._swept = -inf, False

    @property
    def words(self) -> str:
        """For `systemctl status`; empty while it stores."""
        state = self._outbox.condition.state
        return "" if state == "storing" else f"NOT STORING: {_WORDS[state]} ({self._outbox.refused}); "

    def findings(self) -> list[Finding]:
        """What changed since the last look, at most once a second."""
        now = self._clock.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        return [*self._changed(), *self._sweep()]

    def _changed(self) -> Iterator[Finding]:
        active = {finding.condition: finding for finding in self._active()}
        for condition, finding in active.items():
            if condition not in self._said:
                self._said[condition] = finding
                yield finding
        for condition in [condition for condition in self._said if condition not in active]:
            del self._said[condition]
            yield self._over(condition)

    def _active(self) -> Iterator[Finding]:
        condition, health = self._outbox.condition, self.wear.health
        if condition.state != "storing":
            words = _WORDS[condition.state]
            told = {"why": condition.why, "remedy": condition.remedy, "unknown": self._outbox.unknown}
            yield self._finding(f"storage_{condition.state}", f"{words}: nothing new is stored", Severity.ERROR, told)
        if health is not None and health.worn:
            told = {"life_used_percent": health.used_percent, "end_of_life": health.end, "remedy": "replace the disk soon"}
            yield self._finding(_WORN, "the disk is worn out", Severity.WARNING, told)

    def _finding(self, condition: str, words: str, severity: Severity, told: dict[str, Json]) -> Finding:
        now_ns = self._clock.now_ns()
        return Finding(
            machine=self._name,
            condition=condition,
            state=State.ACTIVE,
            t_ns=now_ns,
            since_ns=now_ns,
            severity=severity,
            title=f"{self._name}: {words}",
            explanation=told,
        )

    def _over(self, condition: str) -> Finding:
        now_ns = self._clock.now_ns()
        return Finding(
            machine=self._name,
            condition=condition,
            state=State.OVER,
            t_ns=now_ns,
            since_ns=now_ns,
            severity=Severity.ERROR,
            title=f"{self._name}: it stores again",
        )

    def _sweep(self) -> Iterator[Finding]:
        """Once: what was open before a restart and is over now."""
        if not self._swept:
            self._swept = True
            for incident in self._incidents.open:
                if incident.detector == DETECTOR and incident.condition not in self._said:
                    yield self._over(incident.condition)

    def as_json(self, waiting: int) -> dict[str, Json]:
        """For the status. `waiting`: changes and events that are in memory only."""
        outbox = self._outbox
        return {
            "state": outbox.condition.state,
            "why": outbox.condition.why,
            "remedy": outbox.condition.remedy,
            "since": outbox.condition.since_ns / 1e9 or None,
            "unknown": outbox.unknown,
            "reopened": outbox.reopened,
            "waiting_in_memory": waiting,
            "free_bytes": self._free(),
            "reserve_bytes": outbox.reserve.size,
            "reserve_held_bytes": outbox.reserve.held,
            "wear": self.wear.as_json(),
        }

    def _free(self) -> int | None:
        with suppress(OSError):
            found = os.statvfs(self._folder)
            return found.f_bavail * found.f_frsize
        return None

    def figures(self) -> Iterator[Figure]:
        """For the metrics; what is not known is left out."""
        outbox, free, years = self._outbox, self._free(), self.wear.lasts_years()
        yield Figure("storing", "1 = new events are stored", int(outbox.condition.state == "storing"))
        yield Figure("storage_unknown", "1 = whether the last commit is on the disk is not known", int(outbox.unknown))
        yield Figure("storage_reopened", "times the outbox was opened again after a failed commit", outbox.reopened, kind="counter")
        yield Figure("storage_reserve_bytes", "bytes kept aside for a full disk", outbox.reserve.held)
        if free is not None:
            yield Figure("storage_free_bytes", "bytes free on the disk of the state folder", free)
        for of, rate in self.wear.per_day().items():
            if rate is not None:
                yield Figure("storage_written_bytes_per_day", "bytes written a day, by the gateway and to its disk", rate, (("of", of),))
        if years is not None:
            yield Figure("storage_lasts_years", "what the disk bears, counted from new, at this rate", years)
