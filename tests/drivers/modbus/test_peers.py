"""Against servers we did not write, or that have the habits of real devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.contract import GOOD, NotConnected, Quality
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port

Make = Callable[..., Any]


@pytest.fixture
async def pymodbus_url() -> AsyncIterator[str]:
    """pymodbus' own server: a map with holes, floats, bits."""
    device = SimDevice(
        id=1,
        simdata=(
            [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)],
            [SimData(0, count=16, values=True, datatype=DataType.BITS)],
            [
                SimData(0, values=[10, 20, 30], datatype=DataType.REGISTERS),
                SimData(10, values=3.25, datatype=DataType.FLOAT32),
                SimData(12, values=-70_000, datatype=DataType.INT32),
            ],
            [SimData(0, count=125, values=5, datatype=DataType.REGISTERS)],
        ),
    )
    port = free_port()
    server = ModbusTcpServer([device], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    yield f"tcp://127.0.0.1:{port}"
    await server.shutdown()


async def test_pymodbus_server_gives_what_it_holds(pymodbus_url: str, make: Make) -> None:
    tags = {
        "first": {"at": 40001},
        "third": {"at": 40003},
        "real": {"at": 40011, "as": "float32"},
        "whole": {"at": 40013, "as": "int32"},
        "input": {"at": 30125},
        "coil_on": {"at": 1},
        "coil_off": {"at": 2},
        "contact": {"at": 10016},
    }
    source = make(pymodbus_url, tags)
    await source.connect()
    batch = await source.read()
    values = dict(zip(batch.tag.tolist(), batch.value.tolist(), strict=True))
    assert [values[i] for i in range(len(tags))] == [10, 30, 3.25, -70_000, 5, 1, 0, 1]
    assert batch.quality.tolist() == [GOOD] * len(tags)


async def test_hole_in_the_map_of_pymodbus_is_bad_and_the_rest_is_not(pymodbus_url: str, make: Make) -> None:
    source = make(pymodbus_url, {"a": {"at": 40001}, "hole": {"at": 40008}, "b": {"at": 40011, "as": "float32"}})
    await source.connect()
    batch = await source.read()
    assert dict(zip(batch.tag.tolist(), batch.quality.tolist(), strict=True)) == {0: GOOD, 1: Quality.BAD_DEVICE, 2: GOOD}
    assert len(await source.read()) == 2


async def test_pymodbus_server_that_stops_is_not_connected(pymodbus_url: str, make: Make) -> None:
    source = make(pymodbus_url, {"a": {"at": 40001}}, unit_id=9)
    await source.connect()
    batch = await source.read()  # it answers with exception 4 for a unit it does not have
    assert batch.quality.tolist() == [Quality.BAD_DEVICE]


class OneAtATime(Plc):
    """Serves one connection; the next waits in the backlog until the first has gone, as libmodbus and many PLCs do."""

    def __init__(self) -> None:
        super().__init__()
        self._busy = asyncio.Lock()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._busy:
            await super()._serve(reader, writer)


async def test_device_that_serves_one_client_is_free_again_after_close(make: Make) -> None:
    async with OneAtATime() as plc:
        first, second = make(plc.url, {"a": {"at": 40001}}), make(plc.url, {"a": {"at": 40001}})
        _, writer = await asyncio.open_connection("127.0.0.1", plc.port)
        await first.connect()
        with pytest.raises(NotConnected, match="did not answer"):
            await first.read()
        await first.close()
        writer.transport.abort()
        await first.connect()
        assert (await first.read()).quality.tolist() == [GOOD]
        await second.connect()  # shares the connection
        assert (await second.read()).quality.tolist() == [GOOD]
        await second.close()
        await first.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
        writer.write(bytes.fromhex("000100000006010300000001"))
        async with asyncio.timeout(5):
            assert len(await reader.readexactly(11)) == 11
        writer.transport.abort()
