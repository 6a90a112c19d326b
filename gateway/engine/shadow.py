"""Watches on trial (`shadow`): their findings go through the incident life cycle as ever, and nobody is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from gateway.contract import Clock, Finding, State
from gateway.engine.watch import Watch
from gateway.incidents import Change, Incident, Incidents, Phase
from gateway.outbox.shadow import ShadowAlarm
from gateway.telemetry.counts import Counts

_MOST_WAITING, _LONGEST_TITLE = 10_000, 255


class Shadow:
    """What they would have raised: counted, and handed over to be kept. Each has a life cycle of its own, so that one on trial may look
    at what another one watches in earnest.

    make_id   (machine, condition, since_ns) -> incident id
    """

    def __init__(self, clock: Clock, make_id: Callable[[str, str, int], str], counts: Counts) -> None:
        self._clock, self._make_id, self._counts = clock, make_id, counts
        self._incidents: dict[str, Incidents] = {}
        self._alarms: deque[ShadowAlarm] = deque(maxlen=_MOST_WAITING)

    def keep(self, watches: Iterable[Watch]) -> None:
        """After a reload: those that are on trial no more are forgotten."""
        names = {watch.name for watch in watches if watch.shadow}
        self._incidents = {name: incidents for name, incidents in self._incidents.items() if name in names}

    def found(self, watch: Watch, findings: Iterable[Finding]) -> None:
        """Of a watch on trial."""
        incidents = self._incidents.get(watch.name)
        if incidents is None:
            incidents = self._incidents[watch.name] = Incidents(self._clock, self._make_id, evidence_seconds=0.0)
        for finding in findings:
            self._counts.add("findings_shadow", 1, watch=watch.name, state=finding.state.value)
            if finding.state is State.FACT:
                self._alarm(watch.name, self._make_id(finding.machine, f"{finding.condition} {finding.key}", finding.t_ns), finding)
            else:
                self._told(watch.name, incidents.apply(finding, watch.rule))

    def tick(self) -> None:
        """Whatever became due."""
        for name, incidents in self._incidents.items():
            self._told(name, incidents.tick())

    def _told(self, name: str, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.phase is Phase.RAISED:
                self._alarm(name, change.incident.id, change.incident)

    def _alarm(self, name: str, identity: str, told: Finding | Incident) -> None:
        now_ns = self._clock.now_ns()
        self._counts.add("alarms_shadow", 1, watch=name)
        self._alarms.append(ShadowAlarm(name, identity, told.machine, told.condition, now_ns, told.title[:_LONGEST_TITLE]))

    def active(self, name: str) -> int:
        """How many a watch would have open now."""
        incidents = self._incidents.get(name)
        return len(incidents.open) if incidents is not None else 0

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much."""
        self._alarms = deque((alarm._replace(at_ns=alarm.at_ns + delta_ns) for alarm in self._alarms), _MOST_WAITING)

    def take(self) -> list[ShadowAlarm]:
        """Those since it was asked last."""
        taken = list(self._alarms)
        self._alarms.clear()
        return taken
