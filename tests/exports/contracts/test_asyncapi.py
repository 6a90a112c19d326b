"""The AsyncAPI document: by the rules of its specification, and true of what the gateway sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import fastjsonschema
import pytest
from msgspec.structs import replace

from gateway.contract import Event, Severity
from gateway.events import codec
from gateway.events.build import EventBuilder
from gateway.events.catalogue import SHIPPED
from gateway.events.published import sent_types
from gateway.exports.asyncapi import asyncapi
from gateway.exports.attributes import ATTRIBUTES, OPTIONAL
from gateway.uplink.nats.subjects import feedback_subject

Node = Any
SOURCE = "urn:lineside:acme:dresden:dresden-press-01"
DOCUMENT: Node = json.loads(json.dumps(asyncapi()))
FIELDS = {
    "": {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"},
    "servers": {"host", "protocol", "description", "variables"},
    "channels": {"address", "messages", "title", "servers", "parameters"},
    "operations": {"action", "channel", "messages", "summary", "bindings"},
    "messages": {"headers", "payload", "correlationId", "contentType", "name", "title"},
}
"""What the specification allows of each object (the part of it that we use); anything else must begin with x-."""


def at(reference: str) -> Node:
    node = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def references(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from references(each)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)


def resolved(node: Node) -> Node:
    """A schema with what it refers to in its place: what a parser of such documents does."""
    if isinstance(node, list):
        return [resolved(each) for each in node]
    if not isinstance(node, dict):
        return node
    return resolved(at(node["$ref"])) if "$ref" in node else {key: resolved(value) for key, value in node.items()}


@cache
def validator(message: str, part: str) -> Any:
    schema = resolved(at(f"#/components/messages/{message}/{part}"))
    if part == "payload":
        assert schema["schemaFormat"] == "application/schema+json;version=draft-07"
        schema = schema["schema"]
    return fastjsonschema.compile(schema)


def examples() -> list[Any]:
    found = []
    for type_ in sent_types():
        name = SHIPPED.contract(type_)
        for file in (SHIPPED.folder / name / "1.0.valid").iterdir():
            data = json.loads(file.read_text(encoding="utf-8"))
            if data.get("state", type_.split(".")[3]) == type_.split(".")[3]:
                found.append(pytest.param(type_, data, id=f"{type_[12:]}-{file.name}"))
    return found


def event_of(type_: str, data: Node) -> Event:
    return Event(
        id="evt-0001",
        type=type_,
        source=SOURCE,
        subject="press shop/line-2/_/press-07/öl",
        time_ns=1_800_000_000_123_456_789,
        recorded_ns=1_800_000_006_000_000_000,
        severity=Severity.ERROR,
        partitionkey="press-07",
        dataschema=SHIPPED.dataschema(type_),
        data=json.dumps(data).encode(),
        sequence=42,
        correlationid=data.get("incident", ""),
    )


def test_objects_have_the_fields_of_the_specification() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT["info"]) == {"title", "version", "description"}
    assert set(DOCUMENT["components"]) == {"parameters", "schemas", "messages", "correlationIds"}
    for where, allowed in FIELDS.items():
        found = {"": {"": DOCUMENT}, "messages": DOCUMENT["components"]["messages"]}.get(where) or DOCUMENT[where]
        for name, each in found.items():
            assert {key for key in each if not key.startswith("x-")} <= allowed, (where, name)


def test_every_reference_leads_somewhere_and_none_leads_out() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        assert reference.startswith("#/")
        assert at(reference) is not None


def test_keys_of_components_are_what_the_specification_allows() -> None:
    for group in DOCUMENT["components"].values():
        assert all(re.fullmatch(r"[\w.\-]+", key) for key in group)


def test_hosts_are_variables_with_a_default() -> None:
    for server in DOCUMENT["servers"].values():
        assert set(re.findall(r"\{(\w+)\}", server["host"])) == set(server["variables"])
        assert all(variable["default"] for variable in server["variables"].values())
    assert {server["protocol"] for server in DOCUMENT["servers"].values()} == {"nats", "https"}


def test_parameters_of_an_address_are_described_no_more_and_no_less() -> None:
    for name, channel in DOCUMENT["channels"].items():
        assert set(re.findall(r"\{(\w+)\}", channel["address"] or "")) == set(channel.get("parameters", {})), name
        assert [at(server["$ref"])["protocol"] for server in channel["servers"]] == ["https" if name == "https" else "nats"]


def test_every_channel_has_its_operation_and_the_direction_is_ours() -> None:
    operations = DOCUMENT["operations"].values()
    assert {operation["channel"]["$ref"].removeprefix("#/channels/") for operation in operations} == set(DOCUMENT["channels"])
    receiving = [operation["channel"]["$ref"] for operation in operations if operation["action"] == "receive"]
    assert receiving == ["#/channels/feedback.verdict.v1"]
    assert {operation["action"] for operation in operations} == {"send", "receive"}


def test_every_message_is_in_a_channel() -> None:
    used = {message["$ref"] for channel in DOCUMENT["channels"].values() for message in channel["messages"].values()}
    assert used == {f"#/components/messages/{name}" for name in DOCUMENT["components"]["messages"]}


def test_schemas_have_no_id_and_are_open() -> None:
    """An embedded `$id` would stand twice for one name, and a closed schema would refuse the next minor."""

    def keys(node: Node) -> Iterator[tuple[str, Node]]:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            yield str(key), value
            yield from keys(value)

    pairs = list(keys(DOCUMENT["components"]["schemas"]))
    assert not [value for key, value in pairs if key == "$id"]
    assert not [value for key, value in pairs if key == "additionalProperties" and value is False]


@pytest.mark.parametrize("type_", sent_types())
def test_the_address_is_where_the_event_is_published(type_: str) -> None:
    address = DOCUMENT["channels"][type_[12:]]["address"]
    places = {"enterprise": "acme", "site": "dresden", "area": "press-shop", "line": "line-2", "cell": "_"}
    assert address.format(**places) == codec.nats_subject(event_of(type_, {}))


def test_the_address_of_verdicts_is_where_the_gateway_listens() -> None:
    address = DOCUMENT["channels"]["feedback.verdict.v1"]["address"]
    assert address.format(site="dresden", gateway="dresden-press-01") == feedback_subject(SOURCE)


@pytest.mark.parametrize(("type_", "data"), examples())
def test_an_event_fits_its_message_in_every_form(type_: str, data: Node) -> None:
    event = event_of(type_, data)
    name = type_[12:]
    validator(name, "headers")(codec.nats_headers(event))
    validator(name, "payload")(data | {"of_a_later_minor": 1})
    validator(f"{name}.structured", "payload")(json.loads(codec.structured(event)))
    validator("batch", "payload")(json.loads(codec.batch([event, event])))
    assert at(f"#/components/messages/{name}")["x-dataschema"] == event.dataschema


def test_another_event_does_not_fit(a_raised_one: tuple[str, Node]) -> None:
    type_, data = a_raised_one
    event = replace(event_of(type_, data), type="io.lineside.limit.cleared.v1")
    name = type_[12:]
    for part, given in (("headers", codec.nats_headers(event)), ("payload", data | {"severity": "dreadful"})):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            validator(name, part)(given)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator(f"{name}.structured", "payload")(json.loads(codec.structured(event)))


@pytest.fixture
def a_raised_one() -> tuple[str, Node]:
    return next(each.values for each in examples() if each.values[0] == "io.lineside.limit.raised.v1")  # type: ignore[return-value]


def test_attributes_are_those_of_the_codec() -> None:
    event = event_of("io.lineside.limit.raised.v1", {"incident": "inc-1"})
    plain = codec.attributes(replace(event, correlationid="", traceparent=""))
    full = codec.attributes(replace(event, causationid="evt-0000", traceparent="00-1-1-01", timequality="unconfirmed"))
    assert set(ATTRIBUTES) == {*full, "datacontenttype"}
    assert set(ATTRIBUTES) - OPTIONAL == {*plain, "datacontenttype"}


def test_a_correlation_is_where_the_document_says() -> None:
    builder = EventBuilder(SOURCE)
    raised = DOCUMENT["components"]["messages"]["limit.raised.v1"]
    assert at(raised["correlationId"]["$ref"])["location"] == "$message.header#/ce-correlationid"
    fact = DOCUMENT["components"]["messages"]["order.milestone_reached.v1"]
    event = builder.of_contract_rejected("io.lineside.limit.raised.v1", "/title", "too long", now_ns=1)
    assert "correlationId" not in fact
    assert "ce-correlationid" not in codec.nats_headers(event)
