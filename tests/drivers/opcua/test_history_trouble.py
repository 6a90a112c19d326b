"""A history that cannot be read, or only in smaller portions: nothing of it touches the live values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.server.uaprocessor import UaProcessor

from gateway.contract import GOOD, Batch, Quality
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
NAMES = ("load", "speed")


@pytest_asyncio.fixture(loop_scope="session")
async def plc() -> AsyncIterator[OpcuaServer]:
    async with OpcuaServer(dict.fromkeys(NAMES, 0.0)) as running:
        for name in NAMES:
            await running.server.historize_node_data_change(running.nodes(name), timedelta(hours=1))
        yield running


def _history(batch: Batch) -> dict[int, list[float]]:
    filled = batch.quality == Quality.BACKFILLED
    return {tag: batch.value[filled & (batch.tag == tag)].tolist() for tag in range(len(NAMES))}


async def _outage(plc: OpcuaServer, reader: Any) -> None:
    """Each of the two has four values, of which the first and the last are read live."""
    for value in (1.0, 2.0, 3.0, 4.0):
        for name in NAMES:
            await plc.set(name, value)
        if value == 1.0:
            async with reader:
                await reader.until(lambda b: set(b.tag[b.value == 1.0].tolist()) == {0, 1})


async def _goes_on(plc: OpcuaServer, reader: Any) -> None:
    for value in (5.0, 6.0, 7.0):
        await plc.set("load", value)
        await reader.until(lambda b, value=value: value in b.value[b.quality == GOOD])


async def test_more_nodes_than_the_server_takes_at_once_are_asked_for_in_smaller_portions(
    plc: OpcuaServer, probe: Any, monkeypatch: Any
) -> None:
    history = plc.server.iserver.history_manager
    whole = history.read_history

    async def one(parameters: Any) -> Any:
        if len(parameters.NodesToRead) > 1:
            raise ua.uaerrors.BadTooManyOperations
        return await whole(parameters)

    monkeypatch.setattr(history, "read_history", one)
    reader = probe(plc.url, {name: plc.node(name) for name in NAMES}, backfill="1h")
    await _outage(plc, reader)
    async with reader:
        batch = await reader.until(lambda b: all(len(values) == 2 for values in _history(b).values()))
    assert _history(batch) == {0: [2.0, 3.0], 1: [2.0, 3.0]}


@pytest.mark.parametrize("trouble", ["no answer in time", "BadInternalError"])
async def test_live_values_go_on_and_the_next_connection_reads_what_was_missed(
    plc: OpcuaServer, probe: Any, monkeypatch: Any, trouble: str
) -> None:
    answer = UaProcessor.send_response

    def no_history(self: Any, handle: Any, sequence: Any, response: Any, *rest: Any) -> None:
        if isinstance(response, ua.HistoryReadResponse):
            if trouble == "no answer in time":
                return
            response = ua.ServiceFault()
            response.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadInternalError)
        answer(self, handle, sequence, response, *rest)

    told: list[Any] = []
    reader = probe(plc.url, {name: plc.node(name) for name in NAMES}, backfill="1h", timeout="100ms", told=told)
    await _outage(plc, reader)
    with monkeypatch.context() as patched:
        patched.setattr(UaProcessor, "send_response", no_history)
        async with reader:
            await reader.until(lambda b: set(b.tag.tolist()) == {0, 1})
            async with asyncio.timeout(5):
                while not any("history" in health.facts for health in told):
                    await _goes_on(plc, reader)
    assert trouble in str(told[-1].facts["history"])
    async with reader:
        batch = await reader.until(lambda b: len(_history(b)[1]) == 2)
    assert _history(batch)[1] == [2.0, 3.0]
