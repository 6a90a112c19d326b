"""Device profiles: registers filled as the vendor's map says, by pymodbus' server and encoder, and read through the profile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import plugin
from gateway.config import Settings, load
from gateway.contract import GOOD
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.ports import free_port

assert plugin.profiles is not None
FOLDER: Path = plugin.profiles
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))

# Of the vendors' maps, by hand: table, address on the wire, type, order of the words, raw value, value in engineering units.
MAPS: dict[str, dict[str, tuple[str, int, str, str, float, float]]] = {
    "eastron-sdm630": {
        "voltage_l1": ("input", 0x0000, "FLOAT32", "big", 230.5, 230.5),
        "current_l3": ("input", 0x000A, "FLOAT32", "big", 7.25, 7.25),
        "power": ("input", 0x0034, "FLOAT32", "big", -1520.5, -1520.5),
        "frequency": ("input", 0x0046, "FLOAT32", "big", 50.0, 50.0),
        "energy_import": ("input", 0x0048, "FLOAT32", "big", 1234.5, 1234.5),
        "energy_export": ("input", 0x004A, "FLOAT32", "big", 2.5, 2.5),
    },
    "janitza-umg-96rm": {
        "voltage_l1": ("holding", 19000, "FLOAT32", "big", 231.25, 231.25),
        "current_l1": ("holding", 19012, "FLOAT32", "big", 5.5, 5.5),
        "power": ("holding", 19026, "FLOAT32", "big", 12_000.0, 12_000.0),
        "frequency": ("holding", 19050, "FLOAT32", "big", 49.875, 49.875),
        "energy": ("holding", 19060, "FLOAT32", "big", 1e6, 1e6),
    },
    "abb-b23": {
        "energy_import": ("holding", 0x5000, "UINT64", "big", 123_456, 1234.56),
        "voltage_l1": ("holding", 0x5B00, "UINT32", "big", 2305, 230.5),
        "current_l1": ("holding", 0x5B0C, "UINT32", "big", 725, 7.25),
        "power": ("holding", 0x5B14, "INT32", "big", -152_050, -1520.5),
        "frequency": ("holding", 0x5B2C, "UINT16", "big", 4998, 49.98),
        "power_factor": ("holding", 0x5B3A, "INT16", "big", -987, -0.987),
    },
    "carlo-gavazzi-em340": {
        "voltage_l1": ("holding", 0x0000, "INT32", "little", 2305, 230.5),
        "current_l1": ("holding", 0x000C, "INT32", "little", 70_001, 70.001),
        "power": ("holding", 0x0028, "INT32", "little", -152_050, -15_205.0),
        "frequency": ("holding", 0x0033, "INT16", "little", 500, 50.0),
        "energy_import": ("holding", 0x0034, "INT32", "little", 1_234_567, 123_456.7),
        "energy_export": ("holding", 0x004E, "INT32", "little", 70_000, 7000.0),
    },
    "siemens-pac3200": {
        "voltage_l1": ("holding", 1, "FLOAT32", "big", 230.5, 230.5),
        "current_l1": ("holding", 13, "FLOAT32", "big", 5.5, 5.5),
        "power": ("holding", 65, "FLOAT32", "big", -1520.5, -1520.5),
        "energy_import": ("holding", 801, "FLOAT64", "big", 123_456_789.25, 123_456_789.25),
    },
    "schneider-iem3000": {
        "voltage_l1": ("holding", 0x0BD3, "FLOAT32", "big", 230.5, 230.5),
        "power": ("holding", 3059, "FLOAT32", "big", 15.25, 15.25),
        "energy_import": ("holding", 45099, "FLOAT32", "big", 1e6, 1e6),
    },
    "banner-qm30vt2": {
        "z_velocity": ("holding", 5201, "UINT16", "big", 2345, 2.345),
        "temperature": ("holding", 5203, "INT16", "big", -1250, -12.5),
        "x_velocity": ("holding", 5205, "UINT16", "big", 4500, 4.5),
        "z_kurtosis": ("holding", 5212, "UINT16", "big", 3012, 3.012),
        "x_high_frequency_acceleration": ("holding", 5221, "UINT16", "big", 65_535, 65.535),
    },
    "abb-acs580": {
        "tripped": ("holding", 3, "UINT16", "big", 0x0288, 1),
        "warning": ("holding", 3, "UINT16", "big", 0x0288, 1),
        "remote": ("holding", 3, "UINT16", "big", 0x0288, 1),
        "ready_to_run": ("holding", 3, "UINT16", "big", 0x0288, 0),
    },
    "danfoss-fc": {
        "tripped": ("holding", 50199, "UINT16", "big", 0x0888, 1),
        "running": ("holding", 50199, "UINT16", "big", 0x0888, 1),
        "control_ready": ("holding", 50199, "UINT16", "big", 0x0888, 0),
        "actual_value": ("holding", 50209, "INT16", "big", -0x2000, -50.0),
    },
    "wago-750": {
        "error_code": ("holding", 0x1020, "UINT16", "big", 4, 4),
        "error_argument": ("holding", 0x1021, "UINT16", "big", 2, 2),
        "constant_1234": ("holding", 0x2002, "UINT16", "big", 0x1234, 0x1234),
    },
}


def configured(folder: Path, name: str, url: str) -> Settings:
    file = folder / "lineside.yaml"
    head = "version: 1\nsite: {enterprise: acme, site: dresden, gateway: g1}\n"
    file.write_text(head + f'machines:\n  m1:\n    profile: {name}\n    source: {{modbus: "{url}", timeout: 1s}}\n')
    return load(file, secrets=False)


@asynccontextmanager
async def device(values: dict[str, tuple[str, int, str, str, float, float]]) -> AsyncIterator[str]:
    """pymodbus' server with these values, zeros elsewhere, as far as the last of them and some more."""
    kinds = ModbusClientMixin.DATATYPE
    last = {table: max((at for where, at, *_ in values.values() if where == table), default=0) for table in ("holding", "input")}
    words: dict[str, list[int]] = {table: [0] * min(at + 1_000, 65_536) for table, at in last.items()}
    for table, at, kind, order, raw, _ in values.values():
        number = float(raw) if "FLOAT" in kind else int(raw)
        registers = ModbusClientMixin.convert_to_registers(number, kinds[kind], word_order=order)  # type: ignore[arg-type]
        words[table][at : at + len(registers)] = registers
    bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
    held, read = ([SimData(0, values=words[table], datatype=DataType.REGISTERS)] for table in ("holding", "input"))
    port = free_port()
    server = ModbusTcpServer([SimDevice(id=1, simdata=(bits, bits, held, read))], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        await server.shutdown()


def test_every_profile_has_its_map_here() -> None:
    assert sorted(MAPS) == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_values_of_the_vendors_map_are_read(name: str, tmp_path: Path) -> None:
    async with device(MAPS[name]) as url:
        (settings,) = configured(tmp_path, name, url).sources
        source = plugin.build(settings.options, replace(source_context(plugin, {}), tags=settings.tags))
        try:
            await source.connect()
            batch: Any = await source.read()
        finally:
            await source.close()
    tags = {tag.index: tag for tag in settings.tags}
    read = {
        tags[i].name: value * tags[i].options.scale + tags[i].options.offset
        for i, value in zip(batch.tag.tolist(), batch.value.tolist(), strict=True)
    }
    assert len(read) == len(tags)
    assert set(batch.quality.tolist()) == {GOOD}
    for tag, (*_, expected) in MAPS[name].items():
        assert read[tag] == pytest.approx(expected, rel=1e-9), tag


@pytest.mark.parametrize("name", NAMES)
def test_file_names_its_source(name: str) -> None:
    head = [line for line in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(line.startswith("# Source: ") for line in head)


@pytest.mark.parametrize("name", NAMES)
def test_readme_names_it(name: str) -> None:
    assert f"`{name}`" in FOLDER.with_name("README.md").read_text(encoding="utf-8")
