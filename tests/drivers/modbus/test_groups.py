"""Groups of tags with periods of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from gateway.testkit.checks.watch import until
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.modbus import Plc

Make = Callable[..., Any]
TAGS = {"usual": {"at": 40001}, "quick": {"at": 40002, "group": "fast"}, "lazy": {"at": 40003, "group": "slow"}}


async def rounds(source: Any, clock: FakeClock, seconds: float, step: float = 0.1) -> Counter[int]:
    """How often each tag was read while time passed."""
    seen: Counter[int] = Counter()
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        reading = asyncio.create_task(source.read())
        for _ in range(3):
            await asyncio.sleep(0.001)
        while not reading.done():
            await clock.advance(step)
            await asyncio.sleep(0.001)
        seen.update((await reading).tag.tolist())
    return seen


async def test_each_group_keeps_its_period(plc: Plc, make: Make, lost: Counter[str]) -> None:
    clock = FakeClock()
    source = make(plc.url, TAGS, clock=clock, poll_seconds=1, groups={"fast": "200ms", "slow": "5s"})
    await source.connect()
    seen = await rounds(source, clock, 9.95)
    assert 48 <= seen[1] <= 52
    assert 9 <= seen[0] <= 11
    assert seen[2] == 2
    assert not lost


async def test_quick_group_goes_between_the_requests_of_a_long_round(plc: Plc, make: Make) -> None:
    clock = FakeClock()
    tags = {f"t{i}": {"at": 40001 + 20 * i, "group": "slow"} for i in range(10)} | {"quick": {"at": 49001, "group": "fast"}}
    source = make(plc.url, tags, clock=clock, groups={"fast": "200ms", "slow": "1m"}, pause="50ms")
    await source.connect()
    batches: list[int] = []

    async def read() -> None:
        while True:
            batches.append(len(await source.read()))

    reading = asyncio.create_task(read())
    while 10 not in batches:
        await clock.advance(0.05)
        await asyncio.sleep(0.001)
    reading.cancel()
    assert batches.count(1) >= 3  # ten requests, 50 ms each: half a second
    assert batches[0] == 1


async def test_late_polls_are_skipped_group_by_group(plc: Plc, make: Make, lost: Counter[str]) -> None:
    clock = FakeClock()
    source = make(plc.url, TAGS, clock=clock, poll_seconds=1, groups={"fast": "200ms", "slow": "1m"})
    await source.connect()
    for _ in range(3):
        await source.read()
    await clock.advance(3.3)
    plc.requests = 0
    for _ in range(2):
        await source.read()
    await until(lambda: plc.requests == 2, 5.0, lambda: f"{plc.requests} requests")
    assert lost == Counter(skipped_polls=2 + 15)
