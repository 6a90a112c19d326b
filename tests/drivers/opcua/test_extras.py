"""Elements, fields, dates, blocks, events and what a server shows when it is asked, from an asyncua server of its own types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.common.structures104 import new_struct, new_struct_field
from asyncua.server.uaprocessor import UaProcessor

from drivers.opcua import plugin
from drivers.opcua.config import OpcuaOptions
from gateway.contract import GOOD, Found, NotConnected, Quality, Record, Waveform
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.opcua import NAMESPACE, OpcuaServer
from gateway.testkit.servers.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")
VALUES = {
    "axes": ua.Variant([1.5, 2.5, 3.5], ua.VariantType.Double),
    "when": datetime(2026, 10, 2, tzinfo=UTC),
    "wave": ua.Variant([0.0] * 4, ua.VariantType.Float),
    "number": 7.0,
    "flag": True,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def typed() -> AsyncIterator[OpcuaServer]:
    """With a structure in a structure, a list of them, and a switch with a unit and a range."""
    async with OpcuaServer(VALUES) as running:
        server = running.server
        index = await server.get_namespace_index(NAMESPACE)
        inner = [new_struct_field("Name", ua.VariantType.String), new_struct_field("Speed", ua.VariantType.Double)]
        axis, _ = await new_struct(server, index, "TestkitAxis", inner)
        outer = [
            new_struct_field("Labels", ua.VariantType.String, array=True),
            new_struct_field("Skipped", ua.VariantType.Int32, optional=True),
            new_struct_field("Count", ua.VariantType.UInt16),
            new_struct_field("Axis", axis),
            new_struct_field("Axes", axis, array=True),
        ]
        await new_struct(server, index, "TestkitMotor", outer)
        await server.load_data_type_definitions()
        one = ua.TestkitAxis(Name="x", Speed=1.25)
        two = ua.TestkitAxis(Name="a longer name", Speed=2.5)
        motor = ua.TestkitMotor(Labels=["a", "b"], Count=3, Axis=one, Axes=[one, two])
        await running.add("motor", motor)
        await running.add("motors", ua.Variant([motor, ua.TestkitMotor(Count=9, Axis=two)], ua.VariantType.ExtensionObject))
        number = running.nodes("number")
        await number.add_property(0, "EURange", ua.Range(0.0, 200.0))
        await number.add_property(0, "EngineeringUnits", ua.EUInformation(DisplayName=ua.LocalizedText("%")))
        yield running


async def test_elements_fields_and_dates_are_numbers(typed: OpcuaServer, probe: Any) -> None:
    motor, motors, axes = typed.node("motor"), typed.node("motors"), typed.node("axes")
    tags = {
        "element": {"node": axes, "index": 2},
        "beyond": {"node": axes, "index": 3},
        "whole": {"node": axes},
        "no_array": {"node": typed.node("number"), "index": 0},
        "count": {"node": motor, "field": "Count"},
        "speed": {"node": motor, "field": "Axis.Speed"},
        "second": {"node": motor, "field": "Axes[1].Speed"},
        "third": {"node": motor, "field": "Axes[2].Speed"},
        "listed": {"node": motors, "index": 1, "field": "Axis.Speed"},
        "text": {"node": motor, "field": "Axis.Name"},
        "typo": {"node": motor, "field": "Axis.Sped"},
        "when": {"node": typed.node("when")},
    }
    async with probe(typed.url, tags) as reader:
        batch = await reader.each(len(tags))
    value = dict(zip(tags, batch.value.tolist(), strict=True))
    quality = dict(zip(tags, batch.quality.tolist(), strict=True))
    good = {"element": 3.5, "count": 3.0, "speed": 1.25, "second": 2.5, "listed": 2.5, "when": 1_790_899_200.0}
    assert {name: value[name] for name in good} == good
    bad = {name: quality[name] for name in tags if quality[name] != GOOD}
    no_type, no_node = Quality.BAD_TYPE, Quality.BAD_DEVICE
    assert bad == {"beyond": no_type, "whole": no_type, "no_array": no_type, "third": no_type, "text": no_node, "typo": no_node}


async def test_blocks_of_samples_are_waveforms(typed: OpcuaServer, probe: Any) -> None:
    tag = {"node": typed.node("wave"), "kind": "waveform", "rate_hz": 4000, "length": 4, "scale": 10}
    async with probe(typed.url, {"wave": tag, "aside": typed.node("number")}) as reader:
        got: list[Any] = []
        await typed.set("wave", ua.Variant([1.0, 2.0, 3.0, 4.0], ua.VariantType.Float), source_time=datetime(2026, 10, 2, tzinfo=UTC))
        async with asyncio.timeout(5):
            while not any(isinstance(item, Waveform) and item.samples.any() for item in got):
                items = await reader.source.read()
                got += items if isinstance(items, list) else [items]
    block = next(item for item in got if isinstance(item, Waveform) and item.samples.any())
    assert (block.tag, block.rate_hz, block.quality, block.samples.tolist()) == (0, 4000.0, GOOD, [10.0, 20.0, 30.0, 40.0])
    assert block.t_ns == 1_790_899_200_000_000_000 - 1_000_000


async def _records(reader: Any, wanted: int) -> list[Record]:
    got: list[Record] = []
    async with asyncio.timeout(5):
        while len(got) < wanted:
            items = await reader.source.read()
            got += [item for item in (items if isinstance(items, list) else [items]) if isinstance(item, Record)]
    return got


async def test_events_of_the_wanted_types_and_severity_are_records(typed: OpcuaServer, probe: Any) -> None:
    server = typed.server
    index = await server.get_namespace_index(NAMESPACE)
    kind = await server.create_custom_event_type(index, "Jam", ua.ObjectIds.BaseEventType, [("Station", ua.VariantType.Int32)])
    other = await server.create_custom_event_type(index, "Noise", ua.ObjectIds.BaseEventType, [])
    jam, noise = await server.get_event_generator(kind), await server.get_event_generator(other)
    jam.event.Severity, jam.event.Station, noise.event.Severity = 700, 12, 900
    records = {
        "jams": {"types": [f"nsu={NAMESPACE};i={kind.nodeid.Identifier}"], "severity": 500, "fields": [f"{index}:Station"]},
        "all": {"severity": 800},
    }
    async with probe(typed.url, {"aside": typed.node("number")}, records=records) as reader:
        await reader.source.read()
        await noise.trigger(message="hum")
        await jam.trigger(message="Stau an Station 12")
        jam.event.Severity = 100
        await jam.trigger(message="too small")
        await noise.trigger(message="hum again")
        got = await _records(reader, 3)
    got.sort(key=lambda record: record.source)  # this server sends one item's events after the other's
    assert [(record.source, record.fields["message"]) for record in got] == [
        ("m1/all", "hum"),
        ("m1/all", "hum again"),
        ("m1/jams", "Stau an Station 12"),
    ]
    fields = got[2].fields
    assert (fields["severity"], fields[f"{index}:Station"], fields["source"], fields["active"]) == (700, 12, "Server", None)
    assert abs(got[2].t_ns - datetime.now(UTC).timestamp() * 1e9) < 60e9
    assert fields["event_id"] != got[0].fields["event_id"]


async def test_an_event_that_comes_twice_is_one_record(typed: OpcuaServer, probe: Any) -> None:
    events = await typed.server.get_event_generator()
    events.event.Severity = 950
    async with probe(typed.url, {"aside": typed.node("number")}, records={"all": {"severity": 940}}) as reader:
        await reader.source.read()
        await events.trigger(message="one")
        (first,) = await _records(reader, 1)
        again = [first.fields[name] for name in ("event_id", "event_type", "source_node", "source", "time", "message", "severity")]
        alarms = next(iter(reader.source._connection._alarms.values()))
        assert alarms.record(again, 0) is None
        assert alarms.record(["ffff", *again[1:]], 0) is not None


async def test_a_server_that_does_not_know_how_to_refresh_conditions_is_read(typed: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    answer = UaProcessor.send_response

    def knows_no_calls(self: Any, handle: Any, sequence: Any, response: Any, *rest: Any) -> None:
        if isinstance(response, ua.CallResponse):
            response = ua.ServiceFault()
            response.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadNotImplemented)
        answer(self, handle, sequence, response, *rest)

    monkeypatch.setattr(UaProcessor, "send_response", knows_no_calls)
    async with probe(typed.url, {"number": typed.node("number")}, records={"all": {"severity": 940}}) as reader:
        await reader.each(1)


async def test_an_event_source_that_is_not_there_is_named(typed: OpcuaServer, probe: Any) -> None:
    told: list[Any] = []
    records = {"alarms": {"events": "nsu=urn:nobody;s=x"}, "odd": {"events": typed.node("number")}}
    async with probe(typed.url, {"aside": typed.node("number")}, records=records, told=told):
        assert told[-1].facts["nodes"] == {"alarms": "the server has no such namespace", "odd": "BadServiceUnsupported"}


async def _browsed(url: str, globs: str, tmp_path: Path) -> list[Found]:
    assert plugin.browse is not None
    options = OpcuaOptions.model_validate({"opcua": url, "timeout": "2s"})
    return [found async for found in plugin.browse(options, source_context(plugin, {}, state_dir=tmp_path), globs)]


async def test_what_a_server_has_is_rows_of_a_tags_file(typed: OpcuaServer, tmp_path: Path) -> None:
    found = {each.name: each for each in await _browsed(typed.url, "", tmp_path)}
    assert set(VALUES) <= set(found)
    number, flag, axes = found["number"], found["flag"], found["axes"]
    assert number.options == {"node": typed.node("number"), "unit": "%", "range": "0..200"}
    assert flag.options["kind"] == "state"
    assert (number.value, axes.value) == ("7.0", "3 elements")
    assert number.note.startswith("double, Objects/")
    assert axes.note.startswith("double[], ") or axes.note.startswith("double, ")
    assert "TestkitMotor" in found["motor"].note
    assert not any("ServerStatus" in each.note for each in found.values())
    for each in found.values():
        plugin.tag.model_validate({key: value for key, value in each.options.items() if key != "range"})


async def test_only_what_the_globs_name_is_told(typed: OpcuaServer, tmp_path: Path) -> None:
    assert [each.name for each in await _browsed(typed.url, "Objects/Machine/num*, Objects/*/flag", tmp_path)] == ["number", "flag"]
    assert await _browsed(typed.url, "Objects/Nothing/*", tmp_path) == []
    assert any("CurrentTime" in each.note for each in await _browsed(typed.url, "Objects/Server/*", tmp_path))


async def test_browsing_a_server_that_is_not_there_is_not_connected(tmp_path: Path) -> None:
    with pytest.raises(NotConnected, match="connection refused"):
        await _browsed(f"opc.tcp://127.0.0.1:{free_port()}", "", tmp_path)
