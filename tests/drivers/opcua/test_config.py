"""Options an engineer can get wrong."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from drivers.opcua.config import OpcuaOptions, OpcuaTag, split_node


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
        ({"opcua": "opc.tcp://plc:4840", "backfill": "2h"}, "Extra inputs"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        OpcuaOptions.model_validate(options)


def test_waveforms_are_refused() -> None:
    with pytest.raises(ValidationError, match="waveforms"):
        OpcuaTag.model_validate({"node": "i=1", "kind": "waveform"})
