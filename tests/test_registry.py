"""Plugins are found by entry point; what is wrong with one is an error of the configuration, not a crash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway import registry
from gateway.contract import ConfigError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are installed; a test installs its own. None of ours is there."""
    ours = [folder for folder in sys.path if any(Path(folder).glob("lineside-*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(folder for folder in sys.path if folder not in ours)])
    return tmp_path


def add(installed: Path, name: str, value: str, group: str = "gateway.sources") -> None:
    number = len(list(installed.iterdir()))
    about = installed / f"package_{number}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: package-{number}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")


def test_ours_are_there() -> None:
    assert {"modbus", "mqtt", "opcua", "replay"} <= set(registry.names("sources"))
    assert {"anomaly", "limit", "machine", "order", "river", "vibration"} <= set(registry.names("detectors"))
    assert {"https", "nats"} <= set(registry.names("uplinks"))
    assert registry.detector("limit").domain == "limit"
    assert registry.uplink("nats").name == "nats"


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="profinet"):
        registry.load("sources", "profinet")


def test_the_same_plugin_found_twice_is_one(installed: Path) -> None:
    add(installed, "modbus", "drivers.modbus:plugin")
    add(installed, "modbus", "drivers.modbus:plugin")
    assert registry.names("sources") == ["modbus"]
    assert registry.source("modbus").name == "modbus"


def test_what_is_installed_while_the_gateway_runs_is_there_for_the_next_configuration(installed: Path) -> None:
    assert registry.names("sources") == []
    add(installed, "modbus", "drivers.modbus:plugin")
    assert registry.names("sources") == ["modbus"]


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
def test_what_is_no_plugin_of_this_name_and_kind_says_so(installed: Path, value: str, why: str) -> None:
    add(installed, "modbus", value)
    with pytest.raises(ConfigError, match=why):
        registry.source("modbus")


def test_two_packages_cannot_bring_the_same_name(installed: Path) -> None:
    add(installed, "modbus", "drivers.modbus:plugin")
    add(installed, "modbus", "other.modbus:plugin")
    with pytest.raises(ConfigError, match="two installed packages bring source 'modbus'"):
        registry.source("modbus")
