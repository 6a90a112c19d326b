"""Options an engineer can get wrong."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from drivers.opcua.address import Step, deadband_of, split_field, split_node, split_path
from drivers.opcua.config import OpcuaOptions, OpcuaTag
from drivers.opcua.plan import plan
from gateway.contract import Tag


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("i=2258", (0, 2258)),
        ("ns=2;s=Spindle.Load", (2, "Spindle.Load")),
        ('ns=3;s="DB_1"."value";a=b', (3, '"DB_1"."value";a=b')),
        ("nsu=http://vendor.example/cnc;i=7", ("http://vendor.example/cnc", 7)),
        ("ns=1;g=72962b91-fa75-4ae6-8d28-b404dc7daf63", (1, UUID("72962b91-fa75-4ae6-8d28-b404dc7daf63"))),
        ("ns=1;b=AQID", (1, b"\x01\x02\x03")),
    ],
)
def test_node_ids_as_the_specification_writes_them(node: str, expected: tuple[object, object]) -> None:
    assert split_node(node) == expected
    assert OpcuaTag(node=node).node == node


@pytest.mark.parametrize("node", ["Spindle.Load", "ns=2;Spindle", "ns=x;s=a", "i=12a", "i=4294967296", "g=1234", "b=*", "ns=2;s="])
def test_what_is_no_node_id_is_refused(node: str) -> None:
    with pytest.raises(ValidationError, match="no node id"):
        OpcuaTag(node=node)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"opcua": "http://10.0.0.1:4840"}, "write opc.tcp"),
        ({"opcua": "opc.tcp://10.0.0.1"}, "write opc.tcp"),
        ({"opcua": "opc.tcp://10.0.0.1:99999"}, "no valid port"),
        ({"opcua": "opc.tcp://me:pass@10.0.0.1:4840"}, "no user or password in the address"),
        ({"opcua": "opc.tcp://plc:4840", "user": "me"}, "belong together"),
        ({"opcua": "opc.tcp://plc:4840", "security": "Basic128Rsa15/Sign"}, "Basic256Sha256"),
        ({"opcua": "opc.tcp://plc:4840", "backfill": "90d"}, "less than or equal"),
        ({"opcua": "opc.tcp://plc:4840", "certificate": "me.der"}, "belong together"),
        ({"opcua": "opc.tcp://plc:4840", "user": "me", "password": {"secret": "p"}, "certificate": "c", "key": "k"}, "not by both"),
        ({"opcua": "opc.tcp://plc:4840", "key_password": {"secret": "p"}}, "needs key"),
        ({"opcua": "opc.tcp://plc:4840", "watchdog": "1s"}, "greater than or equal"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        OpcuaOptions.model_validate(options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "write node or path"),
        ({"node": "i=1", "path": "Objects/A"}, "write node or path"),
        ({"path": "Objects//A"}, "a name between two slashes"),
        ({"path": "Objects"}, "is no path"),
        ({"node": "i=1", "kind": "waveform"}, "needs rate_hz"),
        ({"node": "i=1", "kind": "waveform", "rate_hz": 1000, "index": 1}, "not for kind: waveform"),
        ({"node": "i=1", "rate_hz": 1000}, "for kind: waveform"),
        ({"node": "i=1", "field": "Motor..Speed"}, "is no field"),
        ({"node": "i=1", "field": "[3]"}, "is no field"),
        ({"node": "i=1", "server_deadband": "much"}, "is no deadband"),
        ({"node": "i=1", "server_deadband": "120%"}, "is no deadband"),
        ({"node": "i=1", "server_deadband": 1, "index": 2}, "for plain numbers"),
    ],
)
def test_tags_that_cannot_work_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        OpcuaTag.model_validate(options)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("Objects/2:Machine/Load", [Step(2, "Machine"), Step(None, "Load")]),
        ("/0:Objects/Machine", [Step(None, "Machine")]),
        ("nsu=http://vendor.example/cnc;Machine/nsu=urn:x;A&/B", [Step("http://vendor.example/cnc", "Machine"), Step("urn:x", "A/B")]),
        ("3:a:b", [Step(3, "a:b")]),
    ],
)
def test_paths_with_indices_uris_or_neither(path: str, steps: list[Step]) -> None:
    assert list(split_path(path)) == steps
    assert OpcuaTag(path=path).path == path


def test_places_in_a_structure_and_deadbands() -> None:
    assert split_field("Motor.Axes[12].Speed") == ("Motor", "Axes", 12, "Speed")
    assert OpcuaTag.model_validate({"node": "i=1", "server_deadband": 0.5}).server_deadband == "0.5"
    assert (deadband_of("2 %"), deadband_of("0.5")) == ((2.0, True), (0.5, False))


def test_what_it_costs_is_known_before_anything_is_connected() -> None:
    options = OpcuaOptions.model_validate({"opcua": "opc.tcp://plc:4840", "publishing": "1s", "sampling": "100ms", "queue": 5})
    wave = OpcuaTag.model_validate({"node": "i=1", "kind": "waveform", "rate_hz": 10_000, "length": 1000})
    tags = [Tag(0, "m", "a", OpcuaTag(node="i=1")), Tag(1, "m", "b", OpcuaTag(path="Machine/B")), Tag(2, "m", "w", wave)]
    load = plan(options, tags)
    assert (load.readings, load.requests, load.cycle_seconds) == (11.0, 1.0, 1.0)  # five a second of two tags, and the server's time
    assert load.bytes == 11 * 30 + 1000 * 4 + 270
    assert any("queue 5 is less than" in note for note in load.notes)
    assert any("1 browse paths" in note for note in load.notes)
