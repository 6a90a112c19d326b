"""Looking for what a device has, and what comes out of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import probing as module
from gateway import registry
from gateway.config import load
from gateway.contract import NotConnected
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)


async def lines(url: str, **options: Any) -> list[str]:
    plugin = registry.source("modbus")
    assert plugin.probe is not None
    given = plugin.options.model_validate({"modbus": url, "timeout": "30ms"} | options)
    return [line async for line in plugin.probe(given, source_context(plugin, {}))]


@pytest.fixture
def device(plc: Plc) -> Plc:
    """Unit 3 with holding registers 100 to 119 and input registers 0 to 9."""
    plc.only = {3}
    plc.identity = {0: "Acme", 1: "Meter 7", 2: "1.2"}
    readable = {("holding", a) for a in range(100, 120)} | {("input", a) for a in range(10)}
    plc.refuse = {(table, a) for table in ("coil", "discrete", "holding", "input") for a in range(65_536)} - readable
    plc.set("holding", 104, list(struct.unpack(">HH", struct.pack(">f", 51.5))))
    return plc


async def test_units_ranges_and_values_in_every_order_are_shown(device: Plc) -> None:
    found = await lines(device.url.replace("tcp://", "modbus://"))
    text = "\n".join(found)
    assert "unit-3:  # vendor Acme, product Meter 7, revision 1.2" in found
    assert "  # holding 40101-40120 can be read" in found
    assert "  # input 30001-30010 can be read" in found
    assert "units 3" in found[0]
    assert "40105 as float32 or uint32: ABCD 51.5 or " in text
    shown = [line for line in found if "as float32" in line]
    assert all(all(order in line for order in ("ABCD", "CDAB", "BADC", "DCBA")) for line in shown)
    assert any("40104 as" in line for line in shown)
    assert any("40106 as" in line for line in shown)


async def test_what_is_printed_is_a_configuration_when_it_stands_under_machines(device: Plc, tmp_path: Path) -> None:
    device.refuse = {(t, a) for t, a in device.refuse if t != "coil" or a > 3}
    head = "version: 1\nsite: {enterprise: acme, site: dresden, gateway: g1}\nmachines:\n"
    file = tmp_path / "lineside.yaml"
    file.write_text(head + "".join(f"  {line}\n" for line in await lines(device.url)))
    (source,) = load(file, secrets=False).sources
    assert source.options.unit_id == 3
    assert {"holding_40105", "coil_00001", "input_30001"} <= {tag.name for tag in source.tags}


async def test_device_that_does_not_look_at_the_number_is_one_unit(plc: Plc) -> None:
    found = await lines(plc.url)
    assert "units 1" in found[0]
    assert [line for line in found if line.startswith("unit-")] == ["unit-1:"]


async def test_number_of_questions_is_bounded(plc: Plc) -> None:
    """Everything can be read, and every other register only, are the two worst."""
    await lines(plc.url)
    assert plc.requests < 5 * module.REQUESTS
    plc.requests = 0
    plc.refuse = {(table, a) for table in ("coil", "discrete", "holding", "input") for a in range(1, 65_536, 2)}
    await lines(plc.url)
    assert plc.requests < 5 * module.REQUESTS


async def test_search_for_units_stops_behind_the_last_one(plc: Plc) -> None:
    plc.only, plc.code = {2, 4}, 1
    assert "units 2, 4" in (await lines(plc.url))[0]
    assert max(unit for unit, _ in plc.asked) <= 4 + module.SILENT_IN_A_ROW


async def test_nobody_there_is_not_connected() -> None:
    with pytest.raises(NotConnected, match="connection refused"):
        await lines(f"tcp://127.0.0.1:{free_port()}")
