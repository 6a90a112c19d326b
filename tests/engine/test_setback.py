"""The clock of a source is set back: what follows is late at first, then in order again, and somebody is told."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway import registry
from gateway.contract import Batch, Waveform
from gateway.engine.devices import Devices
from gateway.engine.inbox import Inbox
from gateway.engine.lane import Lanes, SlowLane
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.ration import Ration
from gateway.engine.setback import Resumed
from gateway.engine.snapshot import Snapshots
from gateway.engine.watch import build_detector
from gateway.incidents import Change, Incidents
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Status
from gateway.testkit.clock import FakeClock

SECOND, HOUR = 10**9, 3600.0


class Kept:
    """Accepts at once, and remembers the incidents."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.titles: list[str] = []

    def change(self, change: Change) -> None:
        self.told.append((change.phase.value, change.incident.condition))
        self.titles.append(change.incident.title)

    def fact(self, *_: Any, **__: Any) -> None: ...

    def acknowledge(self, accepted: asyncio.Future[None]) -> None: ...

    async def room(self, _seconds: float) -> bool:
        return True


class Shop:
    """One machine, its limits and what they come to; second by second of the gateway's clock."""

    def __init__(self, plant: Any, folder: Path, *, kinds: tuple[str, ...] = (), gate: Any = None, **tags: dict[str, Any]) -> None:
        made = plant.tags(**(tags or {"oil": {}}))
        limit = registry.detector("limit")
        watches = [plant.watch(limit, made, name="limit", high=70.0, hold="0s", clear_after="0s", **(gate or {}))]
        watches += [plant.watch(plant.told(kind), made, name=kind) for kind in kinds]
        settings = plant.settings(made, *watches, state_dir=folder)
        self.clock, self.kept, self.line = FakeClock(), Kept(), Line.of(settings)
        for watch in self.line.watches:
            watch.ready(watch.settings.plugin.build(watch.settings.options, watch.context))
        self.incidents = Incidents(self.clock, lambda *name: " ".join(map(str, name)), evidence_seconds=0.0)
        status = Status(self.clock)
        status.up(status.add("source", "m1"))
        self.inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda _n: None, dropped=lambda *_: None)
        inboxes = {"m1": self.inbox}
        devices = Devices(status.source, inboxes, self.incidents, lambda: self.line.table, self.clock)
        devices.configure(settings.sources)
        self.pipeline = Pipeline(
            self.line,
            self.incidents,
            self.kept,
            clock=self.clock,
            counts=Counts(),
            progress=lambda: None,
            devices=devices,
            inboxes=inboxes,
        )

    async def second(self, *items: Any) -> None:
        await self.clock.advance(1.0)
        if items:
            await self.inbox.emit(list(items))
        self.pipeline.flush()

    def restart(self, other: Shop, noted: int = 0) -> None:
        """This is the gateway after the end of `other`, `noted` seconds after its clock.json was written."""
        state = other.line.watches[0].dump()
        assert state is not None
        self.line.watches[0].detector.load(state)  # type: ignore[union-attr]
        told = {machine: t_ns - noted * SECOND for machine, t_ns in other.pipeline.newest({}).items()}
        self.pipeline.resumed = Resumed(told, noted * SECOND)

    def at(self, set_back: float, value: float, *, tag: int = 0) -> Batch:
        return Batch.of([tag], [self.clock.now_ns() + int((1.0 - set_back) * SECOND)], [value])

    async def run(self, seconds: int, set_back: float, value: float) -> list[tuple[str, str]]:
        before = len(self.kept.told)
        for _ in range(seconds):
            await self.second(self.at(set_back, value))
        return self.kept.told[before:]


@pytest.mark.parametrize("back", [HOUR, 90.0, 30 * 86_400.0])
async def test_a_limit_is_deaf_for_a_minute_and_no_longer_and_it_is_told(plant: Any, tmp_path: Path, back: float) -> None:
    shop = Shop(plant, tmp_path)
    assert await shop.run(100, 0.0, 20.0) == []
    assert await shop.run(58, back, 90.0) == [], "it may still be late readings"
    told = await shop.run(5, back, 90.0)
    assert sorted(told) == [("raised", "device_clock_wrong"), ("raised", "oil_high")]
    assert any(f"its clock was set back by about {back - 1:.0f} s" in title for title in shop.kept.titles)
    assert await shop.run(5, back, 20.0) == [("cleared", "oil_high")]
    assert shop.line.table.last_quality.tolist() == [0]
    told = await shop.run(130, back, 20.0)
    assert told == [("cleared", "device_clock_wrong")]


async def test_a_reload_meanwhile_takes_no_longer(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path)
    await shop.run(100, 0.0, 20.0)
    await shop.run(30, HOUR, 90.0)
    shop.line = shop.pipeline.line = Line.of(shop.line.settings, shop.line)
    assert ("raised", "oil_high") in await shop.run(33, HOUR, 90.0)


@pytest.mark.parametrize("by_gateway", [True, False], ids=["the gateway's clock", "its own clock"])
async def test_what_waits_for_a_slow_detector_goes_along_with_the_gateways_clock(plant: Any, tmp_path: Path, by_gateway: bool) -> None:
    shop = Shop(plant, tmp_path)
    with ThreadPoolExecutor(1) as executor:
        given: Any = {"build": lambda: None, "found": lambda *_: None, "dropped": lambda *_: None, "ration": Ration(inf, shop.clock)}
        lane = SlowLane(shop.line.watches[0], executor, **given)
        shop.pipeline.lane = lambda _name: lane
        await shop.run(3, 0.0, 20.0)
        lane.put(shop.at(0.0, 20.0))
        waits_ns = shop.clock.now_ns() + SECOND
        shop.clock.set_wall(shop.clock.now_ns() - int(HOUR * SECOND))
        shop.pipeline.leap(-int(HOUR * SECOND))
        await shop.run(3, 0.0 if by_gateway else -HOUR, 20.0)
        (waits,) = lane._queue
    assert isinstance(waits, Batch)
    assert waits.t_ns.tolist() == [waits_ns - (int(HOUR * SECOND) if by_gateway else 0)]


async def test_what_waits_for_a_slow_detector_since_before_a_clock_was_set_back_goes_along_and_no_more(plant: Any, tmp_path: Path) -> None:
    """It is behind by more than the minute after which that is seen; the detector would be deaf until the old time has come again."""
    shop = Shop(plant, tmp_path)
    shop.line.watches[0].slow = True
    with ThreadPoolExecutor(1) as executor:
        given: Any = {"build": lambda: None, "found": lambda *_: None, "dropped": lambda *_: None, "ration": Ration(inf, shop.clock)}
        lane = SlowLane(shop.line.watches[0], executor, **given)
        shop.pipeline.lane = lambda _name: lane
        lane._most = 1000
        await shop.run(10, 0.0, 20.0)
        await shop.run(70, HOUR, 20.0)
        times = [int(item.t_ns[0]) for item in lane._queue]  # type: ignore[union-attr]
    assert len(times) == 80
    ago = [round((shop.clock.now_ns() - t_ns) / SECOND - HOUR) for t_ns in times]
    assert ago[10:] == list(range(69, -1, -1)), "what came since is of the right time already"
    assert ago[:10] == list(range(78, 68, -1)), "and so is what came before, now"


async def test_it_is_seen_as_soon_as_a_reload_has_ended(plant: Any, tmp_path: Path) -> None:
    """What that makes ready would not hear of it."""
    shop = Shop(plant, tmp_path)
    await shop.run(100, 0.0, 20.0)
    async with shop.pipeline.changing:
        assert await shop.run(70, HOUR, 90.0) == []
    assert ("raised", "oil_high") in await shop.run(2, HOUR, 90.0)


async def test_a_clock_that_shows_one_moment_of_the_future_keeps_nobody_deaf(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path, oil={}, air={})
    await shop.run(10, 0.0, 20.0)
    await shop.second(shop.at(-3000.0, 20.0), shop.at(0.0, 20.0, tag=1))
    for _ in range(65):
        await shop.second(shop.at(0.0, 90.0), shop.at(0.0, 20.0, tag=1))
    assert ("raised", "oil_high") in shop.kept.told
    assert shop.line.table.last_quality.tolist() == [0, 0]


async def test_what_was_kept_in_a_store_and_comes_late_is_no_clock_that_was_set(plant: Any, tmp_path: Path) -> None:
    """Ten times as fast as it was measured, for two minutes, and nothing newer among it."""
    shop = Shop(plant, tmp_path)
    await shop.run(10, 0.0, 20.0)
    for second in range(120):
        await shop.second(shop.at(HOUR - 9.0 * second, 90.0))
    assert shop.kept.told == []
    assert await shop.run(3, 0.0, 90.0) == [("raised", "oil_high")]


async def test_old_readings_among_new_ones_are_no_clock_that_was_set(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path)
    for second in range(200):
        await shop.second(shop.at(HOUR, 90.0) if second % 30 else shop.at(0.0, 20.0))
    assert shop.kept.told == []


async def test_readings_that_come_in_parcels_show_it_too(plant: Any, tmp_path: Path) -> None:
    """Thirty seconds of each tag at once."""
    shop = Shop(plant, tmp_path)
    await shop.run(60, 0.0, 20.0)
    for second in range(1, 151):
        start = shop.clock.now_ns() - int(HOUR * SECOND)
        parcel = Batch.of([0] * 30, start - np.arange(30)[::-1] * SECOND, [90.0] * 30)
        await (shop.second(parcel) if second % 30 == 0 else shop.second())
    assert ("raised", "oil_high") in shop.kept.told


async def test_a_slow_tag_of_the_same_clock_goes_along_and_one_of_another_clock_stays(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path, oil={}, slow={}, other={})
    for second in range(200):
        back = HOUR if second >= 100 else 0.0
        slow = [shop.at(back, 20.0, tag=1)] if second in (50, 170) else []
        await shop.second(shop.at(back, 20.0), *slow, shop.at(0.0, 20.0, tag=2))
    shop.pipeline.flush()
    assert shop.line.table.last_quality.tolist() == [0, 0, 0]
    ages = (shop.clock.now_ns() - shop.line.table.last_t_ns) / SECOND
    assert ages.tolist() == [HOUR, HOUR + 29, 0]


async def test_ticks_and_gates_go_along(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path, kinds=("told",))
    await shop.run(20, 0.0, 20.0)
    await shop.run(70, HOUR, 20.0)
    told = shop.line.watches[1].detector.items  # type: ignore[union-attr]
    before = len(told)
    await shop.run(10, HOUR, 20.0)
    frames = [item for item in told[before:] if not isinstance(item, Batch)]
    assert len(frames) == 10


async def test_fast_channels_show_it_as_well(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path, vibration={"kind": "waveform"})
    leaps: list[int] = []
    shop.line.watches[0].detector.leap = lambda _machine, delta_ns: leaps.append(delta_ns)  # type: ignore[union-attr]
    for second in range(170):
        t_ns = shop.clock.now_ns() - (int(HOUR * SECOND) if second >= 100 else 0)
        await shop.second(Waveform(tag=0, t_ns=t_ns, rate_hz=1000.0, samples=np.zeros(10, np.float32)))
    assert ("raised", "device_clock_wrong") in shop.kept.told
    assert [round(delta / SECOND) for delta in leaps] == [-3599]


@pytest.mark.parametrize("every", [40, 100])
async def test_a_fast_channel_that_speaks_seldom_goes_along_and_nobody_is_told_twice(plant: Any, tmp_path: Path, every: int) -> None:
    shop = Shop(plant, tmp_path, oil={}, vibration={"kind": "waveform"})
    leaps: list[int] = []
    shop.line.watches[0].detector.leap = lambda _machine, delta_ns: leaps.append(delta_ns)  # type: ignore[union-attr]
    for second in range(410):
        back = HOUR if second >= 100 else 0.0
        block = Waveform(tag=1, t_ns=shop.clock.now_ns() - int(back * SECOND), rate_hz=1000.0, samples=np.zeros(10, np.float32))
        await shop.second(shop.at(back, 20.0), *([block] if second % every == every - 1 else []))
    assert [round(delta / SECOND) for delta in leaps] == [-3599]
    assert not shop.line.table.behind.any


async def test_a_late_reading_of_another_tag_says_nothing_of_by_how_much(plant: Any, tmp_path: Path) -> None:
    shop = Shop(plant, tmp_path, oil={}, slow={})
    leaps: list[int] = []
    shop.line.watches[0].detector.leap = lambda _machine, delta_ns: leaps.append(delta_ns)  # type: ignore[union-attr]
    for second in range(200):
        back = HOUR if second >= 100 else 0.0
        slow = [shop.at({50: 0.0, 150: 24 * HOUR, 180: HOUR}[second], 20.0, tag=1)] if second in (50, 150, 180) else []
        await shop.second(shop.at(back, 20.0), *slow)
    assert [round(delta / SECOND) for delta in leaps] == [-3599]
    assert shop.line.table.last_quality.tolist() == [0, 0]
    assert not shop.line.table.behind.any


async def test_a_machine_that_did_not_follow_the_gateways_leap_is_set_back_by_its_own_alone(plant: Any, tmp_path: Path) -> None:
    """One of its tags has been silent since that leap, and has not shown yet whether it does."""
    shop = Shop(plant, tmp_path, oil={}, silent={})
    leaps: list[int] = []
    shop.line.watches[0].detector.leap = lambda _machine, delta_ns: leaps.append(delta_ns)  # type: ignore[union-attr]
    for _ in range(10):
        await shop.second(shop.at(0.0, 20.0), shop.at(0.0, 20.0, tag=1))
    shop.clock.set_wall(shop.clock.now_ns() + int(HOUR * SECOND))
    shop.pipeline.leap(int(HOUR * SECOND))
    await shop.run(10, HOUR, 20.0)
    assert await shop.run(70, HOUR + 300.0, 20.0) == [("raised", "device_clock_wrong")]
    assert [round(delta / SECOND) for delta in leaps] == [-299]


@pytest.mark.parametrize("noted", [0, 200])
async def test_a_clock_that_was_set_back_shortly_before_the_start_keeps_nobody_deaf_either(plant: Any, tmp_path: Path, noted: int) -> None:
    """Nor if the gateway was killed, and what was noted is older than what the detector remembers."""
    before, after = Shop(plant, tmp_path), Shop(plant, tmp_path)
    await before.run(300, 0.0, 20.0)
    after.restart(before, noted)
    await after.clock.advance(305.0)
    assert await after.run(58, HOUR, 90.0) == []
    assert await after.run(6, HOUR, 90.0) == [("raised", "oil_high")]
    assert not after.pipeline.resumed


async def test_a_gate_that_opened_since_the_start_settles_as_long_as_it_should(plant: Any, tmp_path: Path) -> None:
    before = Shop(plant, tmp_path)
    after = Shop(plant, tmp_path, gate={"only_when": "oil > 50", "settle": "30s"})
    await before.run(300, 0.0, 20.0)
    after.restart(before)
    await after.clock.advance(305.0)
    assert await after.run(50, HOUR, 20.0) == []
    assert await after.run(28, HOUR, 90.0) == []
    assert not after.pipeline.resumed
    assert await after.run(5, HOUR, 90.0) == [("raised", "oil_high")]


async def test_a_start_after_which_time_goes_on_forgets_what_was_noted_at_once(plant: Any, tmp_path: Path) -> None:
    before, after = Shop(plant, tmp_path), Shop(plant, tmp_path)
    await before.run(300, 0.0, 20.0)
    after.restart(before)
    assert after.pipeline.newest(before.pipeline.newest({})) == before.pipeline.newest({}), "nothing is known yet"
    await after.clock.advance(305.0)
    assert await after.run(1, 0.0, 90.0) == [("raised", "oil_high")]
    assert not after.pipeline.resumed
    assert after.pipeline.newest({})["m1"] == after.clock.now_ns()


async def test_what_a_device_kept_while_nothing_ran_is_no_clock_that_was_set(plant: Any, tmp_path: Path) -> None:
    """Sent again from before the end on, faster than it was measured."""
    before, after = Shop(plant, tmp_path), Shop(plant, tmp_path)
    await before.run(300, 0.0, 20.0)
    after.restart(before)
    await after.clock.advance(1000.0)
    for second in range(100):
        await after.second(after.at(2000.0 - 5.0 * second, 90.0))
    assert after.kept.told == []


async def test_a_clock_that_shows_1970_after_a_start_says_nothing_of_what_detectors_remember(plant: Any, tmp_path: Path) -> None:
    before, after = Shop(plant, tmp_path), Shop(plant, tmp_path)
    await before.run(300, 0.0, 20.0)
    after.restart(before)
    await after.clock.advance(305.0)
    leaps: list[int] = []
    after.line.watches[0].detector.leap = lambda _machine, delta_ns: leaps.append(delta_ns)  # type: ignore[union-attr]
    await after.run(100, after.clock.now_ns() / SECOND, 90.0)
    assert leaps == []
    assert await after.run(2, 0.0, 90.0) == [("raised", "oil_high")]
    assert not after.pipeline.resumed


@pytest.mark.parametrize("after_seconds", [30, 70, 110, 130, 400])
async def test_a_gateway_that_is_killed_after_a_clock_was_set_back_is_not_deaf_at_its_next_start(
    plant: Any, tmp_path: Path, after_seconds: int
) -> None:
    """States are saved as ever, once a minute those that are due; `clock.json` at the worst moment, which is each."""
    before, after = Shop(plant, tmp_path), Shop(plant, tmp_path)
    noted: dict[str, int] = {}
    snapshots = Snapshots(tmp_path / "detectors")
    with ThreadPoolExecutor(1) as files:
        given: Any = {"found": lambda *_: None, "counts": Counts(), "files": files, "clock": before.clock}
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, snapshots, **given)
            for second in range(121 + after_seconds):
                await before.run(1, HOUR if second > 120 else 0.0, 20.0)
                noted = before.pipeline.newest(noted)
                if second % 60 == 0:
                    await lanes.save(before.line.watches, all_of_them=False)
            lanes.close()
    after.line.watches[0].detector = build_detector(after.line.watches[0], snapshots)
    after.pipeline.resumed = Resumed(noted)
    await after.clock.advance(before.clock.monotonic())
    assert ("raised", "oil_high") in await after.run(70, HOUR, 90.0)
