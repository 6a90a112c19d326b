"""What a server has, of servers that tell it in small parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from drivers.opcua import plugin
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
STATIONS = 5


async def test_folders_the_server_has_no_continuation_point_left_for_are_asked_again(
    server: OpcuaServer, tmp_path: Path, monkeypatch: Any
) -> None:
    """Two of our folders in one question need one; for the others the server has none until these have been read."""
    index = await server.server.register_namespace("http://lineside.example/line")
    line = await server.server.nodes.objects.add_object(ua.NodeId("Line", index), ua.QualifiedName("Line", index))
    for number in range(STATIONS):
        station = await line.add_object(ua.NodeId(f"Station{number}", index), ua.QualifiedName(f"Station{number}", index))
        for name in ("Load", "Speed"):
            await station.add_variable(ua.NodeId(f"Station{number}.{name}", index), ua.QualifiedName(name, index), 1.0)
    views = server.server.iserver.view_service
    whole = views.browse

    def scarce(parameters: Any) -> list[Any]:
        results: list[Any] = whole(parameters)
        large = [
            result for result, asked in zip(results, parameters.NodesToBrowse, strict=True) if "Station" in str(asked.NodeId.Identifier)
        ]
        for result in [result for result in large if result.References][2:]:
            result.References, result.StatusCode = [], ua.StatusCode(ua.StatusCodes.BadNoContinuationPoints)
        return results

    monkeypatch.setattr(views, "browse", scarce)
    assert plugin.browse is not None
    options = plugin.options.model_validate({"opcua": server.url})
    found = [each.note async for each in plugin.browse(options, source_context(plugin, {}, state_dir=tmp_path), "Objects/Line/*")]
    assert len(found) == 2 * STATIONS


async def test_properties_of_many_variables_do_not_hide_what_lies_deeper(tmp_path: Path, monkeypatch: Any) -> None:
    """So many nodes are looked at, at most; ranges and units are none of them."""
    monkeypatch.setattr("drivers.opcua.browse.MOST_NODES", 40)
    async with OpcuaServer({f"load{number}": 0.0 for number in range(10)}) as many:
        for number in range(10):
            for name in ("EURange", "Limit", "Note", "Source", "Unit"):
                await many.nodes(f"load{number}").add_property(2, name, 1.0)
        folder = await many.server.nodes.objects.add_folder(2, "Cell")
        await (await (await folder.add_folder(2, "Line")).add_folder(2, "Station")).add_variable(2, "Deep", 1.0)
        assert plugin.browse is not None
        options = plugin.options.model_validate({"opcua": many.url})
        found = [each.name async for each in plugin.browse(options, source_context(plugin, {}, state_dir=tmp_path), "")]
    assert set(found) >= {"deep", *(f"load{number}" for number in range(10))}
