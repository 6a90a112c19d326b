"""Against a real server: what comes through, and what a lost server looks like."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from gateway.contract import BAD, GOOD, UNCERTAIN, NotConnected, Quality
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENCRYPTED = "Basic256Sha256/SignAndEncrypt"


async def test_scalars_are_numbers_and_text_and_arrays_are_bad_type(server: OpcuaServer, probe: Any) -> None:
    names = ["running", "speed", "name", "list"]
    async with probe(server.url, {name: server.node(name) for name in names}) as reader:
        batch = await reader.each(4)
    assert batch.value[:2].tolist() == [1.0, 1500.0]
    assert np.isnan(batch.value[2:]).all()
    assert batch.quality.tolist() == [GOOD, GOOD, Quality.BAD_TYPE, Quality.BAD_TYPE]


@pytest.mark.parametrize(("status", "quality", "value"), [(0, GOOD, 3.25), (0x408F0000, UNCERTAIN, 3.5), (0x808A0000, BAD, np.nan)])
async def test_source_time_and_status_pass_through(server: OpcuaServer, probe: Any, status: int, quality: int, value: float) -> None:
    at, t_ns = datetime(2026, 10, 2, 1, 2, 3, 456789 + quality, tzinfo=UTC), 1_790_902_923_456_789_000 + quality * 1000
    async with probe(server.url, {"load": server.node("load")}) as reader:
        await server.set("load", 3.25 if np.isnan(value) else value, status=status, source_time=at)
        batch = await reader.until(lambda b: t_ns in b.t_ns)
    told = batch.select(batch.t_ns == t_ns)
    assert told.quality.tolist() == [quality]
    assert np.array_equal(told.value, [value], equal_nan=True)


async def test_changes_arrive_in_their_order_and_none_is_missing(server: OpcuaServer, probe: Any) -> None:
    async with probe(server.url, {"load": server.node("load")}, queue=1000) as reader:
        await reader.until(lambda b: len(b) > 0)
        for step in range(200):
            await server.set("load", float(step))
        batch = await reader.until(lambda b: 199.0 in b.value)
    assert batch.value[-200:].tolist() == [float(step) for step in range(200)]


async def test_a_server_queue_that_ran_over_is_counted(server: OpcuaServer, probe: Any) -> None:
    lost: Counter[str] = Counter()
    async with probe(server.url, {"load": server.node("load")}, lost=lost) as reader:
        await server.set("load", 77.0, status=0x480)  # good, and the server says that older values were lost
        batch = await reader.until(lambda b: 77.0 in b.value)
    assert batch.quality[batch.value == 77.0].tolist() == [GOOD]
    assert lost["server_queue_full"] == 1


async def test_an_unknown_node_is_bad_device_alone(server: OpcuaServer, probe: Any) -> None:
    nodes = {"load": server.node("load"), "gone": server.node("no.such.node"), "foreign": "nsu=urn:nobody:here;s=x"}
    async with probe(server.url, nodes) as reader:
        batch = await reader.each(3)
    assert batch.quality[1:].tolist() == [Quality.BAD_DEVICE, Quality.BAD_DEVICE]
    assert np.isnan(batch.value[1:]).all()
    assert batch.quality[0] in (GOOD, UNCERTAIN, BAD)


async def test_a_refused_node_is_asked_for_again_after_a_minute(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"late": server.node("late"), "aside": server.node("aside")}, clock=clock) as reader:
        batch = await reader.each(2)
        assert batch.quality[0] == Quality.BAD_DEVICE
        await server.add("late", 5.0)
        await clock.advance(61)
        await server.set("aside", 1.0)  # so that a publish response comes at once
        batch = await reader.until(lambda b: 5.0 in b.value[b.tag == 0])
    assert batch.quality[batch.value == 5.0].tolist() == [GOOD]


async def test_more_items_than_one_call_takes(server: OpcuaServer, probe: Any) -> None:
    async with probe(server.url, {f"copy{i}": server.node("speed") for i in range(1100)}) as reader:
        batch = await reader.each(1100)
    assert (batch.value == 1500.0).all()


async def test_values_come_while_the_rest_of_many_items_is_still_asked_for(server: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("drivers.opcua.source.ITEMS_SECONDS", 0.0)  # as with a server that takes seconds for each portion
    told: list[Any] = []
    nodes = {f"copy{i}": server.node("speed" if i != 1500 else "not.there") for i in range(1600)}
    async with probe(server.url, nodes, told=told) as reader:
        assert len(reader.source._connection.pending) == 1600
        first = await reader.until(lambda b: len(b) > 0)
        assert set(first.tag.tolist()) < set(range(1600))
        batch = await reader.until(lambda b: len({*b.tag.tolist(), *first.tag.tolist()}) == 1600)
    assert batch.quality[batch.tag == 1500].tolist() == [Quality.BAD_DEVICE]
    assert [health.why for health in told if health.active] == ["1 of 1600 nodes are refused: BadNodeIdUnknown"]


async def test_a_cancelled_read_loses_nothing(server: OpcuaServer, probe: Any) -> None:
    async with probe(server.url, {"load": server.node("load")}) as reader:
        await reader.until(lambda b: len(b) > 0)
        waiting = asyncio.create_task(reader.source.read())
        await FakeClock.settle()
        waiting.cancel()
        await asyncio.wait([waiting])
        await server.set("load", 321.0)
        assert 321.0 in (await reader.until(lambda b: len(b) > 0)).value


async def test_the_channel_is_renewed_while_reading(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock, security=ENCRYPTED) as reader:
        await reader.until(lambda b: len(b) > 0)
        connection = reader.source._connection.session.client.uaclient.protocol._connection
        before = connection.security_token.TokenId
        await clock.advance(reader.source._connection.session.renew_seconds + 1)
        await server.set("load", 11.0)
        await reader.until(lambda b: 11.0 in b.value)
        await server.set("load", 12.0)
        await reader.until(lambda b: 12.0 in b.value)
        assert connection.security_token.TokenId != before


async def test_an_answer_with_the_old_keys_is_taken_from_a_server_whose_clock_is_behind(server: OpcuaServer, probe: Any) -> None:
    """The library judged by the server's time how old keys are."""
    async with probe(server.url, {"load": server.node("load")}, security="Basic256Sha256/Sign") as reader:
        await reader.each(1)
        connection = reader.source._connection
        connection.session.client.uaclient.protocol._connection.security_token.CreatedAt -= timedelta(hours=3)
        connection.subscription.listen()
        await connection.session.renew()
        await server.set("load", 61.5)  # answered before the server has seen the new keys
        await asyncio.wait([connection.subscription._requests[0]], timeout=5)
        await reader.until(lambda b: 61.5 in b.value)


async def test_close_leaves_no_task_behind(server: OpcuaServer, probe: Any) -> None:
    before = asyncio.all_tasks()
    async with probe(server.url, {"load": server.node("load")}, security=ENCRYPTED) as reader:
        await reader.until(lambda b: len(b) > 0)
        assert any(task.get_name() == "opcua publish" for task in asyncio.all_tasks())
    await reader.source.close()
    ours = {task for task in asyncio.all_tasks() - before if "asyncua/server" not in str(task) and "/server/" not in str(task)}
    assert not ours


async def test_read_before_connect_is_not_connected(server: OpcuaServer, probe: Any) -> None:
    with pytest.raises(NotConnected):
        await probe(server.url, {"load": server.node("load")}).source.read()


async def test_a_subscription_the_server_ended_is_not_connected(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with probe(server.url, {"load": server.node("load")}, clock=clock) as reader:
        await reader.until(lambda b: len(b) > 0)
        await reader.source._connection.session.client.uaclient.delete_subscriptions([reader.source._connection.subscription.id])
        reading = asyncio.create_task(reader.until(lambda b: False))
        while not reading.done():
            await clock.advance(1)
        with pytest.raises(NotConnected, match="no sign of life"):  # this server answers the open requests with nothing at all
            await reading


async def test_a_server_that_stops_and_comes_back_again_and_again(probe: Any) -> None:
    async with OpcuaServer({"load": 1.0}, encrypted=True) as plc:
        for security in ("None", ENCRYPTED, ENCRYPTED, ENCRYPTED):
            reader = probe(plc.url, {"load": plc.node("load")}, security=security)
            async with reader:
                assert (await reader.each(1)).value.tolist() == [1.0]
                waiting = asyncio.create_task(reader.until(lambda b: False))
                await plc.stop()
                with pytest.raises(NotConnected, match=f"127.0.0.1:{plc.port}: connection lost$"):
                    await waiting
            await plc.start()
            async with reader:
                assert (await reader.each(1)).value.tolist() == [1.0]


async def test_a_session_outlives_the_pause_between_two_publishes(server: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("drivers.opcua.session.SESSION_SECONDS", 0.4)
    monkeypatch.setattr(server.server.iserver, "min_session_timeout_ms", 100)
    async with probe(server.url, {"load": server.node("load")}, publishing="1s") as reader:
        await reader.each(1)
        await server.set("load", 60.5)
        await reader.until(lambda b: 60.5 in b.value)


async def test_a_server_that_grants_a_short_session_publishes_within_it(server: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server.server.iserver, "min_session_timeout_ms", 100)
    monkeypatch.setattr(server.server.iserver, "max_session_timeout_ms", 400)
    async with probe(server.url, {"load": server.node("load")}, publishing="1s") as reader:
        await reader.each(1)
        for value in (62.5, 63.5):
            await server.set("load", value)
            await reader.until(lambda b, value=value: value in b.value)


async def test_a_server_that_falls_silent_is_noticed_by_its_missing_keep_alive(server: OpcuaServer, probe: Any) -> None:
    clock = FakeClock()
    async with Relay(server.port) as relay:
        url = server.url.replace(str(server.port), str(relay.port))
        async with probe(url, {"load": server.node("load")}, clock=clock) as reader:
            await reader.until(lambda b: len(b) > 0)
            relay.silent = True
            reading = asyncio.create_task(reader.until(lambda b: False))
            while not reading.done():
                await clock.advance(1)
            with pytest.raises(NotConnected, match="no sign of life for 10 s"):
                await reading


class Relay:
    """Passes bytes on until it is `silent`: then the connection stands, and nothing comes."""

    def __init__(self, port: int) -> None:
        self._target, self.port, self.silent = port, 0, False
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if not self.silent:
                    sink.write(data)
        except ConnectionError:
            pass
        sink.transport.abort()
