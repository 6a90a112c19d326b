"""Whatever detectors say and whenever the gateway is killed: raised, updated*, cleared; one open case per condition."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.contract import Finding, Severity, State
from gateway.incidents import Change, Incident, Incidents, Phase, Rule
from gateway.testkit.clock import FakeClock

MACHINES, CONDITIONS = ("press-07", "pump-3"), ("oil_high", "bearing")
SECOND = 1_000_000_000
IN_ORDER = ("raised", "updated", "cleared")


class AnySequence(RuleBasedStateMachine):
    """`store` is what the outbox's transaction keeps: rows and events of a change, together or not at all."""

    @initialize(hold=st.sampled_from([0.0, 5.0]), clear_after=st.sampled_from([0.0, 5.0]), evidence=st.sampled_from([0.0, 3.0]))
    def begin(self, hold: float, clear_after: float, evidence: float) -> None:
        self.rules = {"limit-1": Rule("limit-1", "limit", hold, clear_after), "limit-2": Rule("limit-2", "limit", 2.0, 0.0)}
        self.evidence = evidence
        self.clock = FakeClock()
        self.rows: dict[str, bytes] = {}
        self.events: dict[str, list[tuple[int, str]]] = {}
        self.waiting: list[Change] = []
        self.killed = False
        self.since: dict[tuple[str, tuple[str, str]], int] = {}
        self.remembered: dict[tuple[str, tuple[str, str]], int] = {}
        self.incidents = self._fresh()

    @rule(
        watch=st.sampled_from(["limit-1", "limit-1", "limit-2"]),
        key=st.tuples(st.sampled_from(MACHINES), st.sampled_from(CONDITIONS)),
        active=st.booleans(),
        severity=st.sampled_from([Severity.WARNING, Severity.CRITICAL]),
        from_record=st.booleans(),
        diagnosis=st.sampled_from(["", "outer_race"]),
        step=st.sampled_from([0.001, 1.0]),
    )
    def find(
        self, watch: str, key: tuple[str, str], active: bool, severity: Severity, from_record: bool, diagnosis: str, step: float
    ) -> None:
        """A detector that keeps when its condition began, as `limit` does."""
        self._run(self.clock.advance(step))
        t_ns = self.clock.now_ns()
        since = self.since.setdefault((watch, key), t_ns) if active else t_ns
        if not active:
            self.since.pop((watch, key), None)
        finding = Finding(
            machine=key[0],
            condition=key[1],
            state=State.ACTIVE if active else State.OVER,
            t_ns=t_ns,
            since_ns=since,
            severity=severity,
            title="x",
            key=diagnosis,
        )
        self._take(self.incidents.apply(finding, self.rules[watch], from_record=from_record))

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self._run(self.clock.advance(seconds))
        self._take(self.incidents.tick())

    @rule()
    def commit(self) -> None:
        for change in self.waiting:
            self._store(change)
        self.waiting = []

    @rule()
    def snapshot(self) -> None:
        self.remembered = dict(self.since)

    @rule(stale=st.booleans())
    def kill(self, stale: bool) -> None:
        """What was not committed is gone; the detector wakes with its last snapshot, or with nothing."""
        self.killed = True
        self.waiting = []
        self.since = dict(self.remembered) if stale else {}
        self.incidents = self._fresh()
        known = [Incident.load(body) for body in self.rows.values()]
        last: dict[tuple[str, str], int] = {}
        for incident in known:
            if incident.state == "closed" and incident.raised_ns:
                key = (incident.machine, incident.condition)
                last[key] = max(last.get(key, 0), incident.since_ns)
        self.incidents.restore([i for i in known if i.state != "closed"], self.rules, last_since=last)

    def _take(self, changes: Iterable[Change]) -> None:
        for change in changes:
            body = Incident.load(change.incident.dump())
            if change.phase is Phase.DROPPED:
                body.state = "closed"
            self.waiting.append(Change(change.phase, body, change.t_ns, change.reason))

    def _store(self, change: Change) -> None:
        incident = change.incident
        self.rows[incident.id] = incident.dump()
        if change.phase.value in IN_ORDER:
            self.events.setdefault(incident.id, []).append((incident.events, change.phase.value))

    def _fresh(self) -> Incidents:
        return Incidents(self.clock, lambda machine, condition, since: f"{machine}/{condition}/{since}", evidence_seconds=self.evidence)

    @staticmethod
    def _run(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run(coroutine)

    @invariant()
    def each_incident_is_raised_then_updated_then_cleared_once(self) -> None:
        for identity, events in getattr(self, "events", {}).items():
            assert [number for number, _ in events] == list(range(1, len(events) + 1)), (identity, events)
            phases = [phase for _, phase in events]
            assert phases[0] == "raised"
            assert phases.count("raised") == 1
            assert phases.count("cleared") <= 1
            assert "cleared" not in phases[:-1]

    @invariant()
    def never_two_open_for_one_condition(self) -> None:
        stored = [Incident.load(body) for body in getattr(self, "rows", {}).values()]
        for incidents in (stored, self.incidents.open if hasattr(self, "incidents") else []):
            keys = [(i.machine, i.condition) for i in incidents if i.state in ("open", "pending")]
            assert len(keys) == len(set(keys))

    @invariant()
    def what_is_open_and_not_ending_is_what_a_watch_says(self) -> None:
        for incident in self.incidents.open if hasattr(self, "incidents") and not self.killed else []:
            says = {watch for watch, key in self.since if key == (incident.machine, incident.condition)}
            assert incident.active == bool(says)
            assert not says or incident.detector in says


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(stateful_step_count=40, deadline=None)
