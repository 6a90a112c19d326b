"""Watches that may not raise: on trial for good (`shadow`), or in a blackout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.config.settings import IncidentSettings, Settings
from gateway.contract import Batch, Record, RecordSpec, Severity, Waveform
from gateway.engine.accept import Acceptance, Route
from gateway.engine.cases import Cases
from gateway.engine.inbox import Inbox
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.snapshot import Snapshots
from gateway.engine.watch import build_detector
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock

SECOND = 1_000_000_000
AT_ONCE = {"hold": "0s", "clear_after": "0s"}


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


class Bench:
    """A line whose flushes are made by hand, before a real outbox."""

    def __init__(self, settings: Settings, folder: Path, start_ns: int) -> None:
        self.clock, self.counts, self._folder = FakeClock(start_ns), Counts(), folder
        self.outbox = Outbox(folder, self.clock)
        self.outbox.open()
        builder = EventBuilder("urn:lineside:acme:test:gw")
        line = Line.of(settings)
        plain = IncidentSettings()
        cases = Cases(builder, machines=settings.machines, history=line.history, settings=plain, counts=self.counts, clock=self.clock)
        self.acceptance = Acceptance(self.outbox, cases, [Route("crm", Severity.INFO, ())], self.counts)
        self.incidents = Incidents(self.clock, builder.incident_id, evidence_seconds=0.0)
        self.pipeline = Pipeline(line, self.incidents, self.acceptance, clock=self.clock, counts=self.counts, progress=lambda: None)
        self.inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda n: None, dropped=lambda *given: None)
        self.pipeline.inboxes["m1"] = self.inbox
        self._build()

    def _build(self) -> None:
        for watch in self.pipeline.line.watches:
            if watch.detector is None:
                watch.ready(build_detector(watch, Snapshots(self._folder / "detectors")))

    def reload(self, settings: Settings) -> None:
        """As the app does it."""
        line = Line.of(settings, self.pipeline.line)
        self.pipeline.line = line
        self._build()
        self.pipeline.shadow.keep(line.watches)
        for change in self.incidents.retire(line.rules):
            self.acceptance.change(change)

    async def at(self, t_ns: int, *values: float) -> None:
        """Readings a millisecond apart, as soon as they are made, and a second later a look at what is due."""
        self.clock.set_wall(max(self.clock.now_ns(), t_ns))
        await self.inbox.emit([Batch.of([0] * len(values), t_ns + np.arange(len(values)) * 1_000_000, values)])
        self.pipeline.flush()
        await self.clock.advance(1.0)
        self.pipeline.flush()

    async def told(self) -> list[str]:
        await self.acceptance.commit()
        events = await self.outbox.lease("crm", Wanted(1000))
        return [f"{event.type.split('.')[-2]} {json.loads(event.data)['detector']}" for event in events]

    def seen(self, number: int = 0) -> list[float]:
        detector: Any = self.pipeline.line.watches[number].detector
        return [float(value) for item in detector.items if isinstance(item, Batch) for value in item.value]


@asynccontextmanager
async def bench(settings: Settings, folder: Path, start: str = "2027-01-15 08:00") -> AsyncIterator[Bench]:
    made = Bench(settings, folder, utc(start))
    try:
        yield made
    finally:
        await made.outbox.close()


@pytest.fixture
def settings_of(plant: Any, tmp_path: Path) -> Callable[..., Settings]:
    """One per dictionary of options, all watching m1/a."""

    def make(*watches: dict[str, Any]) -> Settings:
        tags = plant.tags(a={"heartbeat": "1s"})
        made = [plant.watch(plant.told(), tags, **{"name": f"w{n}", **AT_ONCE, **options}) for n, options in enumerate(watches)]
        found: Settings = plant.settings(tags, *made, state_dir=tmp_path)
        return found

    return make


class TestShadow:
    async def test_it_is_counted_and_nobody_is_told(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"shadow": True}), tmp_path) as one:
            await one.at(one.clock.now_ns(), 150, 150, 50, 150)
            assert await one.told() == []
            assert one.seen() == [150, 150, 50, 150]
            assert one.incidents.open == []
            assert one.counts.total("findings") == 0
            assert one.counts.total("findings_shadow", watch="w0", state="active") == 3
            assert one.counts.total("alarms_shadow", watch="w0") == 2
            assert [(alarm.machine, alarm.condition, alarm.title) for alarm in one.pipeline.shadow.take()] == [
                ("m1", "a_above", "a 150")
            ] * 2
            assert one.pipeline.shadow.active("w0") == 1
            assert one.pipeline.shadow.take() == []

    async def test_it_counts_alarms_as_they_would_have_been_with_hold_and_clear_after(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"shadow": True, "hold": "5s", "clear_after": "1m"}), tmp_path) as one:
            await one.at(one.clock.now_ns(), 150, 50)
            assert one.counts.total("alarms_shadow") == 0
            await one.at(one.clock.now_ns(), 150)
            await one.clock.advance(5.0)
            one.pipeline.flush()
            await one.at(one.clock.now_ns(), 50, 150)
            assert one.counts.total("alarms_shadow") == 1

    async def test_beside_one_in_earnest_on_the_same_tag_both_keep_their_own(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"shadow": True}, {"hold": "1h"}, {"shadow": True}), tmp_path) as one:
            await one.at(one.clock.now_ns(), 150)
            assert await one.told() == []
            assert one.counts.total("alarms_shadow", watch="w0") == one.counts.total("alarms_shadow", watch="w2") == 1
            await one.clock.advance(3600)
            one.pipeline.flush()
            assert await one.told() == ["raised w1"]

    async def test_going_live_raises_what_is_then_active_and_going_on_trial_closes_what_is_open(
        self, settings_of: Any, tmp_path: Path
    ) -> None:
        async with bench(settings_of({"shadow": True}), tmp_path) as one:
            await one.at(one.clock.now_ns(), 150)
            one.reload(settings_of({}))
            assert await one.told() == []
            await one.at(one.clock.now_ns(), 151)
            assert await one.told() == ["raised w0"]
            one.reload(settings_of({"shadow": True}))
            await one.at(one.clock.now_ns(), 152)
            assert await one.told() == ["raised w0", "cleared w0"]

    async def test_a_fact_is_counted_and_its_message_is_accepted(self, plant: Any, tmp_path: Path) -> None:
        spec = RecordSpec("m1", "order", None)
        tags = plant.tags(a={})
        watch = plant.watch(plant.told(), tags, records=(spec,), shadow=True)
        async with bench(plant.settings(tags, watch, state_dir=tmp_path), tmp_path) as one:
            emitting = asyncio.create_task(one.inbox.emit([Record(source="m1/order", t_ns=one.clock.now_ns(), fields={"fact": "4711"})]))
            await one.clock.settle()
            one.pipeline.flush()
            await asyncio.wait_for(emitting, 5)
            assert await one.told() == []
            assert one.counts.total("alarms_shadow") == 1


class TestBlackout:
    async def test_it_neither_looks_nor_raises_and_afterwards_tells_what_holds(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"blackout": "fri 08:00-09:00"}), tmp_path, "2027-01-15 07:59:50") as one:
            await one.at(utc("2027-01-15 07:59:51"), 10)
            await one.at(utc("2027-01-15 08:00:00"), 150, 151)
            assert one.seen() == [10]
            assert await one.told() == []
            await one.at(utc("2027-01-15 09:00:00"), 152)
            assert one.seen() == [10, 152]
            assert await one.told() == ["raised w0"]

    async def test_an_incident_that_was_open_stays_open_and_is_over_afterwards(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"blackout": "fri 08:00-09:00"}), tmp_path, "2027-01-15 07:59:50") as one:
            await one.at(utc("2027-01-15 07:59:51"), 150)
            await one.at(utc("2027-01-15 08:30:00"), 10)
            assert await one.told() == ["raised w0"]
            await one.at(utc("2027-01-15 09:00:00"), 10)
            assert (await one.told())[-1] == "cleared w0"

    async def test_a_hold_that_ends_in_it_waits_for_its_end(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"blackout": "fri 08:00-09:00", "hold": "30s"}), tmp_path, "2027-01-15 07:59:50") as one:
            await one.at(utc("2027-01-15 07:59:51"), 150)
            await one.at(utc("2027-01-15 08:00:10"), 150)
            await one.clock.advance(60)
            one.pipeline.flush()
            assert await one.told() == []
            await one.at(utc("2027-01-15 09:00:00"), 150)
            assert await one.told() == ["raised w0"]

    async def test_a_recording_is_judged_by_its_own_time_row_by_row(self, settings_of: Any, tmp_path: Path) -> None:
        async with bench(settings_of({"blackout": ["fri 08:00-09:00"]}), tmp_path, "2027-01-15 08:30") as one:
            before, inside, after = utc("2026-01-16 07:59:59"), utc("2026-01-16 08:00:00"), utc("2026-01-16 09:00:00")
            await one.inbox.emit([Batch.of([0, 0, 0], [before, inside, after], [150, 151, 152])])
            one.pipeline.flush()
            assert one.seen() == [150, 152]
            assert await one.told() == ["raised w0"]

    async def test_a_waveform_is_judged_too(self, plant: Any, tmp_path: Path) -> None:
        tags = plant.tags(a={"kind": "waveform"})
        watch = plant.watch(plant.told(), tags, blackout="fri 08:00-09:00")
        async with bench(plant.settings(tags, watch, state_dir=tmp_path), tmp_path) as one:
            blocks = [
                Waveform(tag=0, t_ns=utc(f"2027-01-15 {time}"), rate_hz=1000.0, samples=np.ones(8, np.float32))
                for time in ("08:59", "09:00")
            ]
            await one.inbox.emit(blocks)
            one.pipeline.flush()
            detector: Any = one.pipeline.line.watches[0].detector
            assert [block.t_ns for block in detector.items] == [utc("2027-01-15 09:00")]
