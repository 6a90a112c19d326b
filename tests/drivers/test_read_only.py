"""The gateway writes to no machine: what the drivers ask for is seen at the other end of the line."""

from __future__ import annotations

from importlib import import_module

import pytest

from drivers.broker.link import Link
from gateway import registry
from gateway.contract import Writer
from gateway.testkit.contexts import source_context
from gateway.testkit.rigs.modbus import Rig as ModbusRig
from gateway.testkit.rigs.mqtt import Rig as MqttRig
from gateway.testkit.rigs.sparkplug import Rig as SparkplugRig
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.mqtt import require_mosquitto

READS = {1, 2, 3, 4}
PUBLISH = 3


async def test_modbus_sends_functions_that_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    answer = Plc._answer

    def noted(plc: Plc, request: bytes) -> bytes:
        seen.add(request[0])
        return answer(plc, request)

    monkeypatch.setattr(Plc, "_answer", noted)
    rig = ModbusRig()
    await rig.start()
    source = rig.source()
    try:
        await source.connect()
        await source.read()
    finally:
        await source.close()
        await rig.stop()
    assert seen
    assert seen <= READS


async def test_mqtt_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_mosquitto()
    sent: list[int] = []
    send = Link.send

    def noted(link: Link, data: bytes) -> None:
        sent.append(data[0] >> 4)
        send(link, data)

    monkeypatch.setattr(Link, "send", noted)
    rig = MqttRig()
    await rig.start()
    source = rig.source()
    try:
        await source.connect()
        await rig.stimulate()
        await source.read()
    finally:
        await source.close()
        await rig.stop()
    assert sent
    assert PUBLISH not in sent


async def test_sparkplug_publishes_its_state_and_requests_for_births_only(monkeypatch: pytest.MonkeyPatch) -> None:
    require_mosquitto()
    sent: list[bytes] = []
    send = Link.send

    def noted(link: Link, data: bytes) -> None:
        if data[0] >> 4 == PUBLISH:
            sent.append(data)
        send(link, data)

    monkeypatch.setattr(Link, "send", noted)
    rig = SparkplugRig()
    await rig.start()
    source = rig.source()
    try:
        await source.connect()
        await rig.stimulate()
        await source.read()
    finally:
        await source.close()
        await rig.stop()
    state = [data for data in sent if b"spBv1.0/STATE/lineside-m1" in data]
    requests = [data for data in sent if b"spBv1.0/plant/NCMD/edge-1" in data and b"Node Control/Rebirth" in data]
    assert (len(state), len(requests), len(sent)) == (2, 1, 3)


@pytest.mark.parametrize("name", registry.names("sources"))
def test_no_source_can_write_but_those_that_say_so(name: str) -> None:
    source = import_module(f"gateway.testkit.rigs.{name}").Rig().source()
    assert isinstance(source, Writer) == registry.source(name).writes


async def test_modbus_probe_sends_functions_that_read_only() -> None:
    async with Plc() as plc:
        plc.only, plc.identity = {1}, {0: "Acme"}
        plugin = registry.source("modbus")
        options = plugin.options.model_validate({"modbus": plc.url, "timeout": "20ms"})
        assert plugin.probe is not None
        assert [line async for line in plugin.probe(options, source_context(plugin, {}))]
        assert {message[0] for _, message in plc.asked} == READS | {43}
