"""Builds events from incidents and facts: ids from content, times RFC 3339, data checked against its contract."""

from __future__ import annotations

from base64 import b32encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec

from gateway.contract import Event, Finding, Json, Machine, Severity
from gateway.events.catalogue import check, dataschema, event_type

_encode = msgspec.json.Encoder().encode


def digest(*parts: object) -> str:
    """16 lower-case letters and digits (80 bits) of what identifies a happening.

    >>> digest("press-07", "oil_temperature_high", 1) == digest("press-07", "oil_temperature_high", 1)
    True
    """
    return b32encode(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=10).digest()).decode().lower()


@lru_cache(maxsize=4096)
def rfc3339(t_ns: int) -> str:
    """UTC with nanoseconds: ``2027-01-15T08:00:00.000000001Z``."""
    seconds, fraction = divmod(t_ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=256)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=4096)
def traceparent(seed: str) -> str:
    """W3C trace context, the same for all events of one incident, so that a case can be followed end to end."""
    raw = blake2b(seed.encode(), digest_size=24).hexdigest()
    return f"00-{raw[:32]}-{raw[32:]}-01"


@dataclass(frozen=True, slots=True)
class EventBuilder:
    """Knows the gateway's name; everything else comes with the call.

    source   ``urn:lineside:<enterprise>:<site>:<gateway>``
    """

    source: str

    def incident_id(self, machine: str, condition: str, since_ns: int) -> str:
        return f"inc-{digest(self.source, machine, condition, since_ns)}"

    def of_incident(
        self,
        *,
        incident: str,
        number: int,
        domain: str,
        machine: Machine,
        severity: Severity,
        time_ns: int,
        now_ns: int,
        data: dict[str, Json],
    ) -> Event:
        """The `number`-th event of an incident; raises ContractViolation."""
        type_ = event_type(domain, data["state"])
        check(type_, data)
        point = data["tags"][0] if len(data["tags"]) == 1 else ""
        return Event(
            id=f"{incident}-{number:04d}",
            type=type_,
            source=self.source,
            subject=subject(machine, point),
            time_ns=time_ns,
            recorded_ns=now_ns,
            severity=severity,
            partitionkey=machine.name,
            dataschema=dataschema(type_),
            data=_encode(data),
            correlationid=incident,
            traceparent=traceparent(incident),
        )

    def of_fact(self, finding: Finding, *, detector: str, domain: str, machine: Machine, now_ns: int) -> Event:
        """A fact stands alone; the same fact told twice has the same id. Raises ContractViolation."""
        type_ = event_type(domain, finding.condition)
        data: dict[str, Json] = {
            "machine": machine.name,
            "title": finding.title[:255],
            "detector": detector,
            "at": rfc3339(finding.t_ns),
            "key": finding.key,
            "explanation": dict(finding.explanation),
        }
        if machine.asset:
            data["asset"] = machine.asset
        check(type_, data)
        identity = f"fct-{digest(self.source, detector, machine.name, finding.condition, finding.t_ns, finding.key)}"
        return Event(
            id=identity,
            type=type_,
            source=self.source,
            subject=subject(machine, ""),
            time_ns=finding.t_ns,
            recorded_ns=now_ns,
            severity=finding.severity,
            partitionkey=machine.name,
            dataschema=dataschema(type_),
            data=_encode(data),
            traceparent=traceparent(identity),
        )

    def of_replaced_outbox(self, set_aside: str, problem: str, *, now_ns: int) -> Event:
        """The outbox's file was damaged and set aside under a new name."""
        data = {
            "title": f"{self.source.rsplit(':', 1)[-1]}: the outbox was damaged and replaced",
            "at": rfc3339(now_ns),
            "set_aside": set_aside,
            "problem": problem[:1000],
        }
        return self.of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=now_ns)

    def of_gateway(self, happening: str, data: dict[str, Json], *, severity: Severity, now_ns: int) -> Event:
        """Something about the gateway itself; raises ContractViolation."""
        type_ = event_type("gateway", happening)
        check(type_, data)
        identity = f"gwy-{digest(self.source, happening, now_ns)}"
        return Event(
            id=identity,
            type=type_,
            source=self.source,
            subject=subject(Machine(name=self.source.rsplit(":", 1)[-1]), ""),
            time_ns=now_ns,
            recorded_ns=now_ns,
            severity=severity,
            partitionkey="gateway",
            dataschema=dataschema(type_),
            data=_encode(data),
            traceparent=traceparent(identity),
        )


def subject(machine: Machine, point: str) -> str:
    """``area/line/cell/machine[/point]``; a level the plant does not have is ``_``, so positions stay fixed.

    >>> subject(Machine(name="pump-3", path="utilities/cooling"), "vibration_x")
    'utilities/cooling/_/pump-3/vibration_x'
    """
    return f"{_levels(machine.path)}/{machine.name}" + (f"/{point}" if point else "")


@lru_cache(maxsize=4096)
def _levels(path: str) -> str:
    return "/".join([*filter(None, path.split("/")), "_", "_", "_"][:3])
