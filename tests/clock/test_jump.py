"""The wall clock of a running gateway leaps by a month, there and back, while a month's worth of care lies in the outbox."""

from __future__ import annotations

import asyncio
import signal
import time
from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)  # daemons on a machine that does much else
MONTH = 30 * 86_400 * 10**9
BASE = 2 * MONTH
"""So that a month back is still a time that can be."""


async def polls_per_second(gateway: Any, seconds: float = 2.0) -> float:
    before, began = gateway.plc.requests, time.monotonic()
    await asyncio.sleep(seconds)  # a rate has to be measured over a while
    return (gateway.plc.requests - before) / (time.monotonic() - began)


@pytest.mark.long  # in this process: tests/clock/test_kept.py, of leaps
async def test_a_leap_that_nobody_confirms_changes_nothing_but_is_told(plain: Any) -> None:
    await plain.receiver.stop()
    plain.wall(BASE)
    await plain.start()
    await plain.faults(1)
    for number, leap in enumerate((MONTH, -MONTH), 1):
        plain.wall(BASE + leap)
        found = await plain.until_status(lambda found: found["clock"]["state"] == "stepped")
        assert abs(found["clock"]["behind_system_seconds"] - leap / 1e9) < 5
        assert await polls_per_second(plain) > 2, "timers go by another clock"
        await plain.faults(2)
        plain.wall(BASE)
        found = await plain.until_status(lambda found: found["clock"]["state"] == "trusted")
        assert found["clock"]["steps"] == 2 * number
    assert found["destinations"][0]["expired"] == 0
    assert found["outbox"]["events"] == 10
    await plain.receiver.start()
    await plain.until(lambda: len(plain.arrived) == 10)
    check(plain, 10)
    assert all(0 <= plain.age_seconds(event["recordedtime"]) + BASE / 1e9 < 180 for event in plain.arrived)
    assert not any("timequality" in event for event in plain.arrived), "the clock came back to the gateway's time"


@pytest.mark.parametrize("leap", [pytest.param(MONTH, id="a month ahead"), pytest.param(-MONTH, id="a month back", marks=pytest.mark.long)])
async def test_a_leap_that_is_confirmed_is_followed_and_nothing_expires(plain: Any, leap: int) -> None:
    """The time before was believed, so what is stored keeps it; but no event is older by the leap, and new ones go behind it."""
    await plain.receiver.stop()
    plain.wall(BASE)
    await plain.start()
    await plain.faults(3)
    plain.wall(BASE + leap, synchronised=True)
    found = await plain.until_status(lambda found: found["clock"]["steps"] == 1 and found["clock"]["by"] == "ntp")
    assert abs(found["gateway"]["now"] - time.time() - (BASE + leap) / 1e9) < 5
    assert await polls_per_second(plain) > 2, "timers go by another clock"
    await plain.faults(2)
    machines = await plain.get("machines")
    assert machines[0]["tags"][0]["quality"] == "good", "neither late nor stuck nor of an impossible time"
    history = await plain.get(f"history?machine=press-07&since={int((found['gateway']['now'] - 60) * 1e9)}")
    points = history["tags"]["oil"]["t"]
    assert points == sorted(points)
    assert points[-1] - points[0] < 120, "the past of the page goes with the clock"
    await plain.end(signal.SIGKILL)
    plain.log.write_text("")
    await plain.start()
    await plain.receiver.start()
    await plain.until(lambda: len(plain.of("raised", "cleared")) == 10)
    check(plain, 11)
    (told,) = plain.of("clock_set")
    assert abs(told["data"]["seconds"] - leap / 1e9) < 5
    found = await plain.until_status(lambda found: found["destinations"][0]["delivered"] == 11)
    assert found["destinations"][0]["expired"] == 0
    alarms = {event["data"]["condition"] for event in plain.of("raised")}
    assert alarms == {"oil_high"}, "no device is silent, lost or of a wrong clock because ours was"


def check(gateway: Any, count: int) -> None:
    assert len(gateway.arrived) == count
    sequence = [event["sequence"] for event in gateway.arrived]
    assert all(a < b for a, b in pairwise(sequence)), "order is by sequence"
    assert gateway.receiver.repeats == 0
    told = [(event["data"]["incident"], event["data"]["state"]) for event in gateway.of("raised", "cleared")]
    assert len(told) == len(set(told)) == 10, "each incident is opened and closed once"
