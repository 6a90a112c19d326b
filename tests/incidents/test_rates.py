"""Floods and chattering, after ISA-18.2."""

from __future__ import annotations

from gateway.incidents.rates import Rates
from gateway.testkit.clock import FakeClock


async def test_more_than_ten_alarms_in_ten_minutes_are_a_flood_until_they_are_old() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    for _ in range(11):
        rates.raised()
        await clock.advance(30)
    assert rates.recent() == 11
    await clock.advance(271)
    assert rates.recent() == 10
    await clock.advance(600)
    assert rates.recent() == 0


async def test_a_condition_that_begins_three_times_in_a_minute_chatters() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    for wait in (29, 29, 1):
        rates.activated(("press-07", "oil_high"))
        rates.activated(("press-07", f"slow_{wait}"))
        await clock.advance(wait)
    assert rates.chattering() == [("press-07", "oil_high")]
    await clock.advance(2)
    assert rates.chattering() == []


async def test_a_storm_of_conditions_takes_no_memory_for_long() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    for number in range(12_000):
        rates.activated(("press-07", f"condition_{number}"))
    assert len(rates._begun) == 10_000
    await clock.advance(61)
    rates.activated(("press-07", "oil_high"))
    assert list(rates._begun) == [("press-07", "oil_high")]


async def test_alarms_nobody_asks_about_are_forgotten() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    for _ in range(2_000):
        rates.raised()
        await clock.advance(1)
    assert len(rates._raised) == 601
