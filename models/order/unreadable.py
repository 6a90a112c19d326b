"""Records that name no order or no step: told as one condition per kind of record, so that none vanishes without a trace."""

from __future__ import annotations

from typing import Literal

from gateway.contract import Finding, Record, RecordSpec, Severity, State

FORGIVEN = 100
"""So many readable records in a row, and it is over: kinds of message that share a topic must not make it flap."""


class Unreadable:
    """``<record>_unreadable`` of each watched record: ACTIVE from the first one without order or step.

    counts   by record: how many readable ones are still to come until it is over; 0 = it is. Kept by the detector's state
    """

    def __init__(self, specs: tuple[RecordSpec, ...]) -> None:
        self._specs = {spec.path: spec for spec in specs}
        self.counts = dict.fromkeys(self._specs, 0)
        self._since = dict.fromkeys(self._specs, 0)
        self._told: set[str] = set()

    def seen(self, record: Record, missing: Literal["", "order", "step"], path: str) -> list[Finding]:
        """What one record changes; `missing` names what `path` did not lead to, empty for a readable record."""
        source = record.source
        before = self.counts[source]
        now = self.counts[source] = FORGIVEN if missing else max(0, before - 1)
        if now and not before:
            self._since[source] = record.t_ns
        if bool(now) == bool(before) and source in self._told:
            return []
        self._told.add(source)
        return [self._finding(record, missing, path, active=now > 0)]

    def load(self, counts: dict[str, int]) -> None:
        self.counts = {source: counts.get(source, 0) for source in self._specs}
        self._told.clear()

    def _finding(self, record: Record, missing: str, path: str, *, active: bool) -> Finding:
        spec = self._specs[record.source]
        why = f"with no usable {missing} at {path}" if missing else "that name no order or step came lately"
        return Finding(
            machine=spec.machine,
            condition=f"{spec.name}_unreadable",
            state=State.ACTIVE if active else State.OVER,
            t_ns=record.t_ns,
            since_ns=min(self._since[record.source] or record.t_ns, record.t_ns),
            severity=Severity.WARNING,
            title=f"{record.source}: records {why}" if active else f"{record.source}: every record names an order and a step",
            explanation={"record": record.source, "missing": missing, "path": path, "fields": _names(record)}
            if missing
            else {"record": record.source},
            hold_seconds=0.0,
        )


def _names(record: Record) -> list[str]:
    """Some, and not the whole of each: what is sent to us may be of any size."""
    return [name[:100] for name in sorted(map(str, record.fields))[:20]]
