"""Servers that take little at once."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from asyncua.common.connection import TransportLimits

from gateway.testkit.servers.modbus_relay import Relay
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
MANY = 1100


async def test_a_server_of_small_messages_is_asked_in_portions_that_fit(server: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server.server.bserver, "limits", TransportLimits(8192, 8192, 2, 16_384))
    tags = {f"copy{i}": {"path": "Objects/Machine/speed"} if i % 2 else {"node": server.node("speed")} for i in range(MANY)}
    async with probe(server.url, tags) as reader:
        assert (await reader.each(MANY)).value.tolist() == [1500.0] * MANY


@pytest.mark.parametrize(("at", "told"), [(12, 8192), (24, 1)])
async def test_what_a_server_takes_is_no_limit_of_what_it_answers(server: OpcuaServer, probe: Any, at: int, told: int) -> None:
    """It takes chunks of 8 kB, or messages of one chunk; its first values of many tags are more than that."""

    def acknowledge(data: bytes) -> bytes:
        return data[:at] + pack("<I", told) + data[at + 4 :] if data.startswith(b"ACKF") else data

    async with Relay(server.port, acknowledge) as relay:
        tags = {f"copy{i}": server.node("speed") for i in range(3 * MANY)}
        async with probe(f"opc.tcp://{relay.address}/lineside", tags) as reader:
            assert (await reader.each(3 * MANY)).value.tolist() == [1500.0] * 3 * MANY
