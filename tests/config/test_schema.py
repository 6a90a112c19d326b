"""The JSON Schema that editors complete lineside.yaml with, and the example in the documentation."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from click.testing import Result

from gateway import registry
from gateway.config import load
from gateway.config.explain import option_names
from gateway.config.yaml import parse

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "example.yaml"
SECRETS = ("cnc02_password", "crm_token", "nats_creds")


@pytest.fixture
def example() -> Any:
    return copy.deepcopy(parse(EXAMPLE.read_text(encoding="utf-8")).data)


@pytest.mark.usefixtures("no_network")
def test_the_example_is_fine(lineside: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(f"LINESIDE_SECRET_{name.upper()}", "x")
    result = lineside("check", str(EXAMPLE))
    assert (result.exit_code, result.stderr) == (0, "")
    assert load(EXAMPLE).secrets == SECRETS


def test_the_shipped_schema_is_current(schema: dict[str, Any]) -> None:
    shipped = json.loads((DOCS / "lineside.schema.json").read_text(encoding="utf-8"))
    assert shipped == schema, "run: lineside schema --write docs/lineside.schema.json"


def test_the_example_fits_the_schema(example: Any, valid: Callable[[Any], Any]) -> None:
    valid(example)
    assert EXAMPLE.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=lineside.schema.json\n")


@pytest.mark.parametrize("sample", sorted(DOCS.parent.glob("*/*/sample.yaml")), ids=lambda sample: str(sample.parent.name))
def test_the_sample_of_each_plugin_fits_the_schema(sample: Path, valid: Callable[[Any], Any]) -> None:
    valid(parse(sample.read_text(encoding="utf-8")).data)


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "wach", []),
        (("site",), "timezon", "UTC"),
        (("machines", "press-07", "source"), "poll", 1),
        (("machines", "cnc-02", "tags", "spindle_load"), "at", 40011),
        (("machines", "cnc-02", "tags", "spindle_load"), "deadband", "much"),
        (("machines", "pump-3", "tags", "speed"), "node", "i=1"),
        (("machines", "mes", "records", "order_step"), "value", "$.x"),
        (("machines", "press-07", "source"), "opcua", "opc.tcp://10.1.4.7:4840"),
        (("profiles", "hydraulic-press", "tags", "running"), "node", "i=1"),
        (("watch", 0, "limit"), "hihg", 1),
        (("watch", 0), "limt", {"on": "x"}),
        (("machines",), "Press 07", {}),
        (("deliver", "crm"), "stream", "EVENTS"),
        (("deliver", "buffer"), "megabytes", 1),
        (("incidents",), "clear_after", 300),
        (("gateway", "page"), "port", 70000),
    ],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else str(part),
)
def test_an_editor_marks_what_check_would_refuse(
    example: Any, valid: Callable[[Any], Any], place: tuple[str | int, ...], key: str, value: Any
) -> None:
    node = example
    for part in place:
        node = node[part]
    node[key] = value
    with pytest.raises(fastjsonschema.JsonSchemaException):
        valid(example)


def test_an_address_is_required_unless_a_profile_may_bring_it(example: Any, valid: Callable[[Any], Any]) -> None:
    example["machines"]["press-07"]["tags"] = {"oil_temperature": {"deadband": 2}, "running": None}
    valid(example)
    example["machines"]["press-08"] = {"source": {"modbus": "tcp://10.1.4.8:502"}, "tags": {"oil_temperature": {"deadband": 2}}}
    with pytest.raises(fastjsonschema.JsonSchemaException):
        valid(example)


def test_every_option_of_every_plugin_is_offered(schema: dict[str, Any]) -> None:
    defs = schema["$defs"]
    for name in registry.names("sources"):
        plugin = registry.source(name)
        assert list(defs[f"{name}_source"]["properties"]) == option_names(plugin.options)
        assert list(defs[f"{name}_tag"]["properties"]) == option_names(plugin.tag)
        if plugin.record is not None:
            assert list(defs[f"{name}_record"]["properties"]) == option_names(plugin.record)
    for name in registry.names("detectors"):
        assert list(defs[f"{name}_watch"]["properties"]) == option_names(registry.detector(name).options)
        assert name in schema["properties"]["watch"]["items"]["properties"]
    for name in registry.names("uplinks"):
        assert list(defs[f"{name}_destination"]["properties"]) == option_names(registry.uplink(name).options)
