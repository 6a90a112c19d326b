"""How long the outbox holds: the rate of the last hour, and no more is remembered of it."""

from __future__ import annotations

import pytest

from gateway.outbox.holding import ROW_BYTES, Holding
from gateway.testkit.clock import FakeClock


async def test_the_rate_is_that_of_the_last_hour() -> None:
    clock = FakeClock()
    holding = Holding(clock)
    holding.accepted(600)
    holding.accepted(900, 2)
    assert holding.hours(1_000_000) is None
    await clock.advance(1800)
    assert holding.bytes_per_hour() == pytest.approx(2 * (1500 + 3 * ROW_BYTES))
    await clock.advance(1801)
    assert holding.bytes_per_hour() == 0
    assert holding.hours(1_000_000) is None


async def test_minutes_nobody_asks_about_are_forgotten() -> None:
    clock = FakeClock()
    holding = Holding(clock)
    for _ in range(180):
        holding.accepted(100)
        await clock.advance(60)
    assert len(holding._slots) == 61
