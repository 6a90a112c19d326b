"""Values computed from several raw ones: exponents and counters that begin again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract import GOOD, Quality
from gateway.testkit.servers.modbus import Plc

Make = Callable[..., Any]


async def growth(plc: Plc, make: Make, raw: list[int], *, as_: str = "uint16", words: int = 1, **tag: Any) -> list[float]:
    """What a counter shows while the device shows `raw`."""
    source = make(plc.url, {"other": {"at": 40010}, "c": {"at": 40001, "as": as_, "kind": "counter"} | tag})
    await source.connect()
    found = []
    for value in raw:
        plc.set("holding", 0, [value >> 16 * i & 0xFFFF for i in reversed(range(words))])
        batch = await source.read()
        found.append(float(batch.value[batch.tag == 1][0]))
    return found


async def test_counter_that_begins_again_goes_on_growing(plc: Plc, make: Make) -> None:
    assert await growth(plc, make, [65_000, 65_535, 3, 60_000, 10]) == [65_000, 65_535, 65_539, 125_536, 131_082]


async def test_counter_of_32_bits_has_its_own_limit(plc: Plc, make: Make) -> None:
    assert await growth(plc, make, [2**32 - 2, 5], as_="uint32", words=2) == [2**32 - 2, 2**32 + 5]


async def test_limit_may_be_given(plc: Plc, make: Make) -> None:
    assert await growth(plc, make, [9990, 2], rolls_over_at=10_000) == [9990, 10_002]


@pytest.mark.parametrize("given", [{"rolls_over_at": 0}, {"kind": "gauge"}, {"as_": "int16"}])
async def test_other_values_are_left_alone(plc: Plc, make: Make, given: dict[str, Any]) -> None:
    assert await growth(plc, make, [30_000, 3], **given) == [30_000, 3]


async def test_counter_that_was_reset_is_passed_on_as_it_is(plc: Plc, make: Make) -> None:
    assert await growth(plc, make, [65_000, 10, 30_000, 0, 5]) == [65_000, 65_546, 95_536, 0, 5]


async def test_bad_readings_change_no_counter(plc: Plc, make: Make) -> None:
    source = make(plc.url, {"c": {"at": 40001, "kind": "counter"}})
    await source.connect()
    plc.holds({0: 65_000})
    await source.read()
    plc.code = 6
    assert (await source.read()).quality.tolist() == [Quality.BAD_DEVICE]
    plc.code = None
    plc.holds({0: 5})
    assert (await source.read()).value.tolist() == [65_541]


async def test_register_with_an_exponent_scales_the_value_and_is_no_reading(plc: Plc, make: Make) -> None:
    plc.holds({0: 2305, 1: 500, 2: 0xFFFF, 200: 2})
    tags = {"volts": {"at": 40001, "scale_from": 40003}, "watts": {"at": 40002, "scale_from": 40201}, "plain": {"at": 40002}}
    source = make(plc.url, tags)
    await source.connect()
    batch = await source.read()
    assert dict(zip(batch.tag.tolist(), batch.value.tolist(), strict=True)) == {0: pytest.approx(230.5), 1: 50_000, 2: 500}
    assert len(batch) == 3


@pytest.mark.parametrize("exponent", [0x8000, 11, 0xFFF5])
async def test_exponent_that_is_none_makes_its_value_bad(plc: Plc, make: Make, exponent: int) -> None:
    plc.holds({0: 2305, 2: exponent})
    source = make(plc.url, {"volts": {"at": 40001, "scale_from": 40003}, "plain": {"at": 40002}})
    await source.connect()
    batch = await source.read()
    assert dict(zip(batch.tag.tolist(), batch.quality.tolist(), strict=True)) == {0: Quality.BAD_DEVICE, 1: GOOD}


async def test_exponent_the_device_refuses_makes_its_value_bad(plc: Plc, make: Make) -> None:
    plc.refuse = {("holding", 500)}
    source = make(plc.url, {"volts": {"at": 40001, "scale_from": 40501}, "plain": {"at": 40002}})
    await source.connect()
    for _ in range(2):
        batch = await source.read()
        assert dict(zip(batch.tag.tolist(), batch.quality.tolist(), strict=True)) == {0: Quality.BAD_DEVICE, 1: GOOD}
