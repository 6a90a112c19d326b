"""Two majors of one contract side by side: both are built, both are checked, and the newer is told in the words of the older."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.contract import Event, Machine, Severity
from gateway.events.build import EventBuilder
from gateway.events.catalogue import SHIPPED, Catalogue, ContractViolation, Version
from gateway.events.versions import DOWN, in_major

PUMP = Machine(name="pump-3", path="utilities/cooling")
SOURCE = "urn:lineside:acme:dresden:dresden-press-01"
WORDS = {9: "info", 13: "warning", 17: "error", 21: "critical"}


def down(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "level"} | {"severity": WORDS[data["level"]]}


STEPS = {("incident", 2): down}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The shipped contracts, and a second major of `incident` that has a number where the first has a word."""
    folder = tmp_path / "contracts"
    shutil.copytree(str(SHIPPED.folder), folder)
    contract = json.loads((folder / "incident" / "1.0.schema.json").read_text(encoding="utf-8"))
    del contract["properties"]["severity"]
    contract["properties"]["level"] = {"type": "integer", "minimum": 9, "maximum": 21}
    contract["required"] = ["level" if name == "severity" else name for name in contract["required"]]
    (folder / "incident" / "2.0.schema.json").write_text(json.dumps(contract), encoding="utf-8")
    return Catalogue(folder)


@pytest.fixture
def of_level(incident_data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in incident_data.items() if name != "severity"} | {"level": 17}


def build(builder: EventBuilder, data: dict[str, Any]) -> Event:
    return builder.of_incident(
        incident=data["incident"], number=1, domain="vibration", machine=PUMP, severity=Severity.ERROR, time_ns=5, now_ns=6, data=data
    )


def test_the_newest_major_is_built_unless_told_otherwise(
    catalogue: Catalogue, incident_data: dict[str, Any], of_level: dict[str, Any]
) -> None:
    new, old = EventBuilder(SOURCE, catalogue), EventBuilder(SOURCE, catalogue, {"incident": 1})
    event = build(new, of_level)
    assert event.type == "io.lineside.vibration.raised.v2"
    assert event.dataschema == "https://lineside.example/contracts/io.lineside.vibration.raised/2.0.json"
    assert build(old, incident_data) == build(EventBuilder(SOURCE), incident_data), "as if there were no second major"
    with pytest.raises(ContractViolation, match="level"):
        build(new, incident_data)
    with pytest.raises(ContractViolation, match="severity"):
        build(old, of_level)


def test_facts_and_the_gateways_own_stay_at_their_only_major(catalogue: Catalogue) -> None:
    builder = EventBuilder(SOURCE, catalogue)
    assert builder.of_contract_rejected("t", "/a", "p", now_ns=1).type.endswith(".v1")
    assert catalogue.event_type("order", "milestone_reached") == "io.lineside.order.milestone_reached.v1"


def test_both_majors_are_served_and_checked(catalogue: Catalogue, incident_data: dict[str, Any], of_level: dict[str, Any]) -> None:
    catalogue.check("io.lineside.limit.raised.v1", incident_data)
    catalogue.check("io.lineside.limit.raised.v2", of_level)
    assert catalogue.versions("io.lineside.limit.raised.v2") == [Version(2, 0)]
    assert catalogue.incident_types({"limit"})[:2] == ["io.lineside.limit.cleared.v1", "io.lineside.limit.cleared.v2"]
    with pytest.raises(ContractViolation, match="has no contract"):
        catalogue.check("io.lineside.limit.raised.v3", of_level)


def test_who_wants_the_major_before_gets_a_rendition_that_fits_it(
    catalogue: Catalogue, incident_data: dict[str, Any], of_level: dict[str, Any]
) -> None:
    event = build(EventBuilder(SOURCE, catalogue), of_level)
    older = in_major(event, {"incident": 1}, catalogue=catalogue, steps=STEPS)
    assert (older.type, older.id) == ("io.lineside.vibration.raised.v1", f"{event.id}-v1")
    assert older.dataschema.endswith("/io.lineside.vibration.raised/1.0.json")
    assert msgspec.json.decode(older.data) == incident_data
    assert (older.correlationid, older.time_ns, older.recorded_ns) == (event.correlationid, event.time_ns, event.recorded_ns)
    assert older == in_major(event, {"incident": 1}, catalogue=catalogue, steps=STEPS), "made again it has the same id"


@pytest.mark.parametrize("majors", [{}, {"incident": 2}, {"incident": 3}, {"fact": 1}])
def test_who_wants_the_newest_or_says_nothing_gets_the_event_itself(
    catalogue: Catalogue, of_level: dict[str, Any], majors: dict[str, int]
) -> None:
    event = build(EventBuilder(SOURCE, catalogue), of_level)
    assert in_major(event, majors, catalogue=catalogue, steps=STEPS) is event


def test_an_event_of_the_older_major_stays_as_it_is(catalogue: Catalogue, incident_data: dict[str, Any]) -> None:
    event = build(EventBuilder(SOURCE, catalogue, {"incident": 1}), incident_data)
    assert in_major(event, {"incident": 1}, catalogue=catalogue, steps=STEPS) is event


def test_a_missing_step_or_one_that_goes_wrong_is_said(catalogue: Catalogue, of_level: dict[str, Any]) -> None:
    event = build(EventBuilder(SOURCE, catalogue), of_level)
    with pytest.raises(LookupError, match="no step from incident 2 down to 1"):
        in_major(event, {"incident": 1}, catalogue=catalogue)
    with pytest.raises(ContractViolation, match="severity"):
        in_major(event, {"incident": 1}, catalogue=catalogue, steps={("incident", 2): lambda data: data})


def test_every_major_but_the_first_that_is_shipped_has_its_step_down() -> None:
    majors = {(name, version.major) for name, versions in SHIPPED.contracts().items() for version in versions}
    assert {(name, major) for name, major in majors if (name, major - 1) in majors} == set(DOWN)
