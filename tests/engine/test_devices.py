"""Troubles of devices: levels become findings when they change, and one incident each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.config.settings import SourceSettings
from gateway.contract import Batch, Health, NotConnected, Quality, SourceOptions, SourcePlugin, State, Tag, TagOptions, Trouble
from gateway.engine.devices import Devices
from gateway.engine.inbox import Inbox
from gateway.engine.stages import Table
from gateway.incidents import Change, Incidents, Phase
from gateway.telemetry.status import Status
from gateway.testkit.clock import FakeClock

TAGS = tuple(Tag(i, "press-07", name, TagOptions()) for i, name in enumerate(("oil", "strokes")))
PLUGIN = SourcePlugin(name="fake", options=SourceOptions, tag=TagOptions, build=lambda _o, _c: None)  # type: ignore[arg-type,return-value]
HOUR_NS = 3_600_000_000_000


class Rig:
    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.status = Status(self.clock)
        self.link = self.status.add("source", "press-07")
        self.inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda _n: None, dropped=lambda *_: None)
        self.table = Table.of(TAGS)
        self.incidents = Incidents(self.clock, lambda m, c, t: f"inc-{m}-{c}-{t}", evidence_seconds=0.0)
        self.devices = Devices(self.status.source, {"press-07": self.inbox}, self.incidents, lambda: self.table, self.clock)
        source = SourceSettings(machine="press-07", plugin=PLUGIN, options=SourceOptions.model_validate(options), tags=TAGS, records=())
        self.devices.configure([source])

    async def pass_seconds(self, seconds: float) -> list[Change]:
        """In steps of a second, as the pipeline looks; returns what was told to others."""
        changes: list[Change] = []
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            for finding in self.devices.findings():
                changes += self.incidents.apply(finding, self.devices.rule)
            changes += self.incidents.tick()
        return changes

    def read(self, *seconds: float) -> None:
        """Readings so long ago."""
        self.inbox.received += len(seconds)
        batch = Batch.of([0] * len(seconds), [self.clock.now_ns() - int(s * 1e9) for s in seconds], np.zeros(len(seconds)))
        self.devices.times("press-07", batch, self.clock.now_ns())


def told(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.phase.value, change.incident.condition) for change in changes if change.phase is not Phase.DROPPED]


async def test_a_source_that_is_away_for_a_moment_is_no_incident() -> None:
    rig = Rig(lost_after="30s")
    rig.status.up(rig.link)
    await rig.pass_seconds(5)
    rig.status.down(rig.link, NotConnected("10.1.4.7:502", "connection refused"), 1.0)
    assert told(await rig.pass_seconds(20)) == []
    rig.status.up(rig.link)
    assert told(await rig.pass_seconds(60)) == []


async def test_one_that_stays_away_is_one_however_often_it_is_tried_and_flaps() -> None:
    rig = Rig(lost_after="30s", silent_after=None)
    rig.status.down(rig.link, NotConnected("10.1.4.7:502", "password refused"), 1.0)
    changes = await rig.pass_seconds(40)
    for _ in range(5):
        rig.status.up(rig.link)
        changes += await rig.pass_seconds(10)
        rig.status.down(rig.link, NotConnected("10.1.4.7:502", "password refused"), 1.0)
        changes += await rig.pass_seconds(10)
    rig.status.up(rig.link)
    changes += await rig.pass_seconds(70)
    assert told(changes) == [("raised", "device_lost"), ("cleared", "device_lost")]
    assert "password refused" in changes[0].incident.title
    assert changes[-1].incident.occurrences == 6


async def test_connected_without_readings_is_silent_until_one_comes() -> None:
    rig = Rig(silent_after="2m")
    rig.status.up(rig.link)
    assert told(await rig.pass_seconds(110)) == []
    assert told(await rig.pass_seconds(20)) == [("raised", "device_silent")]
    rig.read(0.0)
    assert told(await rig.pass_seconds(70)) == [("cleared", "device_silent")]


async def test_a_clock_of_the_year_2000_is_one_incident_and_no_skew() -> None:
    rig = Rig()
    rig.status.up(rig.link)
    for _ in range(3):
        rig.read(27 * 365 * 24 * 3600.0)
        changes = await rig.pass_seconds(1)
    assert "device_clock_wrong" in [incident.condition for incident in rig.incidents.open]
    assert "1999" in rig.incidents.open[0].title or "2000" in rig.incidents.open[0].title
    assert rig.devices.skew_seconds("press-07") is None
    changes = await rig.pass_seconds(130)
    assert told(changes) == [("cleared", "device_clock_wrong")]


async def test_skew_is_what_the_quickest_reading_shows() -> None:
    rig = Rig()
    rig.status.up(rig.link)
    rig.read(5.0, 2.0)
    rig.read(3.0)
    assert rig.devices.skew_seconds("press-07") == pytest.approx(-2.0)
    assert told(await rig.pass_seconds(1)) == []
    rig.read(-90.0)
    assert told(await rig.pass_seconds(1)) == [("raised", "device_clock_wrong")]
    assert "90 s ahead" in rig.incidents.open[0].title


async def test_tags_that_are_refused_are_one_incident_that_names_them() -> None:
    rig = Rig(silent_after=None)
    rig.status.up(rig.link)
    rig.table.last_quality[:] = (0, Quality.BAD_DEVICE)
    assert told(await rig.pass_seconds(50)) == []
    (raised,) = await rig.pass_seconds(30)
    assert (raised.phase, raised.incident.condition) == (Phase.RAISED, "device_degraded")
    assert raised.incident.explanation["tags"] == ["strokes"]


async def test_what_a_source_tells_takes_the_place_of_what_is_seen_from_outside() -> None:
    rig = Rig(silent_after=None)
    rig.status.up(rig.link)
    rig.table.last_quality[:] = Quality.BAD_DEVICE
    unit = Health(trouble=Trouble.DEGRADED, active=True, device="unit 3", why="does not answer")
    rig.devices.told("press-07", unit)
    rig.devices.told("press-07", unit)
    assert told(await rig.pass_seconds(100)) == [("raised", "device_degraded:unit 3")]
    rig.table.last_quality[:] = 0
    rig.devices.told("press-07", Health(trouble=Trouble.DEGRADED, active=False, device="unit 3"))
    assert told(await rig.pass_seconds(70)) == [("cleared", "device_degraded:unit 3")]


async def test_a_trouble_the_source_and_the_gateway_speak_of_is_one_that_does_not_flap() -> None:
    rig = Rig(silent_after=None)
    rig.status.up(rig.link)
    rig.devices.told("press-07", Health(trouble=Trouble.DEGRADED, active=True, why="40013 is refused"))
    changes = await rig.pass_seconds(100)
    assert told(changes) == [("raised", "device_degraded")]
    assert changes[0].incident.occurrences == 1
    assert "40013" in changes[0].incident.title


async def test_a_trouble_from_before_a_restart_that_nobody_tells_any_more_is_over() -> None:
    before = Rig(silent_after=None)
    before.status.up(before.link)
    before.devices.told("press-07", Health(trouble=Trouble.CERTIFICATE, active=True, why="ends in 12 days"))
    (raised,) = await before.pass_seconds(2)
    assert (raised.phase, raised.incident.condition) == (Phase.RAISED, "certificate_expiring")
    after = Rig(silent_after=None)
    after.incidents.restore([raised.incident], {"device": after.devices.rule})
    after.status.up(after.link)
    assert told(await after.pass_seconds(130)) == [("cleared", "certificate_expiring")]


async def test_a_source_that_is_not_configured_any_more_has_no_troubles() -> None:
    rig = Rig(silent_after="1m")
    rig.status.up(rig.link)
    await rig.pass_seconds(70)
    rig.devices.configure([])
    assert told(rig.incidents.retire({"device": rig.devices.rule})) == [("cleared", "device_silent")]
    assert rig.devices.findings() == []


def test_a_finding_of_a_device_is_over_or_active() -> None:
    rig = Rig()
    (*findings,) = rig.devices.findings()
    assert {finding.state for finding in findings} <= {State.ACTIVE, State.OVER}
    assert all(finding.title and finding.machine == "press-07" for finding in findings)
