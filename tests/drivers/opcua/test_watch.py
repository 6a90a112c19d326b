"""Connected, but silent: what the rivals do not notice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from asyncua import ua

from gateway.contract import Health, NotConnected, Quality, Trouble
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(autouse=True)
def _quick_keep_alives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's clock is the wall's, ours is turned by hand: a keep-alive with every publish keeps both in step."""
    monkeypatch.setattr("drivers.opcua.subscription.KEEP_ALIVE_SECONDS", 0.02)


async def _pass(clock: FakeClock, reader: Any, seconds: int, tick: Any = None) -> None:
    """So many seconds of ours, with an answer of the server in each."""
    requests = reader.source._connection.subscription._requests
    for _ in range(seconds):
        asked = list(requests)[:1]
        if tick is not None:
            await tick()
        await clock.advance(1)
        if asked:
            await asyncio.wait(asked, timeout=5)
            await clock.settle()


async def _until_it_gives_up(reader: Any, clock: FakeClock, tick: Any = None) -> str:
    reading = asyncio.create_task(reader.until(lambda b: False, seconds=20))
    while not reading.done():
        if tick is not None:
            await tick()
        await clock.advance(1)
        await asyncio.wait([reading], timeout=0.03)
    with pytest.raises(NotConnected) as caught:
        await reading
    return str(caught.value)


async def _drop_items(reader: Any) -> None:
    """What a server does whose sampling has died: keep-alives go on, items do not. The heartbeat's item dies with them."""
    connection = reader.source._connection
    parameters = ua.DeleteMonitoredItemsParameters(SubscriptionId=connection.subscription.id, MonitoredItemIds=list(range(1, 3000)))
    await connection.session.client.uaclient.delete_monitored_items(parameters)


async def test_keep_alives_without_values_while_the_servers_time_goes_on(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        await _drop_items(reader)
        told = await _until_it_gives_up(reader, clock, server.tick)
    assert "connected but silent: the server's time goes on, but nothing came through the subscription for 30 s" in told


async def test_a_server_whose_clock_stands_still(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock, watchdog="10s") as reader:
        subscription = reader.source._connection.subscription
        await reader.until(lambda b: len(b) > 0)
        await server.tick()
        await server.set("load", 5.0)
        await reader.until(lambda b: len(b) > 0)
        reading = asyncio.create_task(reader.until(lambda b: False, seconds=20))
        while not subscription.server_time_moved:
            await server.tick()
            await asyncio.sleep(0.02)
        while not reading.done():
            await clock.advance(1)
            await asyncio.wait([reading], timeout=0.03)
        with pytest.raises(NotConnected, match="connected but silent: the server's time has stood still for 10 s"):
            await reading


async def test_values_that_do_not_change_are_no_silence_as_long_as_the_servers_time_comes(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        reading = asyncio.create_task(reader.until(lambda b: 4711.0 in b.value, seconds=20))
        await _pass(clock, reader, 40, server.tick)
        assert not reading.done()
        await server.set("load", 4711.0)
        await reading


async def test_a_server_without_a_clock_is_not_called_silent(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        reading = asyncio.create_task(reader.until(lambda b: 4712.0 in b.value, seconds=20))
        await _pass(clock, reader, 40)
        assert not reading.done()
        await server.set("load", 4712.0)
        await reading


async def test_time_we_spend_elsewhere_is_no_silence_of_the_server(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        await clock.advance(600)  # the gateway was busy
        await server.tick()
        await server.set("load", 4713.0)
        assert 4713.0 in (await reader.until(lambda b: len(b) > 0)).value


async def test_a_session_the_server_dropped_is_not_connected(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        for session in list(server.server.iserver._external_sessions.values()):
            await session.close_session(True)
        await _until_it_gives_up(reader, clock)


async def test_nodes_that_are_not_there_are_told_with_their_names_and_again_when_they_came(server: OpcuaServer, probe: Any) -> None:
    clock, told = FakeClock(), []
    nodes = {"aside": server.node("aside"), "missing": server.node("comes.later")}
    async with probe(server.url, nodes, clock=clock, told=told) as reader:
        await reader.each(2)
        first = [h for h in told if h.trouble is Trouble.DEGRADED][-1]
        assert (first.active, first.why) == (True, "1 of 2 nodes are refused: BadNodeIdUnknown")
        assert first.facts["nodes"] == {"missing": "BadNodeIdUnknown"}
        await server.add("comes.later", 6.0)
        await clock.advance(61)
        await server.set("aside", 2.0)
        await reader.until(lambda b: 6.0 in b.value)
        last: Health = [h for h in told if h.trouble is Trouble.DEGRADED][-1]
        assert (last.active, last.why) == (False, "")


async def test_names_a_server_has_only_later_are_found_then(server: OpcuaServer, probe: Any) -> None:
    """A PLC whose server starts before its program has other namespaces and folders a minute later."""
    uri, clock = "http://lineside.example/comes.later", FakeClock()
    nodes = {"aside": server.node("aside"), "named": f"nsu={uri};s=Named", "walked": {"path": "Objects/Program/Walked"}}
    async with probe(server.url, nodes, clock=clock) as reader:
        batch = await reader.each(3)
        assert batch.quality[1:].tolist() == [Quality.BAD_DEVICE] * 2
        index = await server.server.register_namespace(uri)
        folder = await server.server.nodes.objects.add_object(ua.NodeId("Program", index), ua.QualifiedName("Program", index))
        for name, value in (("Named", 7.0), ("Walked", 8.0)):
            await folder.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), value)
        await clock.advance(61)
        await server.set("aside", 3.0)
        await reader.until(lambda b: {7.0, 8.0} <= set(b.value.tolist()))


async def test_certificates_that_end_soon_are_told_sixty_days_ahead(server: OpcuaServer, probe: Any) -> None:
    import time

    told: list[Health] = []
    for days, expected in ((0, False), (330, True), (-400 * 100, False)):
        clock = FakeClock(max(0, time.time_ns() + days * 86_400 * 10**9))
        async with probe(server.url, {"load": server.node("load")}, clock=clock, told=told, security="Basic256Sha256/Sign"):
            pass
        last = [h for h in told if h.trouble is Trouble.CERTIFICATE][-1]
        assert last.active is expected, (days, last)
        assert not expected or "the server's certificate end" in last.why


async def test_a_refused_deadband_is_left_out_and_the_value_read(server: OpcuaServer, probe: Any) -> None:
    lost: Counter[str] = Counter()
    async with probe(server.url, {"load": {"node": server.node("load"), "server_deadband": "2%"}}, lost=lost) as reader:
        await server.set("load", 12.5)
        assert (await reader.each(1)).value.tolist() == [12.5]  # asyncua knows no percentages
    assert not lost


async def test_a_deadband_is_kept_by_the_server(server: OpcuaServer, probe: Any) -> None:
    await server.set("load", 100.0)
    async with probe(server.url, {"load": {"node": server.node("load"), "server_deadband": 5}}) as reader:
        await reader.each(1)
        for value in (101.0, 102.0, 110.0):
            await server.set("load", value)
        batch = await reader.until(lambda b: 110.0 in b.value)
    assert batch.value.tolist() == [110.0]


async def test_paths_lead_to_nodes_by_index_uri_or_name(server: OpcuaServer, probe: Any) -> None:
    index = await server.server.get_namespace_index("http://lineside.example/cnc")
    await server.set("speed", ua.Variant(1500, ua.VariantType.UInt16))
    paths = {
        "index": f"Objects/{index}:Machine/{index}:speed",
        "uri": "nsu=http://lineside.example/cnc;Machine/nsu=http://lineside.example/cnc;speed",
        "bare": "Objects/Machine/speed",
        "mixed": f"Machine/{index}:speed",
        "nowhere": "Objects/Machine/turbo",
        "foreign": "nsu=urn:nobody;Machine/speed",
    }
    told: list[Health] = []
    async with probe(server.url, {name: {"path": path} for name, path in paths.items()}, told=told) as reader:
        batch = await reader.each(6)
    assert batch.value[:4].tolist() == [1500.0] * 4
    assert batch.quality[4:].tolist() == [17, 17]
    facts: Any = [h for h in told if h.trouble is Trouble.DEGRADED][-1].facts
    assert facts["nodes"]["nowhere"] == "the path leads nowhere, or to several nodes"


async def test_nothing_is_ever_written(server: OpcuaServer, probe: Any) -> None:
    async with probe(server.url, {"load": server.node("load"), "gone": server.node("never.there")}) as reader:
        await reader.each(2)
    assert server.writes == []
