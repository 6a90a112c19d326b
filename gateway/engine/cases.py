"""What the gateway tells of an incident or a fact: the event with its data and its evidence."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.config.settings import IncidentSettings
from gateway.contract import Clock, Event, Finding, Json, Machine, Severity
from gateway.events.build import EventBuilder, rfc3339
from gateway.events.catalogue import ContractViolation
from gateway.incidents import Change, History, Phase, Rule, evidence
from gateway.outbox.summary import Group
from gateway.telemetry.counts import Counts

_SEVERITY_NAMES = {int(severity): severity.name.lower() for severity in Severity}


class Cases:
    """Knows the machines as the CRM does, and the readings around a beginning."""

    def __init__(
        self,
        builder: EventBuilder,
        *,
        machines: Mapping[str, Machine],
        history: History,
        settings: IncidentSettings,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._builder, self._counts, self._clock = builder, counts, clock
        self._budget = evidence.Budget(clock)
        self.configure(machines, history, settings)

    def configure(self, machines: Mapping[str, Machine], history: History, settings: IncidentSettings) -> None:
        """At the start and after a reload."""
        self._machines, self._history, self._settings = machines, history, settings
        self._budget.per_minute = settings.evidence_megabytes_per_minute * 1e6

    def of_fact(self, finding: Finding, rule: Rule) -> Event:
        """Raises ContractViolation."""
        machine = self._machine(finding.machine)
        return self._builder.of_fact(finding, detector=rule.detector, domain=rule.domain, machine=machine, now_ns=self._clock.now_ns())

    def of_summary(self, destination: str, group: Group) -> Event:
        """What is over a destination's budget, of one machine."""
        return self._builder.of_summary(
            self._machine(group.machine),
            destination=destination,
            from_ns=group.from_ns,
            to_ns=group.to_ns,
            count=group.count,
            by_type=dict(group.by_type),
            by_severity=dict(group.by_severity),
            worst=group.worst,
            incidents=group.incidents,
            reason=group.reason,
            now_ns=self._clock.now_ns(),
        )

    def of_rejected(self, violation: ContractViolation) -> Event:
        """An event of ours that broke its contract."""
        return self._builder.of_contract_rejected(violation.type, violation.pointer, violation.problem, now_ns=self._clock.now_ns())

    def of_incident(self, change: Change) -> Event:
        """The incident keeps the evidence that was told. Raises ContractViolation."""
        incident = change.incident
        machine = self._machine(incident.machine)
        return self._builder.of_incident(
            incident=incident.id,
            number=incident.events,
            domain=incident.domain,
            machine=machine,
            severity=incident.worst,
            time_ns=change.t_ns,
            now_ns=self._clock.now_ns(),
            data=self._data(change, machine),
        )

    def _machine(self, name: str) -> Machine:
        return self._machines.get(name) or Machine(name=name)

    def _data(self, change: Change, machine: Machine) -> dict[str, Json]:
        incident = change.incident
        data: dict[str, Json] = {
            "incident": incident.id,
            "state": change.phase.value,
            "machine": incident.machine,
            "condition": incident.condition,
            "title": incident.title,
            "severity": _SEVERITY_NAMES[incident.severity],
            "detector": incident.detector,
            "score": incident.score,
            "since": rfc3339(incident.since_ns),
            "raised": rfc3339(incident.raised_ns),
            "occurrences": incident.occurrences,
            "tags": incident.tags,
            "explanation": incident.explanation,
        }
        if machine.asset:
            data["asset"] = machine.asset
        if change.reason:
            data["reason"] = change.reason
        if change.phase is Phase.CLEARED:
            data["cleared"] = rfc3339(incident.cleared_ns)
        elif not incident.from_record:
            incident.evidence = data["evidence"] = self._evidence(change)
        return data

    def _evidence(self, change: Change) -> dict[str, Json]:
        """The detector's own and the machine's readings around the beginning, within the caps."""
        incident, limit = change.incident, self._settings.evidence_kilobytes * 1024
        own = {name: value for name, value in incident.evidence.items() if name != "readings"}
        used = len(msgspec.json.encode(own)) if own else 0
        if used > limit:
            return {"truncated": f"the detector's evidence is {used} bytes, the cap is {limit}"}
        if not self._history.names(incident.machine):
            return own
        allowed = self._budget.allow(limit - used)
        if allowed < limit - used:
            self._counts.add("evidence_reduced", 1)
        from_ns = incident.since_ns - int(self._settings.before * 1e9)
        until_ns = max(change.t_ns, incident.raised_ns + int(self._settings.after * 1e9))
        readings, size = evidence.readings(self._history, incident.machine, incident.tags, from_ns, until_ns, allowed)
        self._budget.spend(size)
        return {**own, "readings": readings} if readings else own
