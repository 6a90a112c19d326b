"""Several units and several sources on one line: they share it, and a dead one costs the others little."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from drivers.modbus.line import REST_SECONDS, _lines
from gateway import registry
from gateway.contract import GOOD, ConfigError, Health, NotConnected, Quality, Source, Trouble
from gateway.testkit.checks.watch import until
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc

BAD_DEVICE = int(Quality.BAD_DEVICE)
Build = Callable[..., Source]
THREE = {f"unit_{unit}": {"at": 40001, "unit_id": unit} for unit in (1, 2, 3)}


@pytest.fixture(params=["mbap", "rtu", "ascii"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Plc]:
    """Units 1 to 3, whose first register is a hundred times their number."""
    async with Plc(request.param) as plc:
        for unit in (1, 2, 3):
            plc.others[unit] = Plc()
            plc.others[unit].holds({0: 100 * unit})
        yield plc


@pytest.fixture
def told() -> list[Health]:
    return []


@pytest.fixture
async def build(told: list[Health]) -> AsyncIterator[Build]:
    """``build(plc, tags, name, clock=, **options)``: a source, closed at the end."""
    made: list[Source] = []

    def one(plc: Plc, tags: dict[str, Any], name: str = "m1", clock: Any = None, **options: Any) -> Source:
        plugin = registry.source("modbus")
        given = {"modbus": plc.url, "poll_seconds": 0, "timeout": "200ms"} | options
        made.append(plugin.build(plugin.options.model_validate(given), source_context(plugin, tags, machine=name, clock=clock, told=told)))
        return made[-1]

    yield one
    for source in made:
        await source.close()


async def values(source: Source) -> dict[int, tuple[float | None, int]]:
    batch: Any = await source.read()
    rows = zip(batch.tag.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True)
    return {tag: (value if quality == GOOD else None, quality) for tag, value, quality in rows}


async def test_each_tag_comes_from_its_unit(bus: Plc, build: Build) -> None:
    source = build(bus, THREE)
    await source.connect()
    assert await values(source) == {0: (100, GOOD), 1: (200, GOOD), 2: (300, GOOD)}


async def test_dead_unit_is_bad_alone_and_costs_one_timeout_a_minute(bus: Plc, build: Build, told: list[Health]) -> None:
    clock = FakeClock()
    source = build(bus, THREE, clock=clock)
    bus.only = {1, 3}
    await source.connect()
    for _ in range(5):
        assert await values(source) == {0: (100, GOOD), 1: (None, BAD_DEVICE), 2: (300, GOOD)}
    assert [unit for unit, _ in bus.asked].count(2) == 1
    assert [(health.trouble, health.device, health.active) for health in told] == [(Trouble.DEGRADED, "unit 2", True)]
    assert told[0].why == "unit 2 did not answer within 0.2 s"
    await clock.advance(REST_SECONDS + 1)
    await values(source)
    assert [unit for unit, _ in bus.asked].count(2) == 2
    bus.only = None
    await clock.advance(REST_SECONDS + 1)
    assert (await values(source))[1] == (200, GOOD)
    assert [(health.device, health.active) for health in told] == [("unit 2", True), ("unit 2", False)]


async def test_unit_a_gateway_cannot_reach_rests_too(bus: Plc, build: Build, told: list[Health]) -> None:
    bus.others[2].code = 11
    source = build(bus, THREE)
    await source.connect()
    for _ in range(3):
        assert (await values(source))[1] == (None, BAD_DEVICE)
    assert [unit for unit, _ in bus.asked].count(2) == 1
    assert "gateway target device failed to respond" in told[0].why


async def test_all_units_dead_is_not_connected(bus: Plc, build: Build) -> None:
    source = build(bus, THREE)
    await source.connect()
    await source.read()
    bus.silent = True
    with pytest.raises(NotConnected, match="did not answer"):
        await source.read()
    await source.close()
    bus.silent = False
    await source.connect()
    assert len(await values(source)) == 3


async def test_machines_of_one_endpoint_share_one_connection(bus: Plc, build: Build) -> None:
    first, second = (build(bus, {"a": {"at": 40001}}, f"meter-{unit}", unit_id=unit) for unit in (1, 2))
    await asyncio.gather(first.connect(), second.connect())
    assert bus.connections == 1
    assert (await values(first), await values(second)) == ({0: (100, GOOD)}, {0: (200, GOOD)})
    await first.close()
    assert await values(second) == {0: (200, GOOD)}
    await second.close()
    await first.connect()
    assert await values(first) == {0: (100, GOOD)}
    assert bus.connections == 2


async def test_line_nobody_uses_is_forgotten(plc: Plc, build: Build) -> None:
    source = build(plc, {"a": {"at": 40001}})
    await source.connect()
    assert plc.address in _lines
    await source.close()
    gc.collect()
    assert plc.address not in _lines


async def test_dead_machine_is_not_connected_and_the_other_goes_on(bus: Plc, build: Build) -> None:
    bus.only = {1}
    first, second = (build(bus, {"a": {"at": 40001}}, f"meter-{unit}", unit_id=unit) for unit in (1, 2))
    await first.connect()
    await second.connect()
    with pytest.raises(NotConnected, match="unit 2 did not answer"):
        await second.read()
    await second.close()
    for _ in range(3):  # the supervisor tries again, and costs the first nothing
        with pytest.raises(NotConnected, match="unit 2 did not answer"):
            await second.connect()
        await second.close()
    assert await values(first) == {0: (100, GOOD)}
    assert [unit for unit, _ in bus.asked].count(2) == 1
    assert bus.connections == 1


async def test_line_that_breaks_is_lost_to_all_and_comes_back_once(bus: Plc, build: Build) -> None:
    first, second = (build(bus, {"a": {"at": 40001}}, f"meter-{unit}", unit_id=unit) for unit in (1, 2))
    await first.connect()
    await second.connect()
    bus.silent = True
    reading = [asyncio.create_task(source.read()) for source in (first, second)]
    await until(lambda: bus.requests == 1, 5.0, lambda: "no request came")
    await bus.stop()
    assert [type(result) for result in await asyncio.gather(*reading, return_exceptions=True)] == [NotConnected, NotConnected]
    bus.silent, bus.connections = False, 0
    await bus.start()
    for source in (first, second):
        await source.close()
        await source.connect()
    assert (await values(first), await values(second)) == ({0: (100, GOOD)}, {0: (200, GOOD)})
    assert bus.connections == 1


@pytest.mark.parametrize("other", [{"pause": "100ms"}, {"pause_after_connect": "1s"}])
async def test_machines_that_disagree_on_the_line_are_named(plc: Plc, build: Build, other: dict[str, Any]) -> None:
    first, second = build(plc, {}, "meter-1"), build(plc, {}, "meter-2", **other)
    await first.connect()
    with pytest.raises(ConfigError, match=f"machines 'meter-1' and 'meter-2' share {plc.address} but differ in {next(iter(other))}"):
        await second.connect()
    await second.close()
    await first.close()
    await second.connect()


async def test_framing_is_a_thing_to_agree_on(plc: Plc, build: Build) -> None:
    first, second = build(plc, {}, "a"), build(plc, {}, "b", modbus=f"rtu+tcp://{plc.address}")
    await first.connect()
    with pytest.raises(ConfigError, match="differ in endpoint"):
        await second.connect()


async def test_sources_take_turns_and_who_is_due_first_goes_first(plc: Plc, build: Build) -> None:
    """Two as fast as they can with many requests a round, and one with a period that must not wait for their rounds."""
    scattered = {f"t{i}": {"at": 40001 + 20 * i} for i in range(20)}
    first, second = (build(plc, scattered, name, unit_id=unit) for unit, name in ((1, "a"), (2, "b")))
    third = build(plc, {"t": {"at": 40001}}, "c", unit_id=3, poll_seconds=0.05)
    for source in (first, second, third):
        await source.connect()
    plc.asked.clear()
    await asyncio.gather(first.read(), second.read(), third.read())
    order = [unit for unit, _ in plc.asked]
    assert order.index(3) <= 2
    shared = [unit for unit in order if unit != 3]
    assert all(shared[i] != shared[i + 1] for i in range(2, 30))


async def test_cancelled_turn_is_passed_on(plc: Plc, build: Build) -> None:
    sources = [build(plc, {"t": {"at": 40001}}, f"m{unit}", unit_id=unit) for unit in (1, 2, 3)]
    for source in sources:
        await source.connect()
    for turns in range(12):
        reading = [asyncio.create_task(source.read()) for source in sources]
        for _ in range(turns):
            await asyncio.sleep(0)
        reading[turns % 3].cancel()
        results = await asyncio.wait_for(asyncio.gather(*reading, return_exceptions=True), 5)
        assert sum(isinstance(result, BaseException) for result in results) <= 1


async def test_damaged_answer_is_bad_for_once_and_the_unit_does_not_rest(build: Build) -> None:
    async with Plc("rtu") as plc:
        source = build(plc, THREE)
        await source.connect()
        plc.mangle = lambda frame: bytes([frame[0], frame[1], frame[2], frame[3] ^ 1, *frame[4:]]) if frame[0] == 2 else frame
        assert (await values(source))[1] == (None, Quality.BAD_FORMAT)
        assert (await values(source))[1] == (None, Quality.BAD_FORMAT)
        plc.mangle = None
        assert (await values(source))[1] == (0, GOOD)


async def test_unit_that_sends_only_damaged_answers_rests(build: Build, told: list[Health]) -> None:
    async with Plc("rtu") as plc:
        source = build(plc, THREE)
        await source.connect()
        plc.mangle = lambda frame: frame[:-1] + b"\x00" if frame[0] == 2 else frame
        for _ in range(5):
            await source.read()
        assert [unit for unit, _ in plc.asked].count(2) == 3
        assert [health.why for health in told] == ["unit 2 sent a damaged answer"]


async def test_noise_before_an_answer_is_passed_over(build: Build) -> None:
    async with Plc("rtu") as plc:
        plc.mangle = lambda frame: b"\x00\xff\x01" + frame
        source = build(plc, THREE)
        await source.connect()
        assert {quality for _, quality in (await values(source)).values()} == {GOOD}
