"""events.md: its example is what the gateway really builds, and no event type or attribute is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.commands.schema import event_types
from gateway.contract import Event, Severity
from gateway.events import codec
from gateway.events.catalogue import check, own_types, schema

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


@pytest.fixture
def event(of_incident: Callable[..., Event]) -> Event:
    return replace(of_incident(), sequence=42)


def test_the_example_is_what_the_gateway_sends(event: Event) -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert json.loads(shown[1]) == json.loads(codec.structured(event))
    check(event.type, json.loads(shown[1])["data"])


def test_the_headers_are_what_the_gateway_sends(event: Event) -> None:
    shown = re.search(r"```text\n(NATS/1.0\n.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1].rstrip("\n").split("\n") == codec.nats_header_block(event).decode().rstrip("\r\n").split("\r\n")
    assert f"`{codec.nats_subject(event)}`" in PAGE


def test_every_attribute_has_its_row(event: Event) -> None:
    corrected = replace(event, causationid="inc-a-0001", timequality="unconfirmed")
    for name in [*codec.attributes(corrected), "datacontenttype"]:
        assert f"| `{name}` |" in PAGE, name


def test_every_type_is_in_the_catalogue() -> None:
    for domain in {type_.split(".")[2] for type_ in event_types() if type_ not in own_types()}:
        assert f"| `{domain}` |" in PAGE, domain
    for type_ in own_types():
        assert f"| `{type_}` |" in PAGE, type_


@pytest.mark.parametrize("type_", ["io.lineside.limit.raised.v1", *own_types()])
def test_every_property_of_the_data_is_described(type_: str) -> None:
    missing = [name for name in schema(type_)["properties"] if f"`{name}`" not in PAGE]
    assert missing == []


def test_severities_are_told_with_their_numbers() -> None:
    for severity in Severity:
        assert f"| {int(severity)} | `{severity.name}` |" in PAGE
