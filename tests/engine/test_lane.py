"""The slow lane: slices, the budget, and room for every machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from gateway.contract import DetectorPlugin, Finding, Frame, RationedWatchOptions
from gateway.engine import lane as lane_module
from gateway.engine.lane import Lanes, SlowLane
from gateway.engine.line import Line
from gateway.engine.ration import MOST_ROWS, SAVED_SECONDS, Ration
from gateway.engine.snapshot import Snapshots
from gateway.engine.watch import Watch
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock


class Dear:
    """Each row costs `SECONDS`, on the clock `spent`."""

    SECONDS: ClassVar[float] = 0.05
    takes: ClassVar[frozenset[type]] = frozenset({Frame})

    def __init__(self, options: Any, context: Any) -> None:
        self.rows, self.skipped, self.spent = list[int](), list[int](), 0.0
        self.free = threading.Event()
        self.free.set()

    def process(self, item: Frame) -> list[Finding]:
        self.free.wait(5)
        self.rows += item.t_ns.tolist()
        self.spent += self.SECONDS * len(item.t_ns)
        return []

    def skip(self, frame: Frame) -> None:
        self.skipped += frame.t_ns.tolist()

    def dump(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None: ...


def frame(first: int, rows: int, machine: str = "m1") -> Frame:
    t_ns = np.arange(first, first + rows, dtype=np.int64)
    return Frame(machine=machine, names=("a",), tags=np.zeros(1, dtype=np.int32), t_ns=t_ns, x=t_ns[:, None].astype(np.float64))


@pytest.fixture
def watch(plant: Any, tmp_path: Path) -> Watch:
    plugin = DetectorPlugin(name="dear", domain="anomaly", options=RationedWatchOptions, build=Dear, slow=True)  # type: ignore[arg-type]
    tags = plant.tags(a={})
    made = Line.of(plant.settings(tags, plant.watch(plugin, tags), state_dir=tmp_path)).watches[0]
    made.ready(Dear(None, None))  # type: ignore[arg-type]
    return made


@asynccontextmanager
async def working(*lanes: SlowLane) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(lane.run()) for lane in lanes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def lane_of(watch: Watch, clock: FakeClock, executor: ThreadPoolExecutor, per_second: float) -> SlowLane:
    detector: Any = watch.detector
    ration = Ration(per_second, clock, cpu=lambda: detector.spent)
    return SlowLane(watch, executor, build=lambda: detector, found=lambda *_: None, dropped=lambda *_: None, ration=ration)


async def test_rows_beyond_the_budget_are_skipped_counted_and_told(watch: Watch) -> None:
    """0.1 s per second, saved up for ten seconds: one second, which is 20 rows; then two rows for each second that passes."""
    clock, detector = FakeClock(), watch.detector
    assert isinstance(detector, Dear)
    with ThreadPoolExecutor(1) as executor:
        lane = lane_of(watch, clock, executor, 0.1)
        async with working(lane):
            for n in range(50):
                lane.put(frame(n, 1))
            await until(lambda: len(detector.rows) + len(detector.skipped) == 50)
            assert len(detector.rows) in (20, 21)
            assert detector.skipped == list(range(len(detector.rows), 50))
            assert lane.standing() == {
                "watch": "dear-1",
                "behind": 0,
                "computed_seconds": pytest.approx(0.05 * len(detector.rows)),
                "budget_seconds": 0.1,
                "rows_skipped": len(detector.skipped),
            }
            await clock.advance(SAVED_SECONDS)
            lane.put(frame(50, 5))
            await until(lambda: 54 in detector.rows)


async def test_without_a_budget_nothing_is_skipped(watch: Watch) -> None:
    detector = watch.detector
    assert isinstance(detector, Dear)
    with ThreadPoolExecutor(1) as executor:
        lane = lane_of(watch, FakeClock(), executor, inf)
        async with working(lane):
            lane.put(frame(0, 1_000))
            await until(lambda: len(detector.rows) == 1_000)
    assert detector.rows == list(range(1_000))
    assert lane.standing()["budget_seconds"] is None


async def test_a_frame_of_many_rows_lets_another_watch_have_its_turn(watch: Watch, plant: Any, tmp_path: Path) -> None:
    """Both compute on one thread; the dear one is in the midst of its rows when the other is asked."""
    other = Line.of(plant.settings(plant.tags(a={}), watch.settings, state_dir=tmp_path)).watches[0]
    dear, quick = watch.detector, Dear(None, None)
    other.ready(quick)  # type: ignore[arg-type]
    assert isinstance(dear, Dear)
    dear.free.clear()
    with ThreadPoolExecutor(1) as executor:
        clock = FakeClock()
        first, second = lane_of(watch, clock, executor, inf), lane_of(other, clock, executor, inf)
        seen: list[int] = []
        quick.process = lambda item: seen.append(len(dear.rows)) or []  # type: ignore[method-assign, func-returns-value]
        async with working(first, second):
            first.put(frame(0, 500))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second.put(frame(0, 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            dear.free.set()
            await until(lambda: len(dear.rows) == 500)
    assert len(seen) == 1
    assert seen[0] < 500


def test_slices_are_as_long_as_the_last_one_says() -> None:
    spent = iter([0.0, 0.2, 0.2, 0.2])
    ration = Ration(inf, FakeClock(), cpu=lambda: next(spent))
    ration.measured(lambda: None, 10)  # 20 ms a row: one row in a slice
    assert [len(part.t_ns) for part in ration.slices(frame(0, 3))] == [1, 1, 1]
    ration.measured(lambda: None, 10)  # nothing at all
    parts = list(ration.slices(frame(0, MOST_ROWS + 7)))
    assert [len(part.t_ns) for part in parts] == [MOST_ROWS, 7]
    assert np.concatenate([part.t_ns for part in parts]).tolist() == list(range(MOST_ROWS + 7))


async def test_a_flush_of_many_machines_fits_into_the_queue(plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its room: a watch of more machines than the queue is long would lose rows with every flush."""
    monkeypatch.setattr(lane_module, "QUEUE", 2)
    plugin = DetectorPlugin(name="dear", domain="anomaly", options=RationedWatchOptions, build=Dear, slow=True)  # type: ignore[arg-type]
    tags = tuple(tag for n in range(10) for tag in plant.tags(f"m{n}", a={}))
    watch = Line.of(plant.settings(tags, plant.watch(plugin, tags), state_dir=tmp_path)).watches[0]
    dropped: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        lane = SlowLane(
            watch,
            executor,
            build=lambda: Dear(None, None),  # type: ignore[return-value]
            found=lambda *_: None,
            dropped=lambda name, _shape: dropped.append(name),
            ration=Ration(inf, FakeClock()),
        )
        for n in range(20):
            lane.put(frame(0, 1, f"m{n % 10}"))
        assert dropped == []
        lane.put(frame(1, 1, "m0"))
        assert dropped == ["dear-1"]


async def test_what_waits_for_a_slow_detector_goes_along_when_the_clock_leaps(watch: Watch) -> None:
    """What it has in hand comes before the leap; what waits was of the time before, and would make it deaf until that comes again."""
    detector, hour, heard = watch.detector, 3600 * 10**9, list[int]()
    assert isinstance(detector, Dear)
    detector.leap = lambda _machine, delta_ns: heard.extend((len(detector.rows), delta_ns))  # type: ignore[attr-defined]
    detector.free.clear()
    with ThreadPoolExecutor(1) as executor:
        before = executor.submit(detector.free.wait, 5)
        made = lane_of(watch, FakeClock(), executor, inf)
        async with working(made):
            made.put(frame(2 * hour, 1))
            await until(lambda: made._busy)
            made.put(frame(2 * hour + 1, 1))
            watch.leap(-hour, set())
            made.leap(0, watch.follow(0), 0)
            made.put(frame(hour + 2, 1))
            detector.free.set()
            before.result()
            await until(lambda: made.idle)
    assert detector.rows == [2 * hour, hour + 1, hour + 2]
    assert heard == [1, -hour]


async def test_a_clock_that_goes_back_while_a_detector_is_built_anew_makes_it_not_deaf(plant: Any, tmp_path: Path) -> None:
    """Now, and after a start: the state is still of the time before."""
    put_right, hour, leaps = [0], 3600 * 10**9, list[int]()

    class Leaping(Dear):
        def load(self, state: bytes) -> None:
            put_right[0] = -hour

        def leap(self, machine: str, delta_ns: int) -> None:
            leaps.append(delta_ns)

    plugin = DetectorPlugin(name="dear", domain="anomaly", options=RationedWatchOptions, build=Leaping)  # type: ignore[arg-type]
    tags = plant.tags(a={})
    watch = Line.of(plant.settings(tags, plant.watch(plugin, tags), state_dir=tmp_path)).watches[0]
    watch.ready(Leaping(None, None))
    states = Snapshots(tmp_path, lambda: put_right[0])
    with ThreadPoolExecutor(1) as files:
        lanes = Lanes(None, states, found=lambda *_: None, counts=Counts(), files=files, clock=FakeClock())  # type: ignore[arg-type]
        states.save(f"{watch.name}.before", b"of before")
        await lanes.go_back(watch)
        lanes.close()
    assert leaps == [-hour]
    assert states.ahead_ns(watch.name) == hour
