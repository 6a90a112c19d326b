"""Plugins are found by entry point; what is wrong with one is an error of the configuration, not a crash."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from gateway import registry
from gateway.contract import ConfigError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of all packages; a test adds its own."""
    entries: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entries", lambda group: tuple(entry for entry in entries if entry.group == group))
    return entries


def add(installed: list[EntryPoint], name: str, value: str, group: str = "gateway.sources") -> None:
    installed.append(EntryPoint(name, value, group))


def test_ours_are_there() -> None:
    assert {"modbus", "mqtt", "opcua", "replay"} <= set(registry.names("sources"))
    assert {"anomaly", "limit", "machine", "order", "river", "vibration"} <= set(registry.names("detectors"))
    assert {"https", "nats"} <= set(registry.names("uplinks"))
    assert registry.detector("limit").domain == "limit"
    assert registry.uplink("nats").name == "nats"


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="profinet"):
        registry.load("sources", "profinet")


def test_the_same_plugin_found_twice_is_one(installed: list[EntryPoint]) -> None:
    add(installed, "modbus", "drivers.modbus:plugin")
    add(installed, "modbus", "drivers.modbus:plugin")
    assert registry.names("sources") == ["modbus"]
    assert registry.source("modbus").name == "modbus"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_package.modbus:plugin", "source 'modbus' cannot be imported: No module named"),
        ("drivers.modbus:no_such_plugin", "source 'modbus' cannot be imported: .*no_such_plugin"),
        ("models.limit:plugin", "models.limit:plugin is not the source plugin 'modbus'"),
        ("drivers.mqtt:plugin", "drivers.mqtt:plugin is not the source plugin 'modbus'"),
        ("json:dumps", "json:dumps is not the source plugin 'modbus'"),
    ],
)
def test_what_is_no_plugin_of_this_name_and_kind_says_so(installed: list[EntryPoint], value: str, why: str) -> None:
    add(installed, "modbus", value)
    with pytest.raises(ConfigError, match=why):
        registry.source("modbus")


def test_two_packages_cannot_bring_the_same_name(installed: list[EntryPoint]) -> None:
    add(installed, "modbus", "drivers.modbus:plugin")
    add(installed, "modbus", "other.modbus:plugin")
    with pytest.raises(ConfigError, match="two installed packages bring source 'modbus'"):
        registry.source("modbus")
