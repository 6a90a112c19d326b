"""An incident and the changes of it that matter to others."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from gateway.contract import Finding, Json, Severity


class Incident(msgspec.Struct, kw_only=True):
    """One condition of one machine, from its beginning to its end. Stored as JSON in the outbox's database.

    state      pending (active, not yet held long enough), open, closed
    active     False while an open incident waits for `clear_after`
    severity   of the condition now; `peak` the worst so far: it decides where the events go, so that whoever got the
               opening gets the closing too
    withheld   why its latest change was not told; empty: it was
    from_record  caused by a business message: every change of it is stored, because the message was acknowledged
    told       the destinations that got events of it
    events     number of the event it caused last, which is how many there were, but for those a restore leapt over (`leapt`)
    """

    id: str
    machine: str
    condition: str
    detector: str
    domain: str
    state: str
    active: bool
    title: str
    severity: int
    peak: int
    score: float | None
    since_ns: int
    changed_ns: int
    raised_ns: int = 0
    cleared_ns: int = 0
    occurrences: int = 1
    events: int = 0
    told: list[str] = []
    key: str = ""
    tags: list[str] = []
    explanation: dict[str, Json] = {}
    evidence: dict[str, Json] = {}
    from_record: bool = False
    hold_seconds: float = 0.0
    withheld: str = ""
    leapt: int = 0

    @property
    def caused(self) -> int:
        """How many events."""
        return self.events - self.leapt

    def take(self, finding: Finding) -> None:
        """What the detector says now."""
        self.title, self.severity, self.score, self.key = finding.title[:255], int(finding.severity), finding.score, finding.key
        self.peak = max(self.peak, self.severity)
        self.tags = list(finding.tags[:50])
        self.explanation = dict(finding.explanation)
        self.evidence = {**self.evidence, **finding.evidence}

    def dump(self) -> bytes:
        return _encode(self)

    @staticmethod
    def load(body: bytes) -> Incident:
        return _decode(body)

    @property
    def worst(self) -> Severity:
        return SEVERITIES[self.peak]


SEVERITIES = {int(severity): severity for severity in Severity}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Incident).decode


class Phase(Enum):
    """What happened to the incident; NOTED and DROPPED (a pending one came to nothing) are stored but nobody is told."""

    NOTED = "noted"
    DROPPED = "dropped"
    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Change(NamedTuple):
    """A change that goes to disk; `t_ns` is when it happened, `reason` says why it was updated."""

    phase: Phase
    incident: Incident
    t_ns: int
    reason: str = ""


def beginning(finding: Finding, last_ns: int | None, now_ns: int) -> int:
    """When it began, of which its id is made. `last_ns`: when the last one of it began, which is over.

    A detector whose state is older than the end of that one (a crash) may still believe in its beginning, or in that of one before; so
    does one that judges the same reading by other limits. An id made from it would be the id of a case that is closed.
    """
    if last_ns is None or finding.since_ns > last_ns or finding.t_ns < last_ns:
        return finding.since_ns
    return finding.t_ns if finding.t_ns > last_ns else now_ns
