"""What an outage cost comes from the server's history, each reading once, while live values go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from asyncua import ua

from drivers.opcua.cursor import Cursor, Gap
from drivers.opcua.history import Backfill
from gateway.contract import GOOD, Batch, Quality, Tag
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.opcua import OpcuaServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
BACKFILLED = int(Quality.BACKFILLED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plc() -> AsyncIterator[OpcuaServer]:
    """Remembers two of its variables."""
    async with OpcuaServer({"load": 0.0, "speed": 0.0, "forgetful": 0.0}) as running:
        for name in ("load", "speed"):
            await running.server.historize_node_data_change(running.nodes(name), timedelta(hours=1))
        yield running


def _tags(plc: OpcuaServer, *names: str) -> dict[str, str]:
    return {name: plc.node(name) for name in names or ("load", "speed")}


def _history(batch: Batch, tag: int = 0) -> list[float]:
    return batch.value[(batch.tag == tag) & (batch.quality == BACKFILLED)].tolist()


async def _recorded(plc: OpcuaServer, name: str, value: float) -> None:
    """Until the server's own recorder, a subscription like ours, has it."""
    storage = plc.server.iserver.history_manager.storage
    async with asyncio.timeout(5):
        while not any(told.Value.Value == value for told in storage._datachanges[plc.nodes(name).nodeid]):
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.005))])


async def _steps(plc: OpcuaServer, name: str, values: range) -> None:
    for value in values:
        await plc.set(name, float(value))
    await _recorded(plc, name, float(values[-1]))


async def test_a_gap_is_filled_once_in_order_and_told(plc: OpcuaServer, probe: Any) -> None:
    filled: list[tuple[int, int, int]] = []
    reader = probe(plc.url, _tags(plc), backfill="1h", filled=filled)
    async with reader:
        await plc.set("load", 1.0)
        await reader.until(lambda b: 1.0 in b.value)
    await _steps(plc, "load", range(2, 40))
    async with reader:
        batch = await reader.until(lambda b: len(_history(b)) >= 37)
        await plc.set("speed", 99.0)
        batch = Batch.concat([batch, await reader.until(lambda b: 99.0 in b.value)])
    assert _history(batch) == [float(value) for value in range(2, 39)]
    assert batch.value[(batch.tag == 0) & (batch.quality == GOOD)].tolist() == [39.0]
    times = batch.t_ns[batch.tag == 0]
    assert len(set(times.tolist())) == len(times)
    assert [count for _, _, count in filled] == [37]
    assert filled[0][0] < filled[0][1] < times.max()


async def test_a_restart_of_the_gateway_is_a_gap_too_and_nothing_is_read_twice(plc: OpcuaServer, probe: Any) -> None:
    async with probe(plc.url, _tags(plc), backfill="1h") as before:
        await plc.set("load", 100.0)
        await before.until(lambda b: 100.0 in b.value)
    await _steps(plc, "load", range(101, 111))
    for last, count in ((1001.0, 9), (1002.0, 0)):
        async with probe(plc.url, _tags(plc), backfill="1h") as after:  # a source of its own, as after a restart
            batch = await after.until(lambda b, count=count: 110.0 in b.value and len(_history(b)) >= count)
            await plc.set("speed", last)
            batch = Batch.concat([batch, await after.until(lambda b, last=last: last in b.value)])
        assert _history(batch) == [float(value) for value in range(101, 101 + count)]


async def test_a_clock_that_was_ahead_and_put_right_does_not_end_it(plc: OpcuaServer, probe: Any) -> None:
    reader = probe(plc.url, _tags(plc, "load"), backfill="1h")
    async with reader:
        await plc.set("load", 1.0, source_time=datetime(2062, 1, 1, tzinfo=UTC))
        await reader.until(lambda b: 1.0 in b.value)
        await plc.set("load", 2.0)
        await reader.until(lambda b: 2.0 in b.value)
    await _steps(plc, "load", range(303, 308))  # told by no other test: they are waited for by their value
    async with reader:
        batch = await reader.until(lambda b: len(_history(b)) >= 4)
    assert _history(batch) == [303.0, 304.0, 305.0, 306.0]


async def test_a_history_of_many_pages_comes_whole_and_live_values_come_between(plc: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("drivers.opcua.history.VALUES_AT_ONCE", 7)  # this server forgets to say that there is more
    reader = probe(plc.url, _tags(plc), backfill="1h")
    async with reader:
        await plc.set("speed", 1.0)
        await plc.set("load", 1.0)
        await reader.until(lambda b: {1.0} <= set(b.value[b.tag == 1].tolist()) and 1.0 in b.value[b.tag == 0])
    await _steps(plc, "speed", range(2, 200))
    async with reader:
        await plc.set("load", 500.0)
        batch = await reader.until(lambda b: len(_history(b, 1)) >= 197 and 500.0 in b.value)
    assert _history(batch, 1) == [float(value) for value in range(2, 199)]
    live = int(np.flatnonzero(batch.value == 500.0)[0])
    assert live < len(batch) - 100  # not behind all that is old


async def test_what_was_read_and_not_handed_over_is_read_again_by_the_next_connection(
    plc: OpcuaServer, probe: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("drivers.opcua.history.VALUES_AT_ONCE", 10)
    reader = probe(plc.url, _tags(plc), backfill="1h")
    async with reader:
        await plc.set("load", 2000.0)
        await reader.until(lambda b: 2000.0 in b.value)
    await _steps(plc, "load", range(2001, 2101))
    got: list[Batch] = []
    for enough in (20, 50, 99):  # each time it ends with more read than handed over
        async with reader:
            await plc.set("speed", float(enough))
            got.append(await reader.until(lambda b, enough=enough: len(set(_history(Batch.concat([*got, b])))) >= enough))
    history = _history(Batch.concat(got))
    assert sorted(set(history)) == [float(value) for value in range(2001, 2100)]
    assert len(history) - len(set(history)) <= 2 * 10  # a portion that was taken when the connection was lost may come twice


async def test_a_server_without_a_history_is_said_once_and_read_as_before(plc: OpcuaServer, probe: Any, monkeypatch: Any) -> None:
    async def refuses(params: object) -> None:
        raise ua.uaerrors.BadHistoryOperationUnsupported

    monkeypatch.setattr(plc.server.iserver.history_manager, "read_history", refuses)
    told: list[Any] = []
    reader = probe(plc.url, _tags(plc, "forgetful"), backfill="1h", told=told)
    async with reader:
        await plc.set("forgetful", 1.0)
        await reader.until(lambda b: 1.0 in b.value)
    await plc.set("forgetful", 2.0)
    async with reader:
        await reader.until(lambda b: 2.0 in b.value)
        for value in (3.0, 4.0):
            await plc.set("forgetful", value)
            await reader.until(lambda b, value=value: value in b.value)
    facts = [health.facts["history"] for health in told if "history" in health.facts]
    assert len(facts) == 1
    assert facts[0].startswith("not read: Bad")
    assert not any(health.active for health in told)


async def test_without_backfill_nothing_is_asked_and_nothing_is_written(plc: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    async with probe(plc.url, _tags(plc)) as reader:
        await reader.each(2)
        assert reader.source._connection.backfill is None
    assert not (tmp_path / "backfill.json").exists()


def _cursor(folder: Path, clock: FakeClock, names: str = "ab") -> Cursor:
    return Cursor(folder / "backfill.json", [Tag(i, "m", name) for i, name in enumerate(names)], clock)


async def test_a_gap_begins_at_the_last_reading_and_not_before_the_reach(tmp_path: Path) -> None:
    clock = FakeClock(10_000 * 10**9)
    cursor = _cursor(tmp_path, clock)
    cursor.connected(60)
    second = 10**9
    assert not cursor.took(np.array([0, 1, 0]), np.array([9_980, 9_000, 9_990]) * second)
    cursor.connected(60)
    assert cursor.took(np.array([0, 1]), np.array([9_999, 9_999]) * second)
    assert cursor.gaps == [Gap(0, 9_990 * second, 9_999 * second), Gap(1, 9_940 * second, 9_999 * second)]
    cursor.write()
    await clock.advance(30)
    again = _cursor(tmp_path, clock, "ba")  # another order of tags
    again.connected(60)
    assert again.gaps == [Gap(1, 9_990 * second, 9_999 * second), Gap(0, 9_970 * second, 9_999 * second)]
    assert not again.took(np.array([1]), np.array([9_999]) * second)  # it has not changed since: nothing was missed


async def test_a_plc_that_begins_in_1970_has_nothing_read_again_that_was_there_before(tmp_path: Path) -> None:
    clock = FakeClock()
    cursor, place = _cursor(tmp_path, clock), np.array([0])
    lost = clock.now_ns()
    for told in (lost, 3 * 10**9, lost + 60 * 10**9):
        cursor.connected(86_400)
        cursor.took(place, np.array([told]))
    assert cursor.gaps == [Gap(0, lost, lost + 60 * 10**9)]


async def test_ten_thousand_gaps_that_are_left_to_the_next_connection_hold_up_nothing(tmp_path: Path) -> None:
    cursor = _cursor(tmp_path, FakeClock())
    cursor.gaps = [Gap(position, 1, 2, 1) for position in range(10_000)]
    backfill = Backfill(None, cursor, {}, {}, np.arange(10_000, dtype=np.int32), 10)  # type: ignore[arg-type]
    backfill._later, backfill._count, backfill._from_ns, backfill._to_ns = list(cursor.gaps), 1, 1, 2
    began = process_time()
    assert backfill.summary() == (1, 2, 1)
    assert process_time() - began < 0.5


async def test_a_damaged_file_means_that_nothing_is_known(tmp_path: Path) -> None:
    for content in ("", "{", "[]", '{"last": 5, "gaps": []}', '{"last": {"a": "x"}, "gaps": []}', '{"last": {"a": 1e400}, "gaps": []}'):
        (tmp_path / "backfill.json").write_text(content)
        cursor = _cursor(tmp_path, FakeClock())
        cursor.connected(60)
        assert cursor.gaps == []


async def test_the_file_is_written_seldom(tmp_path: Path) -> None:
    clock = FakeClock()
    cursor = _cursor(tmp_path, clock)
    cursor.connected(60)
    for moment in range(1, 4):
        cursor.took(np.array([0]), np.array([moment]))
        if cursor.due:
            cursor.write()
    assert json.loads((tmp_path / "backfill.json").read_bytes())["last"] == {"a": 1}
    await clock.advance(61)
    assert cursor.due
    cursor.write()
    assert json.loads((tmp_path / "backfill.json").read_bytes())["last"] == {"a": 3}
