"""The gateway's own disk as one incident, and what is told of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import State
from gateway.engine.storage import CLEAR_AFTER_SECONDS, DETECTOR, HOLD_SECONDS, Storage
from gateway.incidents import Incidents
from gateway.outbox.store import Outbox
from gateway.telemetry.wear import Health, Wear
from gateway.testkit.clock import FakeClock

FULL = sqlite3.OperationalError("database or disk is full")
FULL.sqlite_errorname = "SQLITE_FULL"  # type: ignore[misc]  # as SQLite itself sets it


class Rig:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.outbox = Outbox(folder, self.clock)
        self.outbox.open()
        self.wear = Wear(folder, self.clock)
        self.incidents = Incidents(self.clock, lambda *parts: "-".join(map(str, parts)), evidence_seconds=0)
        self.storage = Storage("gw-1", folder, self.outbox, self.wear, self.incidents, self.clock)

    async def told(self, seconds: float = 1.0) -> list[tuple[str, str]]:
        """(phase, condition) of what becomes of the findings within so long."""
        found = []
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            for finding in self.storage.findings():
                found += self.incidents.apply(finding, self.storage.rule)
            found += self.incidents.tick()
        return [(change.phase.value, change.incident.condition) for change in found]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.outbox.close()


async def test_a_full_disk_is_one_case_that_ends_when_it_stores_again(rig: Rig) -> None:
    assert await rig.told(3) == []
    rig.outbox.condition.failed(FULL)
    assert await rig.told(HOLD_SECONDS + 2) == [("raised", "storage_full")]
    (case,) = rig.incidents.open
    assert (case.machine, case.domain, case.title) == ("gw-1", "gateway", "gw-1: the disk is full: nothing new is stored")
    assert "make room" in case.explanation["remedy"]
    assert rig.storage.words == "NOT STORING: the disk is full (database or disk is full); "
    rig.outbox.condition.failed(FULL)
    assert await rig.told(10) == []
    rig.outbox.condition.works()
    assert await rig.told(CLEAR_AFTER_SECONDS + 2) == [("cleared", "storage_full")]
    assert rig.storage.words == ""


async def test_a_moment_is_no_case(rig: Rig) -> None:
    rig.outbox.condition.failed(FULL)
    assert await rig.told(1) == []
    rig.outbox.condition.works()
    assert await rig.told(10) == []


async def test_a_case_from_before_a_restart_ends(rig: Rig) -> None:
    rig.outbox.condition.failed(FULL)
    await rig.told(HOLD_SECONDS + 2)
    again = Storage("gw-1", Path("."), rig.outbox, rig.wear, rig.incidents, rig.clock)
    rig.outbox.condition.works()
    rig.storage = again
    assert await rig.told(CLEAR_AFTER_SECONDS + 2) == [("cleared", "storage_full")]


async def test_a_worn_card_is_told_before_it_fails(rig: Rig) -> None:
    rig.wear.health = Health(40, "normal")
    assert rig.storage.findings() == []
    rig.wear.health = Health(90, "normal")
    await rig.clock.advance(1.0)
    (finding,) = rig.storage.findings()
    assert (finding.condition, finding.state, finding.explanation["life_used_percent"]) == ("storage_worn", State.ACTIVE, 90)


async def test_status_and_metrics_say_the_same(rig: Rig) -> None:
    rig.outbox.condition.failed(FULL)
    status: dict[str, Any] = rig.storage.as_json(waiting=7)
    figures = {figure.name: figure.value for figure in rig.storage.figures()}
    assert (status["state"], status["waiting_in_memory"], status["unknown"]) == ("full", 7, False)
    assert (figures["storing"], figures["storage_unknown"], figures["storage_reopened"]) == (0, 0, 0)
    assert status["free_bytes"] > 0
    assert rig.storage.rule.detector == DETECTOR
