"""Which watch tells of a condition, and how its findings become incidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.contract import Finding
from gateway.incidents.incident import Incident


@dataclass(frozen=True, slots=True)
class Rule:
    """How one watch's findings become incidents. Seconds."""

    detector: str
    domain: str
    hold: float
    clear_after: float
    watched: frozenset[str] | None = None
    """``machine/tag`` and ``machine/record`` of the watch; None: whatever it says."""
    quiet: Callable[[str, int], bool] = field(default=lambda _machine, _now_ns: False, compare=False)
    """(machine, wall time) -> it raises nothing new of this machine now."""
    tells: Callable[[str, str], bool] = field(default=lambda _machine, _condition: True, compare=False)
    """(machine, condition) -> the watch has an opinion on it at all, and so will tell its end."""

    def hold_of(self, finding: Finding) -> float:
        """Before it is raised; a finding may bring its own."""
        return self.hold if finding.hold_seconds is None else finding.hold_seconds

    def covers(self, incident: Incident) -> bool:
        """The watch still looks at what the incident is about, and for that."""
        if not self.tells(incident.machine, incident.condition):
            return False
        if self.watched is None:
            return True
        if not incident.tags:
            return any(path.startswith(f"{incident.machine}/") for path in self.watched)
        return any(f"{incident.machine}/{tag}" in self.watched for tag in incident.tags)


class Beside(NamedTuple):
    """Another watch says the same of a condition, and would have it raised then (monotonic seconds)."""

    rule: Rule
    finding: Finding | None
    raise_at: float


@dataclass(slots=True)
class Track:
    """A condition that is not over.

    rule    of the watch that tells of it: of those that say that it is active, the one that would have it raised first
    said    its last finding; None: not since the start
    beside  the other ones, by name
    """

    incident: Incident
    rule: Rule
    said: Finding | None = None
    beside: dict[str, Beside] = field(default_factory=dict)
    raise_at: float | None = None
    clear_at: float | None = None
    evidence_at: float | None = None
    waits: str = ""

    def is_set(self, due: float) -> bool:
        """One of its timers is set for then."""
        return due in (self.raise_at, self.clear_at, self.evidence_at) or any(other.raise_at == due for other in self.beside.values())

    def is_quiet(self, now_ns: int) -> bool:
        """Nothing new is raised by the watch that tells of it."""
        return self.incident.state == "pending" and self.rule.quiet(self.incident.machine, now_ns)

    def awake(self, now: float, now_ns: int) -> Beside | None:
        """Of the other watches, where that one is quiet: one that would have it raised by now, and may."""
        ripe = [other for other in self.beside.values() if other.raise_at <= now] if self.is_quiet(now_ns) else []
        return next((other for other in ripe if not other.rule.quiet(self.incident.machine, now_ns)), None)

    def successor(self, rules: Mapping[str, Rule], before: Mapping[str, Rule]) -> Rule | None:
        """The watch that answers for it from now on: the same one, else one that says the same, else a new one of its kind that covers it.
        What was among those of `before` would have said so.
        """
        incident = self.incident
        here = {name: rules[name] for name in self.beside if name in rules and rules[name].covers(incident)}
        self.beside = {name: self.beside[name]._replace(rule=rule) for name, rule in here.items()}
        own = rules.get(incident.detector)
        new = [rule for name, rule in rules.items() if rule.domain == incident.domain and before.get(name) is not rule]
        return next((rule for rule in [*([own] if own else []), *here.values(), *new] if rule.covers(incident)), None)
