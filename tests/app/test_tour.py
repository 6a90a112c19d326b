"""docs/commissioning.md: from an unknown Modbus device and an unknown OPC UA server to a checked YAML, with the commands alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.opcua import OpcuaServer

PAGE = (Path(__file__).parents[2] / "docs/commissioning.md").read_text(encoding="utf-8")
CONFIG = """\
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01}}
machines:
  press-07:
    path: press-shop/line-2
    source: {{modbus: "{modbus}"}}
    tags:
      oil_temperature: {{at: 40011, as: float32, unit: degC, range: [-20, 150]}}
      oil_pressure: {{at: 40013, as: float32, unit: bar, range: [0, 250]}}
  cnc-02:
    path: machining/line-1
    source: {{opcua: "{opcua}"}}
    tags_from: cnc-02.csv
watch:
  - limit: {{on: press-07/oil_temperature, high: 70, hysteresis: 2, hold: 30s}}
deliver:
  plant: {{nats: "nats://127.0.0.1:4222", stream: EVENTS}}
gateway: {{state_dir: "{state}"}}
"""


async def lineside(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


@pytest.mark.timeout(120)
async def test_from_two_unknown_devices_to_a_checked_file(tmp_path: Path) -> None:
    async with Plc() as plc, OpcuaServer({"SpindleLoad": 41.5, "SpindleSpeed": 1797.0}) as server:
        plc.set_float("holding", 10, 55.5)
        plc.set_float("holding", 12, 182.0)
        probed = await lineside("probe", plc.url.replace("tcp:", "modbus:"))
        assert probed.exit_code == 0, probed.output
        assert re.search(r"40011 as float32 or uint32: ABCD 55\.5 ", probed.stdout), "the plausible one is shown"
        browsed = await lineside("browse", server.url, "--select", "*Spindle*")
        assert browsed.exit_code == 0, browsed.output
        (tmp_path / "cnc-02.csv").write_text(browsed.stdout)
        file = tmp_path / "lineside.yaml"
        file.write_text(CONFIG.format(modbus=plc.url, opcua=server.url, state=tmp_path / "state"))
        for command in ("check", "plan"):
            result = await lineside(command, str(file))
            assert result.exit_code == 0, result.output
        report = tmp_path / "hand-over.html"
        commissioned = await lineside("commission", str(file), "--report", str(report), "--wait", "20")
        assert commissioned.exit_code == 0, commissioned.output
        assert "press-07: connected; 2 of 2 tags" in commissioned.output
        assert "cnc-02: connected; 2 of 2 tags" in commissioned.output
        assert report.stat().st_size > 1000


def test_the_page_shows_the_commands_and_their_words() -> None:
    for command in ("lineside probe", "lineside browse", "lineside check", "lineside plan", "lineside commission", "lineside tail"):
        assert f"$ {command}" in PAGE, command
    for words in ("as float32 or uint32: ABCD 55.5", "name,node,", "press-07: connected; 2 of 2 tags"):
        assert words in PAGE, words
