"""From inboxes to incidents: dispatch, gates, slow lanes, acknowledgement, a detector that raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.config.settings import IncidentSettings, Settings
from gateway.contract import (
    Batch,
    BlockWatchOptions,
    ConfigError,
    Finding,
    Frame,
    FrameWatchOptions,
    Quality,
    Record,
    RecordSpec,
    Severity,
    State,
    Waveform,
)
from gateway.engine import lane as lane_module
from gateway.engine.accept import Acceptance, Route
from gateway.engine.cases import Cases
from gateway.engine.inbox import Inbox
from gateway.engine.lane import Lanes
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.snapshot import Snapshots
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents
from gateway.outbox import tally
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock

SECOND = 1_000_000_000


class Rig:
    """A line without edges: readings are emitted by hand, events lie in a real outbox."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.clock, self.counts = FakeClock(), Counts()
        self.outbox = Outbox(folder, self.clock)
        self.outbox.open()
        builder = EventBuilder("urn:lineside:acme:test:gw")
        self.line = Line.of(settings)
        cases = Cases(
            builder,
            machines=settings.machines,
            history=self.line.history,
            settings=settings.incidents,
            counts=self.counts,
            clock=self.clock,
        )
        self.acceptance = Acceptance(self.outbox, cases, [Route("crm", Severity.INFO, ())], self.counts)
        self.incidents = Incidents(self.clock, builder.incident_id, evidence_seconds=0.0)
        self.fed = 0
        self.pipeline = Pipeline(self.line, self.incidents, self.acceptance, clock=self.clock, counts=self.counts, progress=self._progress)
        self.dropped: list[tuple[str, str, int]] = []
        self.inbox = Inbox("drop_oldest", wake=self.pipeline.wake, took=lambda n: None, dropped=lambda *given: self.dropped.append(given))
        self.pipeline.inboxes["m1"] = self.inbox
        self.snapshots = Snapshots(folder / "detectors")

    def _progress(self) -> None:
        self.fed += 1

    def lanes(self, tasks: asyncio.TaskGroup) -> Lanes:
        files = ThreadPoolExecutor(1)
        lanes = Lanes(tasks, self.snapshots, found=self.pipeline.found, counts=self.counts, files=files, clock=self.clock)
        self.pipeline.lane = lanes.get
        lanes.build(self.line.watches)
        return lanes

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Lanes]:
        async with asyncio.TaskGroup() as tasks:
            lanes = self.lanes(tasks)
            await lanes.start(self.line.watches)
            work = [tasks.create_task(self.pipeline.run()), tasks.create_task(self.acceptance.run())]
            try:
                yield lanes
            finally:
                for task in work:
                    task.cancel()
                await lanes.stop()
                lanes.close()

    async def read(self, *values: float, tag: int = 0, seconds: float = 0.0) -> None:
        start = self.clock.now_ns() + int(seconds * SECOND)
        await self.inbox.emit([Batch.of([tag] * len(values), start + np.arange(len(values)), values)])

    def detector(self, number: int = 0) -> Any:
        return self.line.watches[number].detector

    async def events(self) -> list[str]:
        return [event.type for event in await self.outbox.lease("crm", Wanted(1000))]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Callable[[Settings], Rig]]:
    made: list[Rig] = []

    def make(settings: Settings) -> Rig:
        made.append(Rig(settings, tmp_path))
        return made[-1]

    yield make
    for each in made:
        await each.outbox.close()


async def test_a_detector_gets_the_good_readings_of_its_tags_and_frames(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(a={}, b={}, c={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags[:2]), state_dir=tmp_path))
    async with one.running():
        t = one.clock.now_ns()
        await one.inbox.emit([Batch.of([0, 1, 2, 0], [t, t, t, t], [1.0, float("nan"), 3.0, 4.0])])
        await until(lambda: one.fed > 0 and one.detector().items)
        await one.inbox.emit([Batch.of([0], [t + 2 * SECOND], [5.0])])
        await until(lambda: len(one.detector().items) == 3)
    first, second, frame = one.detector().items
    assert first.tag.tolist() == [0, 0]
    assert second.value.tolist() == [5.0]
    assert isinstance(frame, Frame)
    assert frame.names == ("a", "b")
    assert np.nan_to_num(frame.x, nan=-1).tolist() == [[4.0, -1.0]]
    assert one.counts.total("readings_bad", reason="not_finite") == 1
    assert one.counts.total("readings") == 5


async def test_a_detector_that_asks_for_everything_gets_what_is_bad_and_what_a_deadband_keeps_back(
    rig: Any, plant: Any, tmp_path: Path
) -> None:
    tags = plant.tags(a={"deadband": 10.0}, b={})
    one = rig(plant.settings(tags, plant.watch(plant.told(everything=True), tags), state_dir=tmp_path))
    async with one.running():
        t, nan = one.clock.now_ns(), float("nan")
        await one.inbox.emit([Batch.of([0, 0, 1, 1], [t, t + 1, t, t + 1], [1.0, 2.0, 3.0, nan])])
        await until(lambda: len(one.detector().items) == 1)
        await one.inbox.emit([Batch.of([1, 0], [t + 2 * SECOND] * 2, [nan, 2.0])])
        await until(lambda: len(one.detector().items) == 3)
    first, second, frame = one.detector().items
    assert (len(first), len(second)) == (4, 2)
    assert second.quality.tolist() == [Quality.BAD_NOT_FINITE, 0]
    assert frame.x.tolist() == [[2.0, 3.0]]


async def test_a_closed_gate_keeps_everything_of_its_machine_back(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(a={}, running={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags[:1], only_when="running == 1"), state_dir=tmp_path))
    async with one.running():
        await one.read(1.0)
        await one.read(0.0, tag=1)
        await until(lambda: one.counts.total("readings") == 2)
        assert one.detector().items == []
        await one.read(1.0, tag=1)
        await one.read(2.0)
        await until(lambda: bool(one.detector().items))


async def test_a_finding_is_one_event_on_disk(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(a={})
    settings = plant.settings(tags, plant.watch(plant.told(), tags, clear_after="0s"), state_dir=tmp_path)
    one = rig(settings)
    async with one.running():
        await one.read(50, 150, 151, 152, 50)
        await until(lambda: one.outbox.accepted == 2)
    assert await one.events() == ["io.lineside.limit.raised.v1", "io.lineside.limit.cleared.v1"]


async def test_a_record_is_accepted_when_what_it_caused_is_on_disk(rig: Any, plant: Any, tmp_path: Path) -> None:
    spec = RecordSpec("m1", "order", None)
    tags = plant.tags(a={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags, records=(spec,)), state_dir=tmp_path))
    async with one.running():
        await one.inbox.emit([Record(source="m1/order", t_ns=one.clock.now_ns(), fields={"fact": "4711"})])
        assert await one.events() == ["io.lineside.limit.milestone_reached.v1"]
        await asyncio.wait_for(one.inbox.emit([Record(source="m1/order", t_ns=1, fields={})]), 1.0)


async def test_a_record_that_was_on_its_way_when_the_clock_was_put_right_is_put_right_too(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(a={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags, records=(RecordSpec("m1", "order", None),)), state_dir=tmp_path))
    async with one.running():
        one.pipeline.right = lambda t_ns: t_ns + 5
        await one.inbox.emit([Record(source="m1/order", t_ns=10, fields={})])
        assert [item.t_ns for item in one.detector().items if isinstance(item, Record)] == [15]


async def test_a_record_that_cannot_be_stored_yet_is_not_accepted(rig: Any, plant: Any, tmp_path: Path) -> None:
    spec = RecordSpec("m1", "order", None)
    tags = plant.tags(a={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags, records=(spec,)), state_dir=tmp_path))
    pages = await one.outbox.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await one.outbox.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone()[0])
    async with one.running():
        first = [Record(source="m1/order", t_ns=n, fields={"fact": "x" * 250 + str(n)}) for n in range(100)]
        emitting = asyncio.create_task(one.inbox.emit(first))
        await until(lambda: bool(one.outbox.refused))
        # The repetition of one that is still on its way causes nothing, and must wait for it all the same.
        repeated = asyncio.create_task(one.inbox.emit([Record(source="m1/order", t_ns=5, fields={})]))
        await until(lambda: one.counts.total("records") == 101)
        assert not emitting.done()
        assert not repeated.done()
        await one.outbox.run(lambda c: c.execute("PRAGMA max_page_count=100000").fetchone()[0])
        while not (emitting.done() and repeated.done()):
            await one.clock.advance(1.0)
            await asyncio.sleep(0.002)
    assert len(await one.events()) == 100


async def test_a_detector_that_raises_ends_the_line_and_names_its_watch(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(a={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags, clear_after="0s"), state_dir=tmp_path))

    async def until_it_ends() -> None:
        async with one.running():
            await one.read(150.0)
            await until(lambda: one.outbox.accepted == 1)
            await one.read(666.0)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await until_it_ends()
    (bug,) = raised.value.exceptions
    assert isinstance(bug, ZeroDivisionError)
    assert bug.__notes__ == ["watch told-1 (told) looking at a Batch"]
    assert await one.events() == ["io.lineside.limit.raised.v1"]


async def test_a_slow_detector_that_is_late_drops_its_own_items_counted(
    rig: Any, plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "QUEUE", 4)
    tags = plant.tags(a={}, v={"kind": "waveform"})
    slow = plant.watch(plant.told("lazy", slow=True), tags)
    one = rig(plant.settings(tags, slow, plant.watch(plant.told(), tags[:1]), state_dir=tmp_path))
    async with one.running():
        await until(lambda: one.detector() is not None)
        one.detector().free.clear()
        for n in range(10):
            await one.read(float(n), seconds=n / 1000)
            await until(lambda n=n: one.counts.total("readings") == n + 1)
        assert one.counts.total("analysis_dropped", watch="lazy-1", shape="batch") == 5
        one.detector().free.set()
        await until(lambda: len(one.detector().items) == 5)
    assert [item.value[0] for item in one.detector().items] == [0, 6, 7, 8, 9]
    assert [item.value[0] for item in one.detector(1).items] == list(range(10))
    assert one.dropped == []


async def test_every_fast_channel_has_room_for_a_block_at_the_same_moment(
    rig: Any, plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more channels than items the queue has for a machine, none is left out."""
    monkeypatch.setattr(lane_module, "QUEUE", 4)
    tags = plant.tags(**{f"v{number}": {"kind": "waveform"} for number in range(10)})
    one = rig(plant.settings(tags, plant.watch(plant.told("lazy", slow=True), tags), state_dir=tmp_path))
    samples = np.zeros(100, dtype=np.float32)
    blocks = [Waveform(tag=tag, t_ns=one.clock.now_ns(), rate_hz=100.0, samples=samples) for tag in range(10)]
    async with one.running():
        await until(lambda: one.detector() is not None)
        one.detector().free.clear()
        await one.inbox.emit(blocks)
        await until(lambda: one.counts.total("waveforms") == 10)
        one.detector().free.set()
        await until(lambda: len(one.detector().items) == 10)
    assert one.counts.total("analysis_dropped") == 0


async def test_a_slow_detector_that_waits_for_business_messages_is_refused(rig: Any, plant: Any, tmp_path: Path) -> None:
    """It would never get one, and nobody would notice."""
    tags = plant.tags(a={})
    watch = plant.watch(plant.told("lazy", slow=True), tags, records=(RecordSpec("mes", "order", None),))
    one = rig(plant.settings(tags, watch, state_dir=tmp_path))

    async def until_it_ends() -> None:
        async with one.running():
            await asyncio.wait_for(asyncio.Event().wait(), 5)

    with pytest.raises(ExceptionGroup) as raised:
        await until_it_ends()
    assert [str(exc) for exc in raised.value.exceptions] == ["watch lazy-1: lazy is a slow detector, which gets no business messages"]
    assert raised.group_contains(ConfigError)


async def test_a_waveform_gets_the_machines_speed_and_a_bad_one_is_not_analysed(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(speed={}, v={"kind": "waveform"})
    settings = plant.settings(tags, plant.watch(plant.told(), tags), state_dir=tmp_path)
    one = rig(settings)
    one.line.speed_tag["m1"] = 0
    block = Waveform(tag=1, t_ns=one.clock.now_ns(), rate_hz=1000.0, samples=np.zeros(10, dtype=np.float32))
    async with one.running():
        await one.read(1797.0)
        await until(lambda: one.counts.total("readings") == 1)
        await one.inbox.emit([replace(block, quality=20), block])
        await until(lambda: len(one.detector().items) == 2)
        assert one.line.table.last_quality[1] == Quality.GOOD
        await one.inbox.emit([replace(block, quality=20)])
        await until(lambda: one.line.table.last_quality[1] == Quality.BAD_LENGTH)
    assert one.detector().items[1].speed_rpm == 1797.0
    assert one.counts.total("waveforms_bad", reason="length") == 2


@pytest.mark.parametrize(("speeds", "left_out"), [((1000.0, 1100.0), {"speed": 1}), ((1000.0, 1001.0), {})])
async def test_a_block_during_which_the_speed_tag_changed_is_left_out_and_counted(
    rig: Any, plant: Any, tmp_path: Path, speeds: tuple[float, float], left_out: dict[str, int]
) -> None:
    tags = plant.tags(speed={}, v={"kind": "waveform"})

    class Both(FrameWatchOptions, BlockWatchOptions): ...

    plugin = replace(plant.told(), options=Both)
    one = rig(plant.settings(tags, plant.watch(plugin, tags), state_dir=tmp_path))
    one.line.speed_tag["m1"] = 0
    t_ns = one.clock.now_ns()
    block = Waveform(tag=1, t_ns=t_ns - 1_000_000_000, rate_hz=1000.0, samples=np.zeros(1000, dtype=np.float32))
    async with one.running():
        await one.inbox.emit([Batch.of([0, 0], [t_ns - 500_000_000, t_ns - 250_000_000], speeds), block])
        await until(lambda: one.counts.total("waveforms") == 1)
    assert sum(isinstance(item, Waveform) for item in one.detector().items) == (0 if left_out else 1)
    assert one.line.watches[0].left_out() == left_out


async def test_a_block_carries_the_load_its_watch_names(rig: Any, plant: Any, tmp_path: Path) -> None:
    class Both(FrameWatchOptions, BlockWatchOptions): ...

    tags = plant.tags(power={}, v={"kind": "waveform"})
    watch = plant.watch(replace(plant.told(), options=Both), tags, load="power")
    one = rig(plant.settings(tags, watch, state_dir=tmp_path))
    block = Waveform(tag=1, t_ns=one.clock.now_ns(), rate_hz=1000.0, samples=np.zeros(1000, dtype=np.float32))
    async with one.running():
        await one.inbox.emit([Batch.of([0], [one.clock.now_ns()], [71.5]), block])
        await until(lambda: one.counts.total("waveforms") == 1)
    assert [item.load for item in one.detector().items if isinstance(item, Waveform)] == [71.5]


async def test_the_blocks_of_all_channels_a_finding_is_about_are_kept(rig: Any, plant: Any, tmp_path: Path) -> None:
    tags = plant.tags(x={"kind": "waveform"}, y={"kind": "waveform"})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags), state_dir=tmp_path))
    samples = np.zeros(10, dtype=np.float32)
    blocks = [Waveform(tag=tag, t_ns=one.clock.now_ns() + i, rate_hz=1000.0, samples=samples) for i, tag in enumerate((0, 0, 1))]
    kept: list[Waveform] = []
    one.pipeline.keep = kept.extend
    async with one.running():
        await one.inbox.emit(blocks)
        await until(lambda: one.counts.total("waveforms") == 3)
        finding = Finding(machine="m1", condition="x_bearing", state=State.ACTIVE, t_ns=1, since_ns=1, severity=Severity.WARNING, title="x")
        one.pipeline.found(one.line.watches[0], [finding])
        assert kept == []
        about = {"block": {"tag": "m1/x", "t_ns": blocks[1].t_ns}}
        one.pipeline.found(one.line.watches[0], [msgspec.structs.replace(finding, evidence=about)])
    assert [(block.tag, block.t_ns) for block in kept] == [(0, blocks[1].t_ns), (1, blocks[2].t_ns)]


async def test_while_the_disk_takes_nothing_the_line_goes_on_and_what_cannot_wait_is_counted(
    rig: Any, plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engine.accept._WAITING_MOST", 10)
    tags = plant.tags(a={})
    one = rig(plant.settings(tags, plant.watch(plant.told(), tags, clear_after="0s"), state_dir=tmp_path))
    pages = await one.outbox.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await one.outbox.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone()[0])
    async with one.running():
        await one.read(*[150.0, 50.0] * 40)
        await until(lambda: bool(one.outbox.refused))
        for n in range(1, 5):
            flushes, fed = one.pipeline.flushes, one.fed
            await one.read(*[150.0, 50.0] * 40, seconds=n / 1000)
            await until(lambda: one.pipeline.flushes > flushes and one.fed > fed)  # noqa: B023
        await one.outbox.run(lambda c: c.execute("PRAGMA max_page_count=100000").fetchone()[0])
        while one.outbox.refused:
            await one.clock.advance(1.0)
            await asyncio.sleep(0.002)
    counts = (await one.outbox.run(tally.backlog))["crm"]
    built, dropped = one.counts.total("events"), one.counts.total("events_dropped", destination="crm", reason="not_storing")
    assert counts["stored"] + dropped == built == 400
    assert dropped > 200
    types = await one.events()
    began, ended = (sum(kind in type_ for type_ in types) for kind in (".raised.", ".cleared."))
    assert began == ended > 0, "no case is told whose end was given up, and no end of one that was not told"


class TestReload:
    @pytest.fixture(autouse=True)
    def _one_plugin(self, plant: Any) -> None:
        self.plugin = plant.told()

    def settings(self, plant: Any, folder: Path, *, extra: bool = False) -> Settings:
        tags = plant.tags(a={}, b={}, **({"c": {}} if extra else {}))
        kept = plant.watch(self.plugin, tags[:1])
        other = plant.watch(self.plugin, tags[1:2], clear_after="7s" if extra else "9s")
        return plant.settings(tags, kept, replace(other, name="other"), state_dir=folder)

    async def test_a_watch_that_did_not_change_is_the_same_object(self, rig: Any, plant: Any, tmp_path: Path) -> None:
        one = rig(self.settings(plant, tmp_path))
        async with asyncio.TaskGroup() as tasks:
            one.lanes(tasks).close()
        one.line.table.last_value[:] = 5.0
        one.line.history.add(Batch.of([0], [one.clock.now_ns()], [5.0]))
        new = Line.of(self.settings(plant, tmp_path, extra=True), one.line)
        assert new.watches[0] is one.line.watches[0]
        assert new.watches[0].detector is one.detector(0)
        assert new.watches[1] is not one.line.watches[1]
        assert new.table.last_value[:2].tolist() == [5.0, 5.0]
        assert new.history.points("m1", 0)["a"][1].tolist() == [5.0]

    async def test_other_incident_settings_rebuild_all_watches(self, rig: Any, plant: Any, tmp_path: Path) -> None:
        settings = self.settings(plant, tmp_path)
        one = rig(settings)
        new = Line.of(replace(settings, incidents=IncidentSettings(clear_after=1.0)), one.line)
        assert all(a is not b for a, b in zip(new.watches, one.line.watches, strict=True))

    async def test_a_changed_watch_continues_from_the_saved_state_and_an_unfit_one_starts_fresh(
        self, rig: Any, plant: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = rig(self.settings(plant, tmp_path))
        async with asyncio.TaskGroup() as tasks:
            lanes = one.lanes(tasks)
            one.detector(0).state, one.detector(1).state = b"of another version", b"learnt"
            await lanes.save(one.line.watches)
            new = Line.of(replace(one.line.settings, incidents=IncidentSettings(clear_after=1.0)), one.line)
            lanes.build(new.watches)
            lanes.close()
        assert new.watches[1].detector.state == b"learnt"
        assert new.watches[0].detector.state == b"fresh"
        assert [record.getMessage() for record in caplog.records] == ["detector starts fresh"]

    async def test_a_disk_that_takes_no_states_is_told_once_and_survived(
        self, rig: Any, plant: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = rig(self.settings(plant, tmp_path))
        (tmp_path / "detectors").write_text("a file where the folder should be")
        async with asyncio.TaskGroup() as tasks:
            lanes = one.lanes(tasks)
            await lanes.save(one.line.watches)
            await lanes.save(one.line.watches)
            lanes.close()
        told = [record.getMessage() for record in caplog.records]
        assert told.count("detector states cannot be saved") == 1
