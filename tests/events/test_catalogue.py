"""Every event type has its contract; nothing leaves that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.commands.schema import event_types
from gateway.contract import Event
from gateway.events.catalogue import SHIPPED, ContractViolation, check, dataschema, event_type, own_types, schema

OfIncident = Callable[..., Event]
FACT = {"machine": "mes", "title": "order 4711 reached milling", "detector": "order-1", "at": "2027-01-15T08:00:00.000000000Z"}
REPLACED = {"title": "replaced", "at": "2027-01-15T08:00:00.000000000Z", "set_aside": "outbox.db.damaged-1", "problem": "malformed"}


def test_the_command_writes_one_contract_for_each_type(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "contracts"
    assert CliRunner().invoke(main, ["schema", "--events", str(folder)]).exit_code == 0
    written = {file.name.removesuffix(".schema.json"): json.loads(file.read_text(encoding="utf-8")) for file in folder.iterdir()}
    assert sorted(written) == event_types()
    for type_, contract in written.items():
        assert contract == schema(type_)
        assert contract["$id"] == dataschema(type_)


def test_incidents_of_every_domain_are_known_and_facts_with_a_contract_of_their_own() -> None:
    types = event_types()
    assert {event_type("limit", state) for state in ("raised", "updated", "cleared")} <= set(types)
    assert own_types() == [
        "io.lineside.gateway.clock_set.v1",
        "io.lineside.gateway.contract_rejected.v1",
        "io.lineside.gateway.events_summarised.v1",
        "io.lineside.gateway.outbox_replaced.v1",
        "io.lineside.gateway.outbox_salvaged.v1",
        "io.lineside.gateway.restored.v1",
        "io.lineside.order.milestone_reached.v1",
    ]
    assert set(own_types()) <= set(types)


def test_contracts_are_closed_for_the_producer() -> None:
    for type_ in event_types():
        assert schema(type_)["additionalProperties"] is False, type_
        assert schema(type_)["title"], type_


@pytest.mark.parametrize("domain", ["limit", "anomaly", "vibration", "order", "something_new"])
@pytest.mark.parametrize("state", ["raised", "updated", "cleared"])
def test_data_of_an_incident_fits(incident_data: dict[str, Any], domain: str, state: str) -> None:
    check(event_type(domain, state), incident_data | {"state": state})
    with pytest.raises(ContractViolation) as caught:
        check(event_type(domain, state), incident_data | {"state": "raised" if state == "cleared" else "cleared"})
    assert caught.value.pointer == "/state"


def test_data_of_a_fact_and_of_the_gateway_fit() -> None:
    check("io.lineside.order.milestone_reached.v1", FACT | {"key": "4711", "explanation": {"step": "milling"}})
    check("io.lineside.other.thing_happened.v1", FACT)
    check("io.lineside.gateway.outbox_replaced.v1", REPLACED)


@pytest.mark.parametrize(
    "type_", [event_type("limit", "raised"), "io.lineside.order.milestone_reached.v1", "io.lineside.gateway.outbox_replaced.v1"]
)
def test_an_unknown_property_is_refused(incident_data: dict[str, Any], type_: str) -> None:
    data = {"limit": incident_data, "order": FACT, "gateway": REPLACED}[type_.split(".")[2]]
    check(type_, data)
    with pytest.raises(ContractViolation, match="colour"):
        check(type_, data | {"colour": "red"})


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"severity": "bad"}, "/severity"),
        ({"incident": "INC-1"}, "/incident"),
        ({"score": "high"}, "/score"),
        ({"occurrences": 0}, "/occurrences"),
        ({"tags": ["a", 5]}, "/tags/1"),
        ({"tags": ["x"] * 51}, "/tags"),
        ({"title": ""}, "/title"),
        ({"title": "x" * 256}, "/title"),
        ({"reason": "because"}, "/reason"),
        ({"explanation": []}, "/explanation"),
        ({"asset": 5}, "/asset"),
    ],
)
def test_a_violation_points_at_its_place(of_incident: OfIncident, changed: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ContractViolation) as caught:
        of_incident(**changed)
    assert caught.value.pointer == pointer
    assert str(caught.value).startswith(f"io.lineside.vibration.raised.v1: {pointer}: ")


@pytest.mark.parametrize("missing", ["machine", "condition", "since", "tags", "incident"])
def test_what_is_missing_is_named(incident_data: dict[str, Any], missing: str) -> None:
    del incident_data[missing]
    with pytest.raises(ContractViolation, match=missing) as caught:
        check(event_type("limit", "raised"), incident_data)
    assert caught.value.pointer == ""


def test_the_url_of_a_contract_names_type_and_version(of_incident: OfIncident) -> None:
    assert of_incident().dataschema == "https://lineside.example/contracts/io.lineside.vibration.raised/1.0.json"


def test_contracts_use_what_draft_7_and_2020_12_have_in_common() -> None:
    later = {"$defs", "definitions", "dependentRequired", "prefixItems", "unevaluatedProperties", "additionalItems", "$ref"}
    for name, versions in SHIPPED.contracts().items():
        for version in versions:
            assert not later & keywords(json.loads(SHIPPED.file(name, version).read_text(encoding="utf-8"))), (name, version)


def keywords(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(keywords, node)) if node else set()
    return set(node).union(*map(keywords, node.values())) if isinstance(node, dict) else set()
