"""Servers of one process share the standard's nodes as they were, and nothing that happened to them."""

from __future__ import annotations

from asyncua import Client, ua

from gateway.testkit.servers.opcua import NAMESPACE, OpcuaServer


async def test_a_second_server_knows_nothing_of_the_first() -> None:
    async with OpcuaServer({"load": 1.0}) as first, OpcuaServer({"speed": 2.0}) as second:
        async with Client(first.url) as client:
            assert NAMESPACE in await client.get_namespace_array()
            assert await _variables(client) == ["load"]
        async with Client(second.url) as client:
            assert await _variables(client) == ["speed"]
            assert await client.nodes.server_state.read_value() == ua.ServerState.Running
    third = OpcuaServer({})
    async with third, Client(third.url) as client:
        assert await _variables(client) == []


async def _variables(client: Client) -> list[str]:
    """Names of what stands below the machines."""
    names = []
    for node in await client.nodes.objects.get_children():
        if (await node.read_browse_name()).Name == "Machine":
            names += [(await variable.read_browse_name()).Name for variable in await node.get_children()]
    return names
