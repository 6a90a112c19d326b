"""On which conditions a watch has an opinion, so that an incident nobody can end any more is closed when the configuration changes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.settings import WatchSettings
from gateway.contract import Bearing, DetectorContext, Finding, Machine, Severity, State, Tag, TagOptions
from gateway.engine.opinion import Opinion
from gateway.incidents import Incidents, Rule
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs.vibration import Rig
from models.vibration import plugin
from models.vibration.config import VibrationOptions

POINTS = {"drive_end": {"horizontal": "x"}, "free_end": {"horizontal": "y"}}
PLAIN = {"x_velocity", "x_trend", "x_signal", "y_velocity", "y_trend", "y_signal"}
PLACED = {"vibration_velocity", "vibration_trend", "x_signal", "y_signal"}


def rule(*, bearing: bool = True, unit: str = "g", **more: Any) -> Rule:
    """Of a watch that looks at another pump, too, which has all that one can have."""
    tags = tuple(
        Tag(i, machine, name, TagOptions(kind="waveform", unit=unit if machine == "pump-3" else "g"))
        for i, (machine, name) in enumerate((machine, name) for machine in ("pump-3", "pump-4") for name in "xy")
    )
    known = Bearing(designation="6205", speed=1500.0)
    machines = {name: Machine(name=name, bearing=known if bearing or name == "pump-4" else None) for name in ("pump-3", "pump-4")}
    context = DetectorContext(name="v", tags=tags, machines=machines)
    options = VibrationOptions.model_validate({"on": "*/*"} | more)
    tells = Opinion(WatchSettings(name="v", plugin=plugin, options=options, tags=tags, records=()), context)
    return Rule("v", plugin.domain, 0.0, 0.0, frozenset(tag.path for tag in tags), tells=tells)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, PLAIN | {"x_bearing", "y_bearing"}),
        ({"bearing": False}, PLAIN),
        ({"unit": "um"}, PLAIN),
        ({"points": POINTS}, PLACED | {"vibration_bearing"}),
        ({"points": POINTS, "bearing": False}, PLACED),
    ],
)
def test_it_has_an_opinion_on_what_its_sensors_and_their_machine_allow(given: dict[str, Any], expected: set[str]) -> None:
    known = {*PLAIN, *PLACED, "x_bearing", "y_bearing", "vibration_bearing", "z_velocity", "x_high"}
    assert {condition for condition in known if rule(**given).tells("pump-3", condition)} == expected


def test_whatever_it_says_it_has_an_opinion_on() -> None:
    rig = Rig()
    detector = rig.detector()
    told = {finding.condition for item in rig.faulty() for finding in detector.process(item)}
    assert {"vibration_x_velocity", "vibration_x_bearing"} <= told
    assert all(rule().tells("pump-3", condition.replace("vibration_x", "x")) for condition in told)


@pytest.mark.parametrize(
    ("condition", "now"),
    [
        ("x_bearing", {"bearing": False}),
        ("x_bearing", {"points": POINTS}),
        ("x_velocity", {"points": POINTS}),
        ("vibration_bearing", {}),
    ],
)
def test_an_incident_that_it_cannot_end_any_more_is_closed_by_the_new_configuration(condition: str, now: dict[str, Any]) -> None:
    before = rule(points=POINTS) if condition.startswith("vibration") else rule()
    incidents = Incidents(FakeClock(), lambda machine, what, since_ns: f"{machine} {what} {since_ns}", evidence_seconds=0)
    finding = Finding(
        machine="pump-3", condition=condition, state=State.ACTIVE, t_ns=1, since_ns=1, severity=Severity.WARNING, title="it is", tags=("x",)
    )
    assert [change.phase.value for change in incidents.apply(finding, before)] == ["raised"]
    assert incidents.retire({"v": before}) == []
    assert [change.phase.value for change in incidents.retire({"v": rule(**now)})] == ["cleared"]
