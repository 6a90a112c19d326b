"""Bytes a day from real counters, kept over restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.telemetry import wear as module
from gateway.telemetry.wear import Wear
from gateway.testkit.clock import FakeClock

DAY = 86_400


class Machine:
    """Its counters, as /proc and /sys tell them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own = self.disk = 10_000_000
        self.sys = folder / "sys" / "mmcblk0" / "mmcblk0p2"
        self.sys.mkdir(parents=True)
        (self.sys / "partition").write_text("2\n")
        (self.sys.parent / "size").write_text(f"{32_000_000_000 // 512}\n")
        monkeypatch.setattr(module, "written_by_us", lambda: self.own)
        monkeypatch.setattr(module, "_device", lambda _: self.sys)

    def write(self, own: int, disk: int) -> None:
        self.own, self.disk = self.own + own, self.disk + disk
        (self.sys / "stat").write_text(f"1 0 8 0 9 0 {self.disk // 512} 0 0 0 0 0 0 0 0\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.write(0, 0)
    return made


async def run(wear: Wear, clock: FakeClock, machine: Machine, minutes: int, own: int, disk: int) -> None:
    wear.look()
    for _ in range(minutes):
        await clock.advance(60.0)
        machine.write(own, disk)
        wear.look()


async def test_a_day_at_the_rate_that_was_seen_and_the_years_it_leaves(machine: Machine, tmp_path: Path) -> None:
    clock = FakeClock()
    wear = Wear(tmp_path, clock, endurance_bytes=10e12)
    await run(wear, clock, machine, 4, 1024, 5120)
    assert wear.per_day() == {"gateway": None, "disk": None}, "five minutes are the least"
    await run(wear, clock, machine, 2, 1024, 5120)
    assert wear.per_day() == {"gateway": 1024 * 1440, "disk": 5120 * 1440}
    assert wear.lasts_years() == pytest.approx(10e12 / (5120 * 1440 * 365.25))


async def test_without_what_the_maker_says_it_is_a_rule_of_thumb_that_says_so(machine: Machine, tmp_path: Path) -> None:
    clock = FakeClock()
    wear = Wear(tmp_path, clock)
    await run(wear, clock, machine, 10, 0, 512_000)
    found = wear.as_json()
    assert (found["disk_bytes"], found["endurance_bytes"], found["endurance_is"]) == (
        32_000_000_000,
        300 * 32_000_000_000,
        "300 times its size",
    )
    assert found["lasts_years"] == pytest.approx(300 * 32e9 / (512_000 * 1440 * 365.25), abs=0.1)


async def test_hours_are_kept_over_a_restart_whose_counters_begin_anew(machine: Machine, tmp_path: Path) -> None:
    clock = FakeClock()
    await run(Wear(tmp_path, clock), clock, machine, 125, 1024, 2048)
    assert len(json.loads((tmp_path / "wear.json").read_text())["hours"]) == 2
    machine.own = machine.disk = 0
    machine.write(0, 0)
    again = Wear(tmp_path, FakeClock())
    again.look()
    assert again.per_day() == {"gateway": 1024 * 1440, "disk": 2048 * 1440}


async def test_a_file_that_is_damaged_or_a_disk_that_is_none_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wear.json").write_text('{"hours": [[1, 2]]}')
    monkeypatch.setattr(module, "_device", lambda _: None)
    clock = FakeClock()
    wear = Wear(tmp_path, clock)
    wear.look()
    await clock.advance(600)
    wear.look()
    assert wear.per_day()["disk"] is None
    assert wear.per_day()["gateway"] is not None, "/proc/self/io is there"
    assert wear.size_bytes


def test_an_emmc_says_how_worn_it_is(machine: Machine, tmp_path: Path) -> None:
    wear = Wear(tmp_path, FakeClock())
    wear.look()
    assert wear.health is None
    device = machine.sys.parent / "device"
    device.mkdir()
    for used, end, told in (
        ("0x01 0x03", "0x01", (30, "normal", False)),
        ("0x0a 0x02", "0x01", (100, "normal", True)),
        ("0x00 0x00", "0x02", (None, "warning", True)),
    ):
        (device / "life_time").write_text(used + "\n")
        (device / "pre_eol_info").write_text(end + "\n")
        wear.look()
        assert wear.health is not None
        assert (wear.health.used_percent, wear.health.end, wear.health.worn) == told
