"""How the devices are: lost, silent, degraded, a wrong clock, an old certificate. One incident per device and trouble.

Levels come from the links, from the times and qualities of what was read, and from what a source tells (`Health`); they become
findings when they change, and the incident life cycle does the rest: hold, flapping, closing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from gateway.config.settings import SourceSettings
from gateway.contract import Batch, Clock, Finding, Health, Quality, Severity, State, Trouble
from gateway.engine.inbox import Inbox
from gateway.engine.stages import EARLIEST_NS, Table
from gateway.events.catalogue import DEVICE
from gateway.incidents import Incidents, Rule
from gateway.telemetry.status import Link

DETECTOR = "device"
CLEAR_AFTER_SECONDS = 60.0
LOOK_SECONDS = 1.0
CLOCK_SECONDS = 60.0
"""How long an implausible time is remembered, and over how long skew is looked at."""
REFUSED_SECONDS = 60.0
"""Tags may be refused for so long before it is told: a device that has just started answers some later."""
MOST_NAMED = 20


@dataclass
class _Device:
    """One source. Monotonic seconds."""

    settings: SourceSettings
    received: int = 0
    received_at: float = 0.0
    implausible_at: float = -inf
    implausible_ns: int = 0
    lag: tuple[float, float] = (inf, inf)
    lag_at: float = 0.0
    set_back: tuple[float, float] = (-inf, 0.0)
    up_at: float | None = None
    swept: bool = False
    told: dict[tuple[Trouble, str], Health] = field(default_factory=dict)
    said: dict[str, tuple[bool, str, Severity]] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)


class Devices:
    """Of all sources.

    links     name -> link of the source
    inboxes   name -> its queue
    """

    def __init__(
        self,
        links: Callable[[str], Link | None],
        inboxes: Mapping[str, Inbox],
        incidents: Incidents,
        table: Callable[[], Table],
        clock: Clock,
    ) -> None:
        self._links, self._inboxes, self._incidents, self._table, self._clock = links, inboxes, incidents, table, clock
        self._devices: dict[str, _Device] = {}
        self._looked = -inf

    def configure(self, sources: Iterable[SourceSettings]) -> None:
        """At the start and after a reload; what is known of a source that did not change stays."""
        known, now = self._devices, self._clock.monotonic()
        self._devices = {
            source.machine: known[source.machine]
            if source.machine in known and known[source.machine].settings == source
            else _Device(source, received_at=now)
            for source in sources
        }

    @property
    def rule(self) -> Rule:
        """A source that is not configured any more has no troubles."""
        return Rule(DETECTOR, DEVICE, 0.0, CLEAR_AFTER_SECONDS, frozenset(f"{name}/*" for name in self._devices))

    def told(self, name: str, health: Health) -> None:
        """By the source."""
        device = self._devices.get(name)
        if device is not None:
            device.told[health.trouble, health.device] = health

    def times(self, name: str, batch: Batch, now_ns: int) -> None:
        """Of readings as they came from the source, in the order of their time."""
        device = self._devices.get(name)
        if device is None or not len(batch):
            return
        now, oldest, newest = self._clock.monotonic(), int(batch.t_ns[0]), int(batch.t_ns[-1])
        if oldest < EARLIEST_NS or newest > now_ns + self._table().ahead_ns:
            device.implausible_at, device.implausible_ns = now, oldest if oldest < EARLIEST_NS else newest
            return
        if self._table().doubt_from_ns:
            return  # whose clock is wrong, nobody can say
        if now - device.lag_at > CLOCK_SECONDS:
            device.lag, device.lag_at = (inf, device.lag[0]), now
        lag = (now_ns - newest) / 1e9
        if lag < device.lag[0]:
            device.lag = (lag, device.lag[1])

    def set_back(self, name: str, seconds: float) -> None:
        """The clock of a source was seen to have been set back by so much."""
        if name in self._devices:
            self._devices[name].set_back = (self._clock.monotonic(), seconds)

    def skew_seconds(self, name: str) -> float | None:
        """How far the device's clock is ahead of ours, less what its readings take to come; None while nothing is known."""
        device = self._devices.get(name)
        lag = min(device.lag) if device is not None else inf
        return None if lag == inf else -lag

    def leap(self) -> None:
        """The gateway's clock was put right: what was measured against it says nothing."""
        for device in self._devices.values():
            device.lag, device.implausible_at = (inf, inf), -inf

    def findings(self) -> list[Finding]:
        """What changed since the last look, at most once a second."""
        now = self._clock.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        return [finding for name, device in self._devices.items() for finding in self._look(name, device, now)]

    def _look(self, name: str, device: _Device, now: float) -> Iterator[Finding]:
        link = self._links(name)
        if link is None:
            return
        levels: dict[str, Health] = {}
        for level in self._levels(name, device, link, now):
            # The gateway and the source may speak of one trouble; it is over when both say so.
            if level.active or not levels.get(_condition(level), level).active:
                levels[_condition(level)] = level
        for condition, level in levels.items():
            if (finding := self._changed(name, device, condition, level)) is not None:
                yield finding
        yield from self._sweep(name, device, link, now)

    def _levels(self, name: str, device: _Device, link: Link, now: float) -> Iterator[Health]:
        up = link.state == "up"
        device.up_at = (now if device.up_at is None else device.up_at) if up else None
        yield Health(trouble=Trouble.LOST, active=link.state in ("down", "connecting"), why=link.why or "not connected yet")
        yield self._silence(name, device, now)
        yield self._clock_of(device, now)
        own = [health for health in device.told.values() if health.trouble is Trouble.DEGRADED and health.active]
        # What the source knows better is told by the source.
        yield self._refused(device, up and not own and device.up_at is not None and now - device.up_at > REFUSED_SECONDS)
        yield from list(device.told.values())

    def _silence(self, name: str, device: _Device, now: float) -> Health:
        inbox, limit = self._inboxes.get(name), device.settings.options.silent_after
        received = inbox.received if inbox is not None else 0
        if received != device.received or device.up_at is None:
            device.received, device.received_at = received, now
        silent = limit is not None and bool(device.settings.tags) and now - device.received_at > limit
        return Health(trouble=Trouble.SILENT, active=silent, why=f"connected, but no reading for {limit or 0:g} s")

    def _clock_of(self, device: _Device, now: float) -> Health:
        wrong = now - device.implausible_at < CLOCK_SECONDS
        ahead, (back_at, back) = -min(device.lag), device.set_back
        was_set = now - back_at < CLOCK_SECONDS
        why = f"its clock is {ahead:.0f} s ahead of the gateway's"
        if wrong:
            why = f"its readings are of {_day(device.implausible_ns)}"
        elif was_set:
            why = f"its clock was set back by about {back:.0f} s; what it told for the first minute after that was late"
        return Health(trouble=Trouble.CLOCK_WRONG, active=wrong or was_set or ahead > CLOCK_SECONDS, why=why)

    def _refused(self, device: _Device, look: bool) -> Health:
        tags = device.settings.tags if look else ()
        quality = self._table().last_quality[[tag.index for tag in tags]] if tags else np.zeros(0, np.uint8)
        refused = [tags[i].name for i in np.flatnonzero(quality == Quality.BAD_DEVICE)]
        why = f"{len(refused)} of {len(tags)} tags are refused"
        return Health(trouble=Trouble.DEGRADED, active=bool(refused), why=why, facts={"tags": refused[:MOST_NAMED]})

    def _changed(self, name: str, device: _Device, condition: str, level: Health) -> Finding | None:
        now = (level.active, level.why if level.active else "", level.severity)
        before = device.said.get(condition)
        if before == now:
            return None
        device.said[condition] = now
        now_ns = self._clock.now_ns()
        if not level.active or before is None or not before[0]:
            device.since[condition] = now_ns
        return _finding(name, condition, level, now_ns, device)

    def _sweep(self, name: str, device: _Device, link: Link, now: float) -> Iterator[Finding]:
        """Once after each connection: troubles from before a restart that nobody tells any more are over."""
        if link.state != "up" or device.up_at is None:
            device.swept = False
        elif not device.swept and now - device.up_at > CLEAR_AFTER_SECONDS:
            device.swept, now_ns = True, self._clock.now_ns()
            for incident in self._incidents.open:
                said = device.said.get(incident.condition, (False, ""))
                if incident.detector == DETECTOR and incident.machine == name and not said[0]:
                    yield _over(name, incident.condition, now_ns)


def _condition(level: Health) -> str:
    prefix = "" if level.trouble.value.startswith("certificate") else "device_"
    return f"{prefix}{level.trouble.value}{f':{level.device}' if level.device else ''}"[:160]


def _finding(name: str, condition: str, level: Health, now_ns: int, device: _Device) -> Finding:
    who = f"{name}, {level.device}" if level.device else name
    return Finding(
        machine=name,
        condition=condition,
        state=State.ACTIVE if level.active else State.OVER,
        t_ns=now_ns,
        since_ns=device.since.get(condition, now_ns),
        severity=level.severity,
        title=f"{who}: {_WORDS[level.trouble]}, {level.why}",
        explanation={"trouble": level.trouble.value, "device": level.device, "why": level.why, **level.facts},
        hold_seconds=device.settings.options.lost_after if level.trouble is Trouble.LOST else None,
    )


def _over(name: str, condition: str, now_ns: int) -> Finding:
    return Finding(
        machine=name,
        condition=condition,
        state=State.OVER,
        t_ns=now_ns,
        since_ns=now_ns,
        severity=Severity.WARNING,
        title=f"{name}: it is well",
    )


def _day(t_ns: int) -> str:
    return str(np.datetime64(t_ns, "ns").astype("datetime64[D]"))


_WORDS = {
    Trouble.LOST: "no connection",
    Trouble.DEGRADED: "only in part readable",
    Trouble.SILENT: "silent",
    Trouble.CLOCK_WRONG: "wrong clock",
    Trouble.STOPPED: "its driver was stopped again and again",
    Trouble.CERTIFICATE: "certificate near its end",
}
