"""What verdicts do to the detectors of a running gateway."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, closing
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Batch, Judgement, Verdict
from gateway.engine.lane import SlowLane
from gateway.engine.ration import Ration
from gateway.engine.watch import Watch
from gateway.feedback.factors import revert
from gateway.feedback.lessons import Lessons
from gateway.outbox import labels
from gateway.outbox.database import FILE_NAME
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock

FALSE, TRUE = Judgement.FALSE_ALARM, Judgement.TRUE_POSITIVE
BOUNDS = {"step": 0.1, "at_most": 0.25}


@asynccontextmanager
async def running(lessons: Lessons) -> AsyncIterator[None]:
    task = asyncio.create_task(lessons.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def come(outbox: Outbox, *verdicts: Verdict) -> None:
    await outbox.insist(partial(labels.add, verdicts=verdicts, origin="crm", now_ns=0))


def lessons_of(outbox: Outbox, clock: FakeClock, watches: Sequence[Watch], seconds: float = 0.01) -> Lessons:
    return Lessons(outbox, clock, lambda: watches, poll_seconds=seconds)


def lane_of(watch: Watch, analysis: Executor, detector: Any) -> SlowLane:
    ration = Ration(inf, FakeClock())
    return SlowLane(
        watch, analysis, build=lambda: detector, found=lambda _watch, _findings: None, dropped=lambda _name, _shape: None, ration=ration
    )


async def test_woken_it_moves_the_factor_and_tells_the_detector(
    outbox: Outbox, clock: FakeClock, made: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watch, other = made.watch(**BOUNDS), made.watch("anomaly-2", **BOUNDS)
    lessons = lessons_of(outbox, clock, [watch, other], seconds=60)
    await come(outbox, made.verdict("v1"))
    with caplog.at_level(logging.INFO, "lineside"):
        async with running(lessons):
            lessons.wake()
            await until(lambda: len(watch.detector.heard) == 2)
    assert made.heard(watch) == [("m1", made.CONDITION, 1.1), made.label(FALSE)]
    assert made.heard(other) == []
    told = [record for record in caplog.records if record.message == "threshold moved"]
    assert [record.fields["why"] for record in told] == ["false_alarm of inc-1"]  # type: ignore[attr-defined]


async def test_what_a_command_wrote_and_what_it_took_back_is_noticed(
    outbox: Outbox, clock: FakeClock, made: Any, until: Any, tmp_path: Path
) -> None:
    watch = made.watch(**BOUNDS)

    def command(operation: Callable[[sqlite3.Connection], object]) -> None:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=5)) as connection:
            operation(connection)
            connection.commit()

    async with running(lessons_of(outbox, clock, [watch])):
        await asyncio.to_thread(command, partial(labels.add, verdicts=[made.verdict("v1")], origin="command", now_ns=0))
        await until(lambda: len(watch.detector.heard) == 2)
        assert made.heard(watch)[0] == ("m1", made.CONDITION, 1.1)
        await asyncio.to_thread(command, partial(revert, who="ops", now_ns=0))
        await until(lambda: len(watch.detector.heard) == 1)
        assert made.heard(watch) == [("m1", made.CONDITION, 1.0)]


async def test_after_a_start_the_factors_are_told_again_and_the_lessons_are_not(outbox: Outbox, clock: FakeClock, made: Any) -> None:
    await come(outbox, made.verdict("v1"))
    first = made.watch(**BOUNDS)
    await lessons_of(outbox, clock, [first]).apply_all()
    assert made.heard(first) == [("m1", made.CONDITION, 1.1), made.label(FALSE)]
    second = made.watch(**BOUNDS)
    lessons = lessons_of(outbox, clock, [second])
    await lessons.apply_all()
    await lessons.apply_all()
    assert made.heard(second) == [("m1", made.CONDITION, 1.1)]


async def test_after_a_reload_only_the_detector_that_was_built_anew_is_told(outbox: Outbox, clock: FakeClock, made: Any) -> None:
    await come(outbox, made.verdict("v1"))
    watches = [made.watch(**BOUNDS)]
    lessons = Lessons(outbox, clock, lambda: watches)
    await lessons.apply_all()
    made.heard(watches[0])
    await lessons.apply_all()
    assert made.heard(watches[0]) == []
    watches[0] = made.watch(step=0.1, at_most=0.05)
    await lessons.apply_all()
    assert made.heard(watches[0]) == [("m1", made.CONDITION, 1.05)]
    watches[0] = made.watch()
    await lessons.apply_all()
    watches[0] = made.watch(**BOUNDS)
    await lessons.apply_all()
    assert made.heard(watches[0]) == []  # it was set back when the bounds were gone


async def test_without_bounds_a_detector_is_taught_but_not_tuned(outbox: Outbox, clock: FakeClock, made: Any) -> None:
    watch = made.watch()
    await come(outbox, made.verdict("v1"))
    await lessons_of(outbox, clock, [watch]).apply_all()
    assert made.heard(watch) == [made.label(FALSE)]


async def test_a_detector_that_cannot_be_tuned_is_left_alone_and_that_is_told_once(
    outbox: Outbox, clock: FakeClock, made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watch = made.watch(deaf=True, **BOUNDS)
    lessons = lessons_of(outbox, clock, [watch])
    await come(outbox, made.verdict("v1"))
    await lessons.apply_all()
    await lessons.apply_all()
    assert [record.message for record in caplog.records] == ["feedback has no effect"]
    assert await outbox.run(lambda connection: connection.execute("SELECT count(*) FROM tuning").fetchone()) == (0,)
    assert await outbox.run(labels.precision) == {"anomaly-1": labels.Votes(false_alarm=1)}


async def test_a_slow_detector_is_told_on_the_analysis_thread_between_two_items(
    outbox: Outbox, clock: FakeClock, made: Any, until: Any, analysis: Executor
) -> None:
    await come(outbox, made.verdict("v1"))
    earlier = made.watch(**BOUNDS)
    await lessons_of(outbox, clock, [earlier]).apply_all()  # the factor of a former run
    await come(outbox, made.verdict("v2", TRUE, "inc-2"))
    watch = made.watch(slow=True, built=False, **BOUNDS)
    detector = made.watch(slow=True, **BOUNDS).detector
    lane = lane_of(watch, analysis, detector)
    lessons = lessons_of(outbox, clock, [watch])
    await lessons.apply_all()  # not built: its factor waits, and so do the labels
    working = asyncio.create_task(lane.run())
    try:
        await until(lambda: watch.detector is not None)
        lane.put(Batch.of([0], [1], [1.0]))
        await until(lambda: "item" in detector.heard)
        assert made.heard(watch) == [("m1", made.CONDITION, 1.1), "item"]
        await lessons.apply_all()
        lane.put(Batch.of([0], [2], [1.0]))
        await until(lambda: "item" in detector.heard)
        assert made.heard(watch) == [("m1", made.CONDITION, 1.0), made.label(TRUE, over=True), "item"]
    finally:
        working.cancel()
        await asyncio.wait([working])
    assert {name.partition("_")[0] for name in made.threads(watch)} == {"analysis"}


async def test_what_a_resting_detector_was_told_is_in_its_state(made: Any, analysis: Executor) -> None:
    watch = made.watch(slow=True, **BOUNDS)
    lane = lane_of(watch, analysis, watch.detector)
    watch.tell(lambda detector: detector.teach(made.label(FALSE)))
    assert made.heard(watch) == []
    await lane.dump()
    assert made.heard(watch) == [made.label(FALSE), "dump"]


async def test_a_disk_that_refuses_keeps_nobody_from_starting(
    outbox: Outbox, clock: FakeClock, made: Any, tmp_path: Path, until: Any
) -> None:
    watch = made.watch(**BOUNDS)
    await come(outbox, made.verdict("v1"))
    await outbox.run(lambda connection: connection.execute("PRAGMA busy_timeout=0").fetchall())
    lessons = lessons_of(outbox, clock, [watch])
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await lessons.apply_all()
        assert made.heard(watch) == []
        async with running(lessons):
            await until(lambda: outbox.refused != "")
            other.execute("ROLLBACK")
            await clock.advance(1.0)
            await until(lambda: len(watch.detector.heard) == 2)
    assert made.heard(watch) == [("m1", made.CONDITION, 1.1), made.label(FALSE)]
