"""How a device is, and what reading it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.contract.finding import Severity
from gateway.contract.items import Json


class Trouble(StrEnum):
    """What can be wrong with a device. Each is one incident per device, however often it shows."""

    LOST = "lost"  # it does not answer, or refuses us
    DEGRADED = "degraded"  # it answers, but not all of it: units, nodes or topics are missing
    SILENT = "silent"  # connected, and nothing comes
    CLOCK_WRONG = "clock_wrong"  # its time is implausible, or far from ours
    STOPPED = "stopped"  # its driver, in a process of its own, had to be stopped or crashed, again and again
    CERTIFICATE = "certificate_expiring"  # its certificate or ours ends soon


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A level, not an edge.

    active    False: it is well again
    why       one clause, in the peer's words where there are any
    device    which of several behind one source: ``unit 3``, ``node/device``; empty: the source itself
    facts     for the case: since when, which nodes, what to click
    """

    trouble: Trouble
    active: bool
    why: str = ""
    device: str = ""
    severity: Severity = Severity.WARNING
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What reading one source costs, computed before anything is connected.

    readings        per second that come in, at most
    requests        per second
    bytes           per second on the wire, both ways, with what the protocol adds
    cycle_seconds   one round of everything once, at the device's usual speed
    bus             names what it shares with other sources (a serial line); their shares add up
    bus_share       of the bus' time, 1 = all of it; 0 where there is no bus
    notes           what an engineer should know: a block that could be saved, a period that cannot be kept
    """

    readings: float
    requests: float = 0.0
    bytes: float = 0.0
    cycle_seconds: float = 0.0
    bus: str = ""
    bus_share: float = 0.0
    notes: tuple[str, ...] = ()
