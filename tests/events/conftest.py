"""Events as the gateway builds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract import Event, Machine, Severity
from gateway.events.build import EventBuilder, rfc3339

SINCE_NS = 1_800_000_000_123_456_789
PUMP = Machine(name="pump-3", path="utilities/cooling", asset="02i5e0000000PUMP3")


@pytest.fixture
def builder() -> EventBuilder:
    return EventBuilder("urn:lineside:acme:dresden:dresden-press-01")


@pytest.fixture
def incident_data(builder: EventBuilder) -> dict[str, Any]:
    return {
        "incident": builder.incident_id("pump-3", "vibration_x_bearing", SINCE_NS),
        "state": "raised",
        "machine": "pump-3",
        "asset": "02i5e0000000PUMP3",
        "condition": "vibration_x_bearing",
        "title": "pump-3: outer race of the bearing is damaged",
        "severity": "error",
        "detector": "vibration-1",
        "score": 3.2,
        "since": rfc3339(SINCE_NS),
        "raised": rfc3339(SINCE_NS + 5_000_000_000),
        "occurrences": 1,
        "tags": ["vibration_x"],
        "explanation": {"line_hz": 107.4},
        "evidence": {"spectrum": {"hz": [0, 1], "g": [0.1, 0.2]}},
    }


@pytest.fixture
def of_incident(builder: EventBuilder, incident_data: dict[str, Any]) -> Callable[..., Event]:
    """The first event of one incident of pump-3, with other data if given."""

    def build(number: int = 1, machine: Machine = PUMP, **changed: Any) -> Event:
        data = incident_data | changed
        return builder.of_incident(
            incident=data["incident"],
            number=number,
            domain="vibration",
            machine=machine,
            severity=Severity.ERROR,
            time_ns=SINCE_NS,
            now_ns=SINCE_NS + 6_000_000_000,
            data=data,
        )

    return build
