"""Builds events from incidents and facts: ids from content, times RFC 3339, data checked against its contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec

from gateway.contract import Event, Finding, Json, Machine, Severity
from gateway.events import happenings
from gateway.events.catalogue import SHIPPED, Catalogue, ContractViolation

_encode = msgspec.json.Encoder().encode
_HOUR_NS = 3_600_000_000_000
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [one + two for one in _BASE32 for two in _BASE32]
"""Two letters for each ten bits: the library's base32 takes longer than the hash."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def digest(*parts: object) -> str:
    """16 lower-case letters and digits (80 bits) of what identifies a happening.

    >>> digest("press-07", "oil_temperature_high", 1) == digest("press-07", "oil_temperature_high", 1)
    True
    """
    number = int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=10).digest())
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])


def rfc3339(t_ns: int) -> str:
    """UTC with nanoseconds: ``2027-01-15T08:00:00.000000001Z``."""
    seconds, fraction = divmod(t_ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=256)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def to_ns(text: str) -> int:
    """Nanoseconds since 1970 of RFC 3339 in UTC with any number of decimals.

    >>> to_ns("1970-01-01T00:00:01.000000002Z"), to_ns("1970-01-01T00:00:01Z")
    (1000000002, 1000000000)
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


def is_time(text: str) -> bool:
    """Written as `rfc3339` does.

    >>> is_time(rfc3339(1)), is_time("2027-01-15"), is_time("order 4711 of 2027-01-15T08:00:00Z")
    (True, False, False)
    """
    return len(text) == 30 and _TIME.fullmatch(text) is not None


@lru_cache(maxsize=256)
def traceparent(seed: str) -> str:
    """W3C trace context, the same for all events of one incident, so that a case can be followed end to end."""
    raw = blake2b(seed.encode(), digest_size=24).hexdigest()
    return f"00-{raw[:32]}-{raw[32:]}-01"


@dataclass(frozen=True, slots=True)
class EventBuilder:
    """Knows the gateway's name; everything else comes with the call.

    source      ``urn:lineside:<enterprise>:<site>:<gateway>``
    catalogue   the contracts; every event is of the newest major of its contract
    majors      contracts that stay at an older major, by name: ``{"incident": 1}``

    An event that breaks its contract is not returned: ContractViolation is raised with the event in it.
    """

    source: str
    catalogue: Catalogue = SHIPPED
    majors: Mapping[str, int] = field(default_factory=dict)

    def incident_id(self, machine: str, condition: str, since_ns: int, *, epoch: int = 0) -> str:
        """epoch   of a restored outbox, see `gateway/outbox/epoch.py`: the same condition may have had an id since the backup"""
        return f"inc-{digest(self.source, machine, condition, since_ns, *((epoch,) if epoch else ()))}"

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
        type_ = self._type(domain, data["state"])
        point = data["tags"][0] if len(data["tags"]) == 1 else ""
        event = Event(
            id=f"{incident}-{number:04d}",
            type=type_,
            source=self.source,
            subject=subject(machine, point),
            time_ns=time_ns,
            recorded_ns=now_ns,
            severity=severity,
            partitionkey=machine.name,
            dataschema=self.catalogue.dataschema(type_),
            data=_encode(data),
            correlationid=incident,
            traceparent=traceparent(incident),
        )
        return self._checked(event, data)

    def of_fact(self, finding: Finding, *, detector: str, domain: str, machine: Machine, now_ns: int) -> Event:
        """A fact stands alone; the same fact told twice has the same id. Raises ContractViolation."""
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
        identity = f"fct-{digest(self.source, detector, machine.name, finding.condition, finding.t_ns, finding.key)}"
        return self._alone(
            identity, self._type(domain, finding.condition), machine, data, finding.severity, time_ns=finding.t_ns, now_ns=now_ns
        )

    def of_replaced_outbox(self, set_aside: str, problem: str, *, now_ns: int) -> Event:
        """The outbox's file was damaged and set aside under a new name; nothing of it was taken over."""
        data = happenings.replaced(self._gateway, set_aside, problem, rfc3339(now_ns))
        return self.of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=now_ns)

    def of_salvaged_outbox(
        self, set_aside: str, problem: str, *, saved: Mapping[str, int | None], lost: Mapping[str, int | None], now_ns: int
    ) -> Event:
        """The same, but what could be read was taken over: counts of `events` and `incidents`, None = not known."""
        data = happenings.salvaged(self._gateway, set_aside, problem, rfc3339(now_ns), saved, lost)
        return self.of_gateway("outbox_salvaged", data, severity=Severity.ERROR, now_ns=now_ns, identity=(set_aside, problem))

    def of_restored(self, epoch: int, *, backup_ns: int, now_ns: int) -> Event:
        """The gateway goes on from a backup; `epoch` is the sequence it goes on behind."""
        data = happenings.restored(self._gateway, epoch, rfc3339(backup_ns), rfc3339(now_ns))
        return self.of_gateway("restored", data, severity=Severity.WARNING, now_ns=now_ns, identity=(epoch,))

    def of_contract_rejected(self, type_: str, pointer: str, problem: str, *, now_ns: int) -> Event:
        """The same rejection within one hour of the clock is one event, however many events it befell."""
        data = happenings.rejected(self._gateway, type_, pointer, problem, rfc3339(now_ns))
        identity = (type_, pointer, problem, now_ns // _HOUR_NS)
        return self.of_gateway("contract_rejected", data, severity=Severity.ERROR, now_ns=now_ns, identity=identity)

    def of_summary(
        self,
        machine: Machine,
        *,
        destination: str,
        from_ns: int,
        to_ns: int,
        count: int,
        by_type: Mapping[str, int],
        by_severity: Mapping[str, int],
        incidents: Sequence[str],
        reason: str,
        now_ns: int,
        worst: Severity | None = None,
    ) -> Event:
        """Stands for `count` events of one machine that were over the budget of `destination`. Its time is that of the first of them.

        worst   the highest severity among them; default: as `by_severity` has it
        """
        by_severity = {name.lower(): number for name, number in by_severity.items()}
        severity = happenings.worst(by_severity) if worst is None else worst
        data = happenings.summarised(
            machine,
            destination=destination,
            stretch=(rfc3339(from_ns), rfc3339(to_ns)),
            count=count,
            by_type=by_type,
            by_severity=by_severity,
            severity=severity,
            incidents=incidents,
            reason=reason,
            at=rfc3339(now_ns),
        )
        told = (destination, machine.name, from_ns, to_ns, count, sorted(data["by_type"].items()), *data["incidents"])
        identity = f"gwy-{digest(self.source, 'events_summarised', *told)}"
        return self._alone(identity, self._type("gateway", "events_summarised"), machine, data, severity, time_ns=from_ns, now_ns=now_ns)

    def of_gateway(
        self, happening: str, data: dict[str, Json], *, severity: Severity, now_ns: int, identity: tuple[object, ...] | None = None
    ) -> Event:
        """Something about the gateway itself; raises ContractViolation.

        identity   what tells this happening from others of its kind; default: its time
        """
        name = f"gwy-{digest(self.source, happening, *((now_ns,) if identity is None else identity))}"
        machine = Machine(name=self._gateway)
        type_ = self._type("gateway", happening)
        return self._alone(name, type_, machine, data, severity, time_ns=now_ns, now_ns=now_ns, partitionkey="gateway")

    def _alone(
        self,
        identity: str,
        type_: str,
        machine: Machine,
        data: dict[str, Json],
        severity: Severity,
        *,
        time_ns: int,
        now_ns: int,
        partitionkey: str = "",
    ) -> Event:
        """An event that belongs to no incident."""
        event = Event(
            id=identity,
            type=type_,
            source=self.source,
            subject=subject(machine, ""),
            time_ns=time_ns,
            recorded_ns=now_ns,
            severity=severity,
            partitionkey=partitionkey or machine.name,
            dataschema=self.catalogue.dataschema(type_),
            data=_encode(data),
            traceparent=traceparent(identity),
        )
        return self._checked(event, data)

    def _checked(self, event: Event, data: Json) -> Event:
        try:
            self.catalogue.check(event.type, data)
        except ContractViolation as exc:
            exc.event = event
            raise
        return event

    def _type(self, domain: str, happening: str) -> str:
        if not self.majors:
            return self.catalogue.event_type(domain, happening)
        newest = self.catalogue.event_type(domain, happening)
        return self.catalogue.event_type(domain, happening, self.majors.get(self.catalogue.contract(newest)))

    @property
    def _gateway(self) -> str:
        return self.source.rsplit(":", 1)[-1]


def subject(machine: Machine, point: str) -> str:
    """``area/line/cell/machine[/point]``; a level the plant does not have is ``_``, so positions stay fixed.

    >>> subject(Machine(name="pump-3", path="utilities/cooling"), "vibration_x")
    'utilities/cooling/_/pump-3/vibration_x'
    """
    return f"{_levels(machine.path)}/{machine.name}" + (f"/{point}" if point else "")


@lru_cache(maxsize=4096)
def _levels(path: str) -> str:
    return "/".join([*filter(None, path.split("/")), "_", "_", "_"][:3])
