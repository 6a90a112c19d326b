"""What a detector noticed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum

import msgspec

from gateway.contract.items import Json


class Severity(IntEnum):
    """Numbers of OpenTelemetry's log model, names of a control room."""

    INFO = 9
    WARNING = 13
    ERROR = 17
    CRITICAL = 21


class State(Enum):
    """ACTIVE and OVER are the two states of a condition; a FACT happened and has no end."""

    ACTIVE = "active"
    OVER = "over"
    FACT = "fact"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a machine began, changed or ended; or something happened (a fact).

    machine       name of the machine
    condition     stable within the machine: ``oil_temperature_high``; ``machine + condition`` is one incident,
                  so two names for one fault make two cases. For a fact: its past-tense name, ``milestone_reached``
    state         see `State`
    t_ns          time of the sample that decided it, not of the computing
    since_ns      when the condition began, at most t_ns
    severity      of the condition now; rising severity updates the incident
    score         strength; unit and range stand in the detector's README
    title         one line a service engineer reads first
    tags          names of the tags concerned, the most telling first
    explanation   JSON facts: value, limit, expected band, lines found ...
    evidence      bulky JSON (a spectrum), bounded by the detector; kept with the incident
    hold_seconds  overrides the watch's ``hold`` for this condition
    key           for a fact: what tells two of one instant apart (an order number); for a condition: the diagnosis
                  (``outer_race``), a change of which updates the incident

    Findings are levels, not edges: saying ACTIVE again changes nothing but severity, title, explanation and evidence.
    OVER of a condition nobody knows is ignored.
    """

    machine: str
    condition: str
    state: State
    t_ns: int
    since_ns: int
    severity: Severity
    title: str
    score: float = 0.0
    tags: tuple[str, ...] = ()
    explanation: Mapping[str, Json] = {}
    evidence: Mapping[str, Json] = {}
    hold_seconds: float | None = None
    key: str = ""
